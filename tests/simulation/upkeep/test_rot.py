"""Bytes that rot: manifests live anew, and blobs are healed by messages alone.

And the rules, each taken out once: the simulation finds that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import pytest

from shared.errors import ManifestUnknown, Unavailable
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content import pushes
from shared.services.content.manifests import Manifests
from shared.services.deletions.endings import Deletion
from shared.services.events import fan_out
from shared.services.events.fan_out import Announcement
from shared.services.verification import healing
from shared.services.verification.copies import Copies
from shared.services.verification.healing import Healing
from shared.storage import keys
from shared.storage.memory.messages import Sent
from shared.storage.messages.errands import Errand, Errands, Kind
from shared.storage.ports import Update
from shared.storage.rows.contents import Contents
from shared.storage.rows.deleted import Deleted
from shared.storage.rows.holdings import Holdings
from shared.storage.rows.records import ManifestRecord
from tests.simulation import aftermath, promises
from tests.simulation.blobs.operations import Heal, Verify
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.loop import Loop
from tests.simulation.manifests.operations import Lock, Purge, Restore
from tests.simulation.manifests.scenarios import cache
from tests.simulation.operations import (
    LATEST,
    Delete,
    DeleteBlob,
    Operation,
    Others,
    Push,
    Untag,
    _any,
)
from tests.simulation.scenarios import ONE, TWO, V1, A, B, Past, X, Y, digest, small
from tests.simulation.world import GENERATION, Process, World
from tests.support.messages import addressed

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class PushOfRotten(Push):
    """Push what may have rotted: who meets the rotten life is acknowledged, and loses it."""

    async def run(self, process: Process) -> None:
        """Push it, and remember which life it made or met."""
        await super().run(process)
        await process.changes(self._look)

    def _look(self, world: World) -> None:
        row = world.contents(self.repository).get(keys.manifest(self.digest))
        life = str(row.values["life"]) if row else keys.drawn(min(world.rotten))
        world.promised[self.repository, self.digest] = keys.object_name(GENERATION, life)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is there, unless it had rotted already."""
        if world.is_withdrawn(self.repository, self.digest):
            return ()
        return super().broken(world, others, since)


@dataclass(frozen=True)
class Follow(Operation):
    """Read what has been sent since all was heard, and what that sends upkeep to do.

    Then the `back` are tags that have come back.
    """

    back: tuple[Tag, ...] = ()
    digest: Digest = ONE.digest
    refusals = (ManifestUnknown, Unavailable)

    async def run(self, process: Process) -> None:
        """Read it, from a moment of its own; what fails is not put off here."""
        await process.stores.index.row(self.repository)
        for queue, body, _ in await self._sent(process):
            if queue == keys.EVENTS:
                await process.fan_out.follow(Announcement.read(body.encode()))
        for queue, body, _ in await self._sent(process):
            if queue == keys.UPKEEP and (errand := Errand.read(body.encode())).kind in _SEEN:
                await process.upkeep.run(errand)

    async def _sent(self, process: Process) -> Sequence[Sent]:
        sent = await process.sees(lambda world: world.messages.sent[world.read :])
        return addressed(sent)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """The tags are there, unless a client deleted the manifest."""
        rows = world.contents(self.repository)
        is_deleted = any(
            key.startswith(f"deleted|{self.digest}|") and not row.values["reason"]
            for key, row in rows.items()
        )
        if is_deleted or keys.manifest(self.digest) not in rows:
            return
        for tag in self.back:
            is_moved = _any(others, Push, self.repository, tag=tag)
            is_gone = _any(others, Untag, self.repository, tag=tag)
            if keys.tag(tag) not in rows and not (is_moved or is_gone):
                yield f"{tag} has not come back"


_SEEN = {Kind.AFTER_PUSH, Kind.COPY_BODY}


@dataclass(frozen=True)
class StaysDeleted(Operation):
    """See that a blob is not shown."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Ask nothing."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is not there."""
        if keys.blob(self.digest) in world.contents(self.repository):
            yield f"{self.digest} is there again"


