"""Faults planted on purpose: the simulation finds each of them, or it is good for nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content import manifests
from shared.services.content.plans import Plan
from shared.services.content.pushes import Condition, Pushes
from shared.services.deletions import endings
from shared.services.events import fallback_lists, fan_out
from shared.storage import keys
from shared.storage.ports import ANY, Change, Delete, NotFound, Update
from shared.storage.rows.holdings import Held, Holdings
from shared.storage.rows.index import Index
from shared.storage.rows.outbox import Outbox
from shared.storage.transactions import Transaction
from tests.simulation.explorer import Broken, Scenario, explore
from tests.simulation.scenarios import BIG_CROWDS, BIG_LARGE, CROWDS, LARGE, LISTS, PAIRS, small

type Patch = pytest.MonkeyPatch
SCENARIOS: Mapping[str, Scenario] = {**PAIRS, **CROWDS, **LISTS, **LARGE, **BIG_LARGE, **BIG_CROWDS}


def _delete_anything(key: str, etag: str = ANY) -> Delete:
    return Delete(key)


def push_touches_no_links(patch: Patch) -> None:
    reference = Plan._reference

    def untouched(self: Plan, target: Digest) -> Iterator[Change]:
        return (each for each in reference(self, target) if not isinstance(each, Update))

    patch.setattr(Plan, "_reference", untouched)


def push_builds_without_a_row(patch: Patch) -> None:
    patch.setattr(Plan, "_build_row", lambda self: Update(keys.WRITABLE, {}))
    patch.setattr(Plan, "_build_end", lambda self: iter(()))


def push_is_not_listed(patch: Patch) -> None:
    async def nothing(*_: object, **__: object) -> None:
        return

    patch.setattr(Index, "add", nothing)


def push_does_not_know_its_own_event(patch: Patch) -> None:
    def unknowing(self: Plan) -> Transaction:
        return Transaction([*self._build_end(), *self._rows(), *self._events()])

    patch.setattr(Plan, "whole", unknowing)


def push_speaks_after_the_change(patch: Patch) -> None:
    write, promise = Pushes._write, Outbox.promise

    async def silent(*_: object) -> None:
        return

    async def late(self: Pushes, plan: Plan, *rest: Any, **options: Any) -> None:
        await write(self, plan, *rest, **options)
        await promise(self._stores.outbox, plan.repository, list(plan.outbox.values()))

    patch.setattr(Outbox, "promise", silent)
    patch.setattr(Pushes, "_write", late)


def pull_reads_the_tag_once(patch: Patch) -> None:
    patch.setattr(manifests, "_TRIES", 1)


def events_are_not_kept(patch: Patch) -> None:
    patch.setattr(Plan, "_events", lambda self: iter(()))


def deletion_takes_what_has_changed(patch: Patch) -> None:
    patch.setattr(endings, "Delete", _delete_anything)


def list_is_pushed_unconditionally(patch: Patch) -> None:
    patch.setattr(fallback_lists, "Condition", lambda **_: Condition())


def list_that_is_pushed_is_not_looked_at(patch: Patch) -> None:
    patch.setattr(fan_out, "is_referrers_tag", lambda _: False)


def index_row_goes_unconditionally(patch: Patch) -> None:
    async def remove(self: Index, repository: RepositoryName, etag: str) -> bool:
        with suppress(NotFound):
            row = Delete(keys.encode_repository(repository))
            await self._rows.commit(keys.REPOSITORIES, self._generation, [row])
        return True

    patch.setattr(Index, "remove", remove)


def collector_takes_whatever_holder_is_there(patch: Patch) -> None:
    leave = Holdings.leave

    async def blind(self: Holdings, of: Digest, held: Held) -> object:
        holder = held.holder and replace(held.holder, etag=ANY)
        return await leave(self, of, replace(held, holder=holder))

    patch.setattr(Holdings, "leave", blind)


@dataclass(frozen=True)
class Fault:
    """How to plant it, who must meet to show it, and what is said then."""

    plant: Callable[[Patch], None]
    scenario: str
    says: str
    faults: bool = False


FAULTS = [
    Fault(push_touches_no_links, "a push of an old blob", "without blob"),
    Fault(push_is_not_listed, "two pushes of a tag", "not in the catalog"),
    Fault(
        push_does_not_know_its_own_event,
        "two pushes of a tag that is to be new",
        "PreconditionFailed",
        faults=True,
    ),
    Fault(push_speaks_after_the_change, "two pushes of a tag", "nobody hears", faults=True),
    Fault(
        pull_reads_the_tag_once,
        "a pull, while its tag moves and the manifest goes",
        "process 1 ended with ManifestUnknown",
    ),
    Fault(events_are_not_kept, "two pushes of a tag", "the event of a push"),
    Fault(deletion_takes_what_has_changed, "a push and a deletion", "points to no manifest"),
    Fault(list_is_pushed_unconditionally, "a list goes", "is there after its deletion"),
    Fault(list_that_is_pushed_is_not_looked_at, "a list is emptied by its client", "the list"),
    Fault(
        collector_takes_whatever_holder_is_there,
        "an upload of what another holds",
        "is not among its holders",
    ),
    Fault(index_row_goes_unconditionally, "retiring what is empty", "not in the catalog"),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    with small() if "large" in fault.scenario else monkeypatch.context():
        find(fault, SCENARIOS[fault.scenario], monkeypatch)


def find(fault: Fault, scenario: Scenario, patch: Patch) -> None:
    """Plant a fault, and see it found."""
    fault.plant(patch)
    with pytest.raises(Broken, match=fault.says):
        explore(scenario, faults=fault.faults)
