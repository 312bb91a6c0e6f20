"""Scenarios of upkeep: the collector and healing, against deletions, restores and sparse edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from shared.errors import ManifestUnknown, RegistryError, Unavailable
from shared.services.verification.healing import Stage, Task
from shared.storage.ages import L
from tests.simulation.blobs.operations import DoTask, DoTaskSlowly, Heal, StaysDeleted, Verify
from tests.simulation.blobs.scenarios import LATER, D
from tests.simulation.explorer import Scenario
from tests.simulation.manifests.operations import Purge, Restore
from tests.simulation.manifests.scenarios import HOUR, cache
from tests.simulation.operations import Delete, DeleteBlob, Pause, Push
from tests.simulation.scenarios import COLLECT, ONE, TWO, A, B, C, Past, X, Y


@dataclass(frozen=True)
class RestoreSurely(Restore):
    """Bring back a manifest whose blobs nobody has deleted."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = (
        ManifestUnknown,
        Unavailable,
    )


CACHE = cache(X)
HEAL = [Heal(A, D)]
SPARSE = Past().held(A, X).held(B, X).did(Push(B, ONE), DeleteBlob(A, D))
SPARSE.did(Push(A, ONE, is_sparse=True)).spoiled(X)
SPARSE.did(Verify(A, SPARSE.object_of(X)))
NAMED = Past().held(A, X).held(B, X).spoiled(X)
GONE = Past().held(A, X, Y).did(Push(A, TWO)).ago().did(Delete(A, TWO.digest))
CACHE_GONE = Past().held(A, X).did(Push(A, CACHE)).ago().did(Delete(A, CACHE.digest))
CACHED = Past().held(A, X).did(Push(A, CACHE)).ago()
LONE = Past().held(A, X).spoiled(X)
LONE_NAME = LONE.object_of(X)
WITHDRAWN = Past().held(A, X).did(Push(A, ONE)).spoiled(X)
WITHDRAWN_NAME = WITHDRAWN.object_of(X)
WITHDRAWN.did(Verify(A, WITHDRAWN_NAME), Heal(A, D)).held(B, X).ago(HOUR)

UPKEEP: Mapping[str, Scenario] = {
    "a manifest comes back, and the collector": GONE.meets([RestoreSurely(A, TWO.digest)], COLLECT),
    "an index of a blob, and the collector": CACHED.meets([Push(A, CACHE)], COLLECT),
    "an index of a blob goes, and the collector": CACHED.meets([Delete(A, CACHE.digest)], COLLECT),
    "an index of a blob comes back, and the collector": CACHE_GONE.meets(
        [RestoreSurely(A, CACHE.digest)], COLLECT
    ),
    "bad bytes of what is deleted, and named by a sparse edge": SPARSE.meets(
        [SPARSE.put(B, X), *HEAL], [StaysDeleted(A, D)], is_sparse=True
    ),
    "bad bytes that an index names as a blob": NAMED.meets(
        [Push(A, CACHE), Verify(A, NAMED.object_of(X)), *HEAL, NAMED.put(B, X), *HEAL]
    ),
}
"""Two meet, of whom one is upkeep."""

BIG_UPKEEP: Mapping[str, Scenario] = {
    "healing stalls, and who it heals leaves": WITHDRAWN.meets(
        [DoTaskSlowly(A, Task(D, WITHDRAWN_NAME, Stage.HEAL))],
        [Delete(A, ONE.digest), Pause(A, 6 * L), Purge(A, ONE.digest), *COLLECT],
    ),
    "an upload stalls while the only good bytes go bad": LONE.meets(
        [Verify(A, LONE_NAME), *HEAL, *LATER, DoTask(A, Task(D, LONE_NAME, Stage.SETTLE))],
        [LONE.put_slowly(C, X)],
    ),
}
"""The same, in so many ways that only those without a crash are tried."""
