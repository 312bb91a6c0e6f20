"""Who comes back while what it was goes for good, and two who end the same deletion.

And the rules, each taken out once: the simulation finds that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from shared.services.content import manifests
from shared.services.content.manifests import Manifests
from shared.services.deletions.endings import Deletion
from shared.services.deletions.restores import Restores
from shared.services.upkeep.purge import Purge as PurgeService
from shared.storage import keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import Update
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.manifests.operations import Purge, RunErrands
from tests.simulation.manifests.scenarios import HOUR, V2
from tests.simulation.operations import LATEST, Delete, DeleteBlob, Operation, Others, Push
from tests.simulation.scenarios import ABOUT, FRESH, ONE, V1, A, Past, X, Y, digest, index, small
from tests.simulation.world import Process, World
from tests.support.causes import ME

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class PushSubject(Push):
    """Push what has a referrer that is live."""

    async def run(self, process: Process) -> None:
        """Push it, and see whether its referrer is still there."""
        await super().run(process)
        await process.changes(self._look)

    def _look(self, world: World) -> None:
        if keys.manifest(ABOUT.digest) in world.contents(self.repository):
            world.promised[self.repository, ABOUT.digest] = "a referrer"

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """What refers to it stays."""
        yield from super().broken(world, others, since)
        is_promised = (self.repository, ABOUT.digest) in world.promised
        if is_promised and keys.manifest(ABOUT.digest) not in world.contents(self.repository):
            yield f"{ABOUT.digest} went, and its subject {self.digest} had come back"


@dataclass(frozen=True)
class PushIndex(Push):
    """Push an index of what goes with its subject."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """What it names stays."""
        yield from super().broken(world, others, since)
        for child in self.manifest.children:
            if keys.manifest(child.digest) not in world.contents(self.repository):
                yield f"{child.digest} went, and {self.digest} had come to name it"


@dataclass(frozen=True)
class PushAnew(Push):
    """Push what was deleted with all its tags."""

    async def run(self, process: Process) -> None:
        """Push it, if it is gone, and see that no other tag comes with it."""
        await process.changes(self._look)
        await super().run(process)

    def _look(self, world: World) -> None:
        if keys.manifest(self.digest) not in world.contents(self.repository):
            world.promised[self.repository, self.digest] = "alone"

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """No tag that was deleted is there."""
        yield from super().broken(world, others, since)
        if (self.repository, self.digest) in world.promised:
            for tag in (LATEST, V1):
                if keys.tag(tag) in world.contents(self.repository):
                    yield f"tag {tag} has come back with a push of {self.tag}"


@dataclass(frozen=True)
class BeginDeletion(Operation):
    """Delete a manifest, and die after the first tag."""

    async def run(self, process: Process) -> None:
        """Take one tag."""
        services, contents = process.manifests, process.stores.contents
        deletion = services.deletion(self.repository, ONE.digest, by=ME)
        record = await contents.manifest(self.repository, ONE.digest, with_body=False)
        assert record
        deletion.etag = record.etag
        tags = await contents.tags_of(self.repository, ONE.digest, 1)
        await services._take_some(deletion, record, tags)


BEGUN = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1), BeginDeletion(A))
REFERRED = (
    Past()
    .held(A, X, Y)
    .did(Push(A, ONE), Push(A, ABOUT, V1))
    .ago(HOUR)
    .did(Delete(A, ONE.digest))
    .ago(HOUR)
)
PURGE = [Purge(A, ONE.digest)]
END = RunErrands(A, Kind.END_DELETION)

MENDS: Mapping[str, Scenario] = {
    "a purge, and the subject comes back": REFERRED.meets(PURGE, [PushSubject(A, ONE, V2)]),
    "a purge, and the referrer is pushed again": REFERRED.meets(PURGE, [Push(A, ABOUT, V2)]),
    "a purge, and an index of the referrer": REFERRED.meets(
        PURGE, [PushIndex(A, index(ABOUT), V2)]
    ),
    "two who end a deletion, and a push": BEGUN.meets([END], [END, PushAnew(A, ONE, V2)]),
    "two deletions of a blob, and an upload": FRESH.meets(
        [DeleteBlob(A, digest(X))], [DeleteBlob(A, digest(X)), FRESH.put(A, X)]
    ),
}

LARGE = [MENDS["two who end a deletion, and a push"]]


@pytest.mark.parametrize("scenario", MENDS.values(), ids=MENDS)
def test_two_meet(scenario: Scenario, explore: Explore) -> None:
    with small() if scenario in LARGE else pytest.MonkeyPatch.context():
        explore(scenario, faults=True)


def purge_takes_writable_as_it_is(patch: Patch) -> None:
    patch.setattr(manifests, "touched", lambda now, _="": Update(keys.WRITABLE, {"updated": now}))


def purge_takes_referrers_as_they_are(patch: Patch) -> None:
    carry_out = Manifests.carry_out

    async def unyielding(self: Manifests, deletion: Deletion) -> None:
        deletion.is_yielding = False
        await carry_out(self, deletion)

    patch.setattr(Manifests, "carry_out", unyielding)


def purge_looks_for_no_index(patch: Patch) -> None:
    async def unnamed(*_: object) -> bool:
        return False

    patch.setattr(PurgeService, "_is_named_since", unnamed)


def tags_go_to_any_life(patch: Patch) -> None:
    bring_back = Restores.bring_back

    async def blind(self: Restores, *where: Any, live: str = "", **options: Any) -> bool:
        return await bring_back(self, *where, **options)

    async def give(self: Restores, *where: Any, by: Any) -> None:
        await bring_back(self, *where[:-1], by=by)

    patch.setattr(Restores, "bring_back", blind)
    patch.setattr(Restores, "give_back", give)


FAULTS = [
    (purge_takes_writable_as_it_is, "a purge, and the subject comes back", "had come back"),
    (
        purge_takes_referrers_as_they_are,
        "a purge, and the referrer is pushed again",
        "is not there",
    ),
    (purge_looks_for_no_index, "a purge, and an index of the referrer", "had come to name it"),
    (tags_go_to_any_life, "two who end a deletion, and a push", "has come back"),
]


@pytest.mark.parametrize(
    ("plant", "scenario", "says"), FAULTS, ids=[it[0].__name__ for it in FAULTS]
)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Callable[[Patch], None], scenario: str, says: str, monkeypatch: Patch
) -> None:
    with small() if MENDS[scenario] in LARGE else monkeypatch.context():
        plant(monkeypatch)
        with pytest.raises(Broken, match=says):
            explore_all(MENDS[scenario])
