"""Faults planted on purpose: the simulation finds each of them, or it is good for nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from shared.events import Event
from shared.model.names import RepositoryName
from shared.services.content import manifests, pushes
from shared.services.content.pushes import Condition
from shared.services.events import fallback_lists
from shared.storage import keys
from shared.storage.ports import ANY, Delete, Insert, NotFound, Update
from shared.storage.rows.index import Index
from shared.storage.rows.outbox import Outbox
from tests.simulation.explorer import Broken, Scenario, explore
from tests.simulation.scenarios import BIG_CROWDS, BIG_LARGE, CROWDS, LARGE, LISTS, PAIRS, small

type Patch = pytest.MonkeyPatch
type Steps = list[pushes._Step]
SCENARIOS: Mapping[str, Scenario] = {**PAIRS, **CROWDS, **LISTS, **LARGE, **BIG_LARGE, **BIG_CROWDS}


def _delete_anything(key: str, etag: str = ANY) -> Delete:
    return Delete(key)


def push_touches_no_links(patch: Patch) -> None:
    references = pushes._Attempt.references

    def untouched(self: pushes._Attempt) -> Iterator[list[pushes._Step]]:
        for steps in references(self):
            yield [step for step in steps if not isinstance(step.change, Update)]

    patch.setattr(pushes._Attempt, "references", untouched)


def push_writes_the_manifest_first(patch: Patch) -> None:
    def reversed_order(references: Iterator[Steps], events: Steps, final: Steps) -> Iterator[Steps]:
        yield [*events, *final]
        yield from references

    patch.setattr(pushes, "_transactions", reversed_order)


def push_is_not_listed(patch: Patch) -> None:
    async def nothing(*_: object) -> None:
        return

    patch.setattr(Index, "add", nothing)


def push_does_not_know_its_own_event(patch: Patch) -> None:
    transactions = pushes._transactions

    def unknowing(references: Iterator[Steps], events: Steps, final: Steps) -> Iterator[Steps]:
        yield from transactions(references, [], [*final, *events])

    patch.setattr(pushes, "_transactions", unknowing)


def push_hears_of_a_reference_first(patch: Patch) -> None:
    transactions = pushes._transactions

    def unknowing(references: Iterator[Steps], events: Steps, final: Steps) -> Iterator[Steps]:
        yield from transactions(references, [], [*events, *final])

    patch.setattr(pushes, "_transactions", unknowing)


def pull_reads_the_tag_once(patch: Patch) -> None:
    patch.setattr(manifests, "_TRIES", 1)


def events_are_not_kept(patch: Patch) -> None:
    def nothing(self: Outbox, events: Sequence[Event]) -> list[Insert]:
        return []

    patch.setattr(Outbox, "rows", nothing)


def deletion_takes_what_has_changed(patch: Patch) -> None:
    patch.setattr(manifests, "Delete", _delete_anything)


def deletion_leaves_edges_for_later(patch: Patch) -> None:
    patch.setattr(manifests, "_ROOM", 3)


def list_is_pushed_unconditionally(patch: Patch) -> None:
    patch.setattr(fallback_lists, "Condition", lambda **_: Condition())


def list_that_is_pushed_is_not_looked_at(patch: Patch) -> None:
    patch.setattr(fallback_lists, "is_referrers_tag", lambda _: False)


def index_row_goes_unconditionally(patch: Patch) -> None:
    async def remove(self: Index, repository: RepositoryName, etag: str) -> bool:
        with suppress(NotFound):
            row = Delete(keys.encode_repository(repository))
            await self._rows.commit(keys.REPOSITORIES, self._generation, [row])
        return True

    patch.setattr(Index, "remove", remove)


@dataclass(frozen=True)
class Fault:
    """How to plant it, who must meet to show it, and what is said then."""

    plant: Callable[[Patch], None]
    scenario: str
    says: str
    faults: bool = False


FAULTS = [
    Fault(push_touches_no_links, "a push of an old blob", "without blob"),
    Fault(push_writes_the_manifest_first, "two large pushes", "without edge"),
    Fault(push_is_not_listed, "two pushes of a tag", "not in the catalog"),
    Fault(push_does_not_know_its_own_event, "two large pushes", "not its bytes", faults=True),
    Fault(
        push_does_not_know_its_own_event,
        "two pushes of a tag that is to be new",
        "PreconditionFailed",
        faults=True,
    ),
    Fault(
        push_hears_of_a_reference_first,
        "an index and a deletion of its child",
        "ManifestBlobUnknown",
        faults=True,
    ),
    Fault(
        pull_reads_the_tag_once,
        "a pull, while its tag moves and the manifest goes",
        "process 1 ended with ManifestUnknown",
    ),
    Fault(events_are_not_kept, "two pushes of a tag", "the event of a push"),
    Fault(events_are_not_kept, "two deletions", "the event of a deletion"),
    Fault(deletion_takes_what_has_changed, "a push and a deletion", "points to no manifest"),
    Fault(deletion_leaves_edges_for_later, "a large referrer", "without edge"),
    Fault(list_is_pushed_unconditionally, "a list goes", "is there after its deletion"),
    Fault(list_that_is_pushed_is_not_looked_at, "a list is emptied by its client", "the list"),
    Fault(list_that_is_pushed_is_not_looked_at, "a referrer is listed and deleted", "the list"),
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
