"""Verification in parts, and of what is not there, against uploads, healing and the collector.

schedule                                     scenario                       taken out
bytes are hashed over several messages, and  parts, and the collector       a_part_forgets_what
their object leaves, or is joined            parts, and an upload           _was_hashed
                                             elsewhere
bad bytes are hashed twice over, in parts,   parts of bad bytes, and an     none: one look or two,
and replaced meanwhile                       upload elsewhere               they are bad
an object is looked for, then made, then     an object comes back while it  what_was_missed_is
its row is read                              is missed                      _condemned_at_sight
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.progress import Progress
from shared.services.verification import hashing, verification
from shared.services.verification.verification import Verification, Verified
from shared.storage.ports import Row
from tests.simulation.blobs.operations import Heal, PutStaged
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.operations import Collect, DeleteBlob, Operation
from tests.simulation.scenarios import A, B, Past, Y, digest
from tests.simulation.world import Process

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch

_MOST = 10


@dataclass(frozen=True)
class VerifyInParts(Operation):
    """Verify an object, a block a message; the object is of a digest, where a row says so."""

    name: str
    digest: Digest | None = None

    async def run(self, process: Process) -> None:
        """Read a message after the other."""
        progress: Progress | None = None
        for _ in range(_MOST):
            found = await process.verification.verify(self.name, progress, self.digest)
            progress = found.progress
            if progress is None:
                return
        raise AssertionError(f"the verification of {self.name} does not end")


D = digest(Y)
OLD = Past().held(A, Y).ago()
FRESH = Past().held(A, Y)
BAD = Past().held(A, Y).spoiled(Y)
GONE = Past()
SESSION = GONE.put(A, Y)
GONE.did(SESSION)
GONE_NAME = GONE.object_of(Y)
GONE.ago().did(DeleteBlob(A, D), Collect(A, D))

SCENARIOS: Mapping[str, Scenario] = {
    "parts, and the collector": OLD.meets([VerifyInParts(A, OLD.object_of(Y))], [Collect(A, D)]),
    "parts, and an upload elsewhere": FRESH.meets(
        [VerifyInParts(A, FRESH.object_of(Y))], [FRESH.put(B, Y)]
    ),
    "parts of bad bytes, and an upload elsewhere": BAD.meets(
        [VerifyInParts(A, BAD.object_of(Y)), Heal(A, D)], [BAD.put(B, Y)]
    ),
    "an object comes back while it is missed": GONE.meets(
        [VerifyInParts(A, GONE_NAME, D), Heal(A, D)], [PutStaged(A, D, SESSION.upload, Y)]
    ),
}


@pytest.fixture(autouse=True)
def in_parts(request: pytest.FixtureRequest, monkeypatch: Patch) -> None:
    """Let a message have time for one block: half of what there is."""
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", 3 if "bad" in request.node.name else 1)
    monkeypatch.setattr(verification, "LONGEST", -timedelta(seconds=1))


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_two_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


def a_part_forgets_what_was_hashed(patch: Patch) -> None:
    after = hashing._Ahead.after

    def forgetful(self: hashing._Ahead, done: Progress) -> Progress:
        return replace(after(self, done), state=Hasher(done.algorithm).state())

    patch.setattr(hashing._Ahead, "after", forgetful)


def what_was_missed_is_condemned_at_sight(patch: Patch) -> None:
    async def miss(self: Verification, name: str, digest: Digest, row: Row) -> Verified:
        etag = str(row.values["etag"])
        found = verification._Found(name, etag, "blob", A, digest)
        return await self._settle(found, row, "missing")

    patch.setattr(Verification, "_miss", miss)


FAULTS: Mapping[Callable[[Patch], None], str] = {
    a_part_forgets_what_was_hashed: "parts, and an upload elsewhere",
    what_was_missed_is_condemned_at_sight: "an object comes back while it is missed",
}


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(
    plant: Callable[[Patch], None], explore: Explore, monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Broken):
        explore(SCENARIOS[FAULTS[plant]])