@contextmanager
def bodied() -> Iterator[None]:
    """Make every body an object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pushes, "INLINE_BYTES", 0)
        yield


def body_of(past: Past) -> str:
    """Name the object with the body of ONE, or a copy of it."""
    row = past.world.contents(A)[keys.manifest(ONE.digest)]
    return keys.object_name(GENERATION, str(row.values["life"]))


def rotten(past: Past, *, is_copy: bool = False) -> str:
    """Let the body of ONE have rotted, or a copy of it; nobody knows yet."""
    name = body_of(past)
    there = past.world.kept.objects[name]
    past.world.kept.objects[name] = replace(there, data=b"rotten")
    past.world.rotten |= {f"the first {name}" if is_copy else name}
    return name


with bodied():
    ROTTEN = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1)).heard()
    NAME = rotten(ROTTEN)
    LOCKED = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1)).heard()
    LOCKED_NAME = rotten(LOCKED)
    LOCKED.did(Lock(A))
    OVER = Past().held(A, X, Y).did(Push(A, TWO), Push(A, ONE, V1)).heard()
    OVER_NAME = rotten(OVER)
    OVER.did(Delete(A, ONE.digest)).ago()
NEW = Past().held(A, X, Y).did(Push(A, TWO)).heard()
COPIED = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1)).heard()
COPY = rotten(COPIED, is_copy=True)

V2 = Tag("v2")
FOUND = [Verify(A, NAME)]
AGAIN = [*FOUND, PushOfRotten(A, ONE, V2), Follow(A, (LATEST, V1, V2))]

MANIFESTS: Mapping[str, Scenario] = {
    "rot, and a push of the same": ROTTEN.meets(FOUND, [PushOfRotten(A, ONE, V2)]),
    "rot, and a deletion and a push of the same": ROTTEN.meets(
        FOUND, [Delete(A, ONE.digest), PushOfRotten(A, ONE, V2)]
    ),
    "rot, and one of its tags moves": ROTTEN.meets(FOUND, [Push(A, TWO, V1)]),
    "rot, and one of its tags goes": ROTTEN.meets(FOUND, [Untag(A, V1)]),
    "rot, found twice": ROTTEN.meets(FOUND, FOUND),
    "rot in a locked repository": LOCKED.meets([Verify(A, LOCKED_NAME)]),
    "rot and a lock": ROTTEN.meets(FOUND, [Lock(A)]),
    "rot, a push, and its tags come back": ROTTEN.meets(AGAIN),
    "rot of what was deleted, and its purge": OVER.meets(
        [Verify(A, OVER_NAME)], [Purge(A, ONE.digest)]
    ),
    "rot of what was deleted, and its restore": OVER.meets(
        [Verify(A, OVER_NAME)], [Restore(A, ONE.digest)]
    ),
    "a copy, a deletion and a purge": NEW.meets(
        [Push(A, ONE), Follow(A)], [Delete(A, ONE.digest), Purge(A, ONE.digest)]
    ),
    "a copy that has rotted is made again": COPIED.meets(
        [Verify(A, COPY), Follow(A)], [Verify(A, COPY)]
    ),
    "a copy that has rotted, and a deletion": COPIED.meets(
        [Verify(A, COPY), Follow(A)], [Delete(A, ONE.digest)]
    ),
}
"""Bodies have rotted, or are copied."""

BIG: Mapping[str, Scenario] = {
    "tags come back while one moves": ROTTEN.meets(AGAIN, [Push(A, TWO, V1)]),
    "rot, a push, and a deletion": ROTTEN.meets(AGAIN, [Delete(A, ONE.digest)]),
}
"""The same, in so many ways that only those without a crash are tried."""

BAD = Past().held(A, X).did(Push(A, ONE)).heard().spoiled(X)
BAD_NAME = BAD.object_of(X)
KNOWN = Past().held(A, X).did(Push(A, ONE)).heard().spoiled(X)
KNOWN.did(Verify(A, KNOWN.object_of(X))).heard()
PAGES = Past().held(A, X).held(B, X).did(Push(A, ONE), Push(B, ONE)).heard().spoiled(X)
SPARSE = Past().held(A, X).held(B, X).did(DeleteBlob(A, digest(X)))
SPARSE.did(Push(A, cache(X), is_sparse=True), Push(B, ONE)).heard().spoiled(X)
SPARSE_NAME = SPARSE.object_of(X)

HEALED: Mapping[str, Scenario] = {
    "bad bytes are found, and replaced": BAD.meets([Verify(A, BAD_NAME)], [BAD.put(B, X)]),
    "bad bytes are replaced long after": KNOWN.meets([KNOWN.put(B, X)]),
    "bad bytes that two hold": PAGES.meets([Verify(A, PAGES.object_of(X)), PAGES.put(B, X)]),
    "bad bytes of what was deleted": SPARSE.meets(
        [
            StaysDeleted(A, digest(X)),
            Verify(A, SPARSE_NAME),
            SPARSE.put(B, X),
            Heal(B, digest(X)),
        ],
        is_sparse=True,
    ),
}
"""Only messages tell upkeep what there is to heal."""

SCENARIOS = {**MANIFESTS, **HEALED}


def only_verify(world: World, loop: Loop) -> None:
    process = world.process(0x400)
    for name in world.objects_now().keys() - world.strange.keys():
        loop.complete(process.verification.verify(name))


@pytest.fixture(autouse=True)
def with_copies(monkeypatch: Patch) -> None:
    """Ask for copies, too, where all events are handed on to all."""
    left = promises.left
    monkeypatch.setattr(promises, "left", lambda it: chain(left(it), promises.uncopied(it)))


@pytest.fixture
def by_messages(monkeypatch: Patch) -> None:
    monkeypatch.setattr(aftermath, "_heal", only_verify)
    monkeypatch.setattr(healing, "_PAGE", 1)


@pytest.mark.parametrize("scenario", MANIFESTS.values(), ids=MANIFESTS)
def test_manifests_rot(scenario: Scenario, explore: Explore) -> None:
    with bodied():
        explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", BIG.values(), ids=BIG)
def test_manifests_rot_while_more_happens(scenario: Scenario, explore: Explore) -> None:
    with bodied():
        explore(scenario)


def test_manifests_rot_and_go_tag_by_tag(explore: Explore) -> None:
    with small():
        explore(MANIFESTS["rot, and a push of the same"], faults=True)


@pytest.mark.usefixtures("by_messages")
@pytest.mark.parametrize("scenario", HEALED.values(), ids=HEALED)
def test_blobs_are_healed(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


async def silent(*_: object, **__: object) -> None:
    return


def rot_takes_any_life(patch: Patch) -> None:
    patch.setattr(Deletion, "is_over", lambda *_: False)


def rot_heeds_locks(patch: Patch) -> None:
    async def touch(self: Manifests, _: Deletion) -> list[Update]:
        return [Update(keys.WRITABLE, {"updated": self._clock()})]

    patch.setattr(Manifests, "_writable", touch)


def rotten_lives_keep_their_tags(patch: Patch) -> None:
    async def none(*_: object) -> list[str]:
        return []

    patch.setattr(Deleted, "rotten", none)


def pushes_are_not_followed(patch: Patch) -> None:
    patch.setattr(fan_out, "_consumers", lambda _: [])


def leftovers_know_no_copies(patch: Patch) -> None:
    async def none(*_: object) -> bool:
        return False

    patch.setattr(Contents, "has_life", none)


def copies_are_made_for_whatever_was_pushed(patch: Patch) -> None:
    make = Copies.make

    async def other(self: Copies, repository: RepositoryName, record: ManifestRecord) -> None:
        await make(self, repository, replace(record, life=record.life[::-1]))

    patch.setattr(Copies, "make", other)


def nobody_announces_healing(patch: Patch) -> None:
    patch.setattr(Errands, "announce_healing", silent)


def healing_is_announced_too_late(patch: Patch) -> None:
    announce, put = Errands.announce_healing, Holdings._replace

    async def late(self: Holdings, it: Digest, where: RepositoryName, *rest: Any) -> bool:
        is_done = await put(self, it, where, *rest)
        await announce(self._errands, where, it)
        return is_done

    patch.setattr(Errands, "announce_healing", silent)
    patch.setattr(Holdings, "_replace", late)


def healing_ends_with_a_page(patch: Patch) -> None:
    async def go_on(self: Healing, _: RepositoryName, task: healing.Task) -> None:
        await self.do(task)

    patch.setattr(Healing, "go_on", go_on)


def healing_heeds_any_edge(patch: Patch) -> None:
    async def is_linked(self: Contents, repository: RepositoryName, target: Digest) -> bool:
        return await self.user(repository, target) is not None

    patch.setattr(Contents, "is_linked", is_linked)


FAULTS = [
    (rot_takes_any_life, "rot, and a deletion and a push of the same", "acknowledged and is not"),
    (rot_heeds_locks, "rot in a locked repository", "ended with RegistryDisallowedOperation"),
    (rotten_lives_keep_their_tags, "rot, a push, and its tags come back", "has not come back"),
    (pushes_are_not_followed, "a copy, a deletion and a purge", "."),
    (leftovers_know_no_copies, "a copy, a deletion and a purge", "no copy"),
    (copies_are_made_for_whatever_was_pushed, "a copy, a deletion and a purge", "no copy"),
    (nobody_announces_healing, "bad bytes are found, and replaced", "bad bytes|shown again"),
    (healing_is_announced_too_late, "bad bytes are replaced long after", "shown again"),
    (healing_ends_with_a_page, "bad bytes that two hold", "not forgotten|shown again"),
    (healing_heeds_any_edge, "bad bytes of what was deleted", "is there again"),
]


@pytest.mark.usefixtures("by_messages")
@pytest.mark.parametrize(
    ("plant", "scenario", "says"), FAULTS, ids=[it[0].__name__ for it in FAULTS]
)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Callable[[Patch], None], scenario: str, says: str, monkeypatch: Patch
) -> None:
    with bodied() if scenario.startswith("rot") else monkeypatch.context():
        plant(monkeypatch)
        with pytest.raises(Broken, match=says):
            explore_all(SCENARIOS[scenario], faults=True)
