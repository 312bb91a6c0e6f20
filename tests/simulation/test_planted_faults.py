"""Faults planted on purpose: the simulation finds each of them, or it is good for nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pytest

from shared.events import Event
from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.names import RepositoryName
from shared.services.content import manifests, pushes, uploads
from shared.services.content.blobs import Blobs
from shared.services.content.pushes import Condition
from shared.services.content.uploads import Uploads
from shared.services.events import fallback_lists
from shared.services.upkeep import garbage
from shared.services.upkeep.garbage import Garbage
from shared.storage import keys
from shared.storage.ports import ANY, Delete, Insert, NotFound, Put, Row, Update
from shared.storage.rows import holdings
from shared.storage.rows.contents import Contents
from shared.storage.rows.holdings import Content, Held, Holdings
from shared.storage.rows.index import Index
from shared.storage.rows.outbox import Outbox
from tests.simulation.explorer import Broken, Scenario, explore
from tests.simulation.scenarios import BIG_CROWDS, BIG_LARGE, CROWDS, LARGE, LISTS, PAIRS, small

type Patch = pytest.MonkeyPatch
type Steps = list[pushes._Step]
SCENARIOS: Mapping[str, Scenario] = {**PAIRS, **CROWDS, **LISTS, **LARGE, **BIG_LARGE, **BIG_CROWDS}


def _delete_anything(key: str, etag: str = ANY) -> Delete:
    return Delete(key)


def collector_deletes_any_link(patch: Patch) -> None:
    patch.setattr(garbage, "Delete", _delete_anything)


def collector_strikes_off_any_holder(patch: Patch) -> None:
    patch.setattr(holdings, "Delete", _delete_anything)


def collector_forgets_who_else_leaves(patch: Patch) -> None:
    leave = Holdings.leave

    async def silent(self: Holdings, digest: Digest, held: Held) -> Sequence[str] | None:
        if not held.is_elsewhere:
            return await leave(self, digest, held)
        assert held.holder
        with suppress(NotFound):
            await self._commit(digest, [Delete(held.holder.key)])
        return held.gone

    patch.setattr(Holdings, "leave", silent)


def collector_takes_what_came_lately(patch: Patch) -> None:
    patch.setattr(Garbage, "_is_young", lambda *_: False)


def collector_waits_one_grace_period(patch: Patch) -> None:
    init = Garbage.__init__

    def hasty(self: Garbage, *arguments: object) -> None:
        init(self, *arguments)  # type: ignore[arg-type]
        self._lately = self._lately / 3 * 2

    patch.setattr(Garbage, "__init__", hasty)


def collector_looks_for_no_edges(patch: Patch) -> None:
    async def nothing(*_: object) -> list[Row]:
        return []

    patch.setattr(Contents, "edges", nothing)


def collector_removes_bytes_first(patch: Patch) -> None:
    step = Garbage._step

    async def hasty(self: Garbage, repository: RepositoryName, digest: Digest) -> bool:
        held = await self._holdings.held(digest, repository)
        if held.content and not held.is_elsewhere:
            await self._stores.discard(str(held.content.values["object"]))
        return await step(self, repository, digest)

    patch.setattr(Garbage, "_step", hasty)


def collector_stops_without_a_link(patch: Patch) -> None:
    unlink = Garbage._unlink

    async def content(self: Garbage, repository: RepositoryName, digest: Digest) -> bool:
        link = await self._contents.link(repository, digest)
        return link is not None and await unlink(self, repository, digest)

    patch.setattr(Garbage, "_unlink", content)


def mount_takes_another_object(patch: Patch) -> None:
    async def share(
        self: Holdings, digest: Digest, repository: RepositoryName, name: str, now: datetime
    ) -> bool:
        try:
            changes = (
                Update(keys.CONTENT, {"seen": now}),
                Put(keys.holder(repository), {"seen": now}),
            )
            await self._commit(digest, changes)
        except NotFound:
            return False
        return True

    patch.setattr(Holdings, "share", share)


def head_renews_nothing(patch: Patch) -> None:
    patch.setattr(Blobs, "find", Blobs.link)


def upload_shows_before_it_holds(patch: Patch) -> None:
    show = Uploads._show

    async def hasty(
        self: Uploads, repository: RepositoryName, digest: Digest, content: Content
    ) -> None:
        await self._link(repository, digest, content)
        await show(self, repository, digest, content)

    patch.setattr(Uploads, "_show", hasty)


def upload_believes_the_client(patch: Patch) -> None:
    def believe(hasher: Hasher, digest: Digest) -> None:
        return

    patch.setattr(uploads, "_check_digest", believe)


def upload_finished_twice_brings_other_bytes(patch: Patch) -> None:
    async def add(
        self: Holdings, digest: Digest, repository: RepositoryName, content: Content, now: datetime
    ) -> Content:
        await self._commit(
            digest,
            [
                Put(keys.CONTENT, {"object": content.object, "size": 1, "state": "good"}),
                Put(keys.sound(content.object), {}),
                Put(keys.holder(repository), {"seen": now}),
            ],
        )
        return content

    patch.setattr(Holdings, "add", add)


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
    Fault(collector_deletes_any_link, "a push after HEAD", "promised|uses|without blob"),
    Fault(collector_strikes_off_any_holder, "an upload", "without|not among|not its content"),
    Fault(collector_forgets_who_else_leaves, "two holders", "content and no holder"),
    Fault(collector_takes_what_came_lately, "an upload", "not its content"),
    Fault(
        collector_waits_one_grace_period, "a push long after HEAD of a blob seen lately", "promised"
    ),
    Fault(collector_looks_for_no_edges, "a deletion", "without blob"),
    Fault(collector_removes_bytes_first, "an upload elsewhere", "not its bytes"),
    Fault(collector_stops_without_a_link, "an upload", "without a link", faults=True),
    Fault(
        mount_takes_another_object,
        "a mount of what is deleted and uploaded again",
        "not its content",
    ),
    Fault(head_renews_nothing, "a push after HEAD", "promised"),
    Fault(upload_shows_before_it_holds, "an upload elsewhere", "not its content"),
    Fault(upload_believes_the_client, "an upload of something else", "not its bytes"),
    Fault(upload_finished_twice_brings_other_bytes, "an upload elsewhere", "not its content"),
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
        fault.plant(monkeypatch)
        with pytest.raises(Broken, match=fault.says):
            explore(SCENARIOS[fault.scenario], faults=fault.faults)
