"""Scenarios about blobs: uploads that meet uploads, deletions, the collector, and bad bytes."""

from collections.abc import Mapping

from shared.services.verification.healing import Stage, Task
from shared.storage import keys
from shared.storage.ages import L
from tests.simulation.blobs.operations import DoTask, Heal, Look, Verify
from tests.simulation.explorer import Scenario
from tests.simulation.operations import (
    Collect,
    DeleteBlob,
    Mount,
    Pause,
    Push,
)
from tests.simulation.scenarios import (
    COLLECT,
    COLLECT_B,
    ONE,
    A,
    B,
    C,
    Past,
    X,
    digest,
)
from tests.simulation.world import GENERATION

D = digest(X)
LATER = [Pause(A, L * 0.9)] * 3

OLD_B = Past().held(B, X).ago()
KNOWN = Past().held(A, X)
AGAIN = KNOWN.put(A, X)
KNOWN.did(AGAIN)
FORKED = Past()
ONE_END, OTHER_END = FORKED.forked(b"-", b"a", b"b")
LATE_FORKED = Past()
FIRST_END, SECOND_END = LATE_FORKED.forked(b"-", b"a", b"b")
LATE_FORKED.did(FIRST_END).ago()
TWO_REGISTRIES = Past().elsewhere(X).held(A, X).ago()

BAD = Past().held(A, X).held(B, X).spoiled(X)
BAD_NAME = BAD.object_of(X)
BAD_USED = Past().held(A, X).did(Push(A, ONE)).spoiled(X)
USED_NAME = BAD_USED.object_of(X)
KNOWN_BAD = Past().held(A, X).did(Push(A, ONE)).spoiled(X)
KNOWN_NAME = KNOWN_BAD.object_of(X)
KNOWN_BAD.did(Verify(A, KNOWN_NAME))
LEFT_BAD = Past().held(A, X).spoiled(X).ago()
LEFT_NAME = LEFT_BAD.object_of(X)
LEFT_BAD.did(Verify(A, LEFT_NAME))
LEFT_TWO = Past().held(A, X).held(B, X).spoiled(X).ago()
LEFT_TWO.did(Verify(A, LEFT_TWO.object_of(X)))
NEW = Past().held(A, X)
NEW_PUT = NEW.put(A, b"new")
NOTED = Past().held(A, X)
NOTED_PUT = NOTED.put(A, X)
NOTED.did(NOTED_PUT).spoiled(X).ago(3 * L)
NOTED_NAME = NOTED.object_of(X)

HEAL = [Heal(A, D)]
FIND = [Verify(A, BAD_NAME), *HEAL]
FIND_USED = [Verify(A, USED_NAME), *HEAL]

BLOBS: Mapping[str, Scenario] = {
    "a repeated PUT of known content": KNOWN.meets([AGAIN], COLLECT),
    "two ends of one session": FORKED.meets([ONE_END], [OTHER_END]),
    "another end of a session, and the collector": LATE_FORKED.meets(
        [SECOND_END], [Collect(A, digest(b"-a"))]
    ),
    "an upload elsewhere, and one that leaves": OLD_B.meets([OLD_B.put(A, X)], COLLECT_B),
    "a deletion, a pause, the collector, and an upload": KNOWN.meets(
        [DeleteBlob(A, D), *LATER, *COLLECT], [KNOWN.put_slowly(A, X)]
    ),
    "an upload, and a look at its object": NEW.meets(
        [NEW_PUT], [Look(A, keys.object_name(GENERATION, NEW_PUT.upload.object))]
    ),
    "two registries with one blob": TWO_REGISTRIES.meets(COLLECT, [TWO_REGISTRIES.put(B, X)]),
}
"""Nothing is bad."""

HEALING: Mapping[str, Scenario] = {
    "bad bytes and an upload": BAD_USED.meets(FIND_USED, [BAD_USED.put(A, X)]),
    "bad bytes and an upload elsewhere": BAD_USED.meets(FIND_USED, [BAD_USED.put(B, X)]),
    "bad bytes and a mount": BAD_USED.meets(FIND_USED, [Mount(C, D, A)]),
    "bad bytes and a push": BAD.meets(FIND, [Push(A, ONE)]),
    "bad bytes, found twice": BAD.meets([Verify(A, BAD_NAME)], [Verify(A, BAD_NAME)]),
    "bad bytes and a deletion": BAD.meets([*FIND, BAD.put(B, X), *HEAL], [DeleteBlob(A, D)]),
    "known bad bytes, and two good uploads": KNOWN_BAD.meets(
        [KNOWN_BAD.put(A, X)], [KNOWN_BAD.put(B, X)]
    ),
    "the first pass comes again": KNOWN_BAD.meets(
        [KNOWN_BAD.put(A, X)], [DoTask(A, Task(D, KNOWN_NAME, Stage.WITHDRAW))]
    ),
    "healing and leaving": LEFT_BAD.meets([*HEAL, *LATER, *HEAL], COLLECT),
    "one leaves bad bytes": LEFT_TWO.meets(HEAL, COLLECT),
    "bad bytes, and an upload long after": BAD_USED.meets(
        [*FIND_USED, *LATER, *HEAL, BAD_USED.put(B, X)]
    ),
}
"""Bytes have rotted; some are known to be bad already."""

BIG_HEALING: Mapping[str, Scenario] = {
    "known bad bytes, a good upload, and healing": KNOWN_BAD.meets(
        [KNOWN_BAD.put(B, X), *HEAL], HEAL
    ),
    "an upload that stalls while bad bytes go": BAD.meets(
        [*FIND, *LATER, *HEAL], [BAD.put_slowly(C, X)]
    ),
    "a repeated PUT, while what it joined goes bad": NOTED.meets(
        [Verify(A, NOTED_NAME)], [NOTED_PUT], COLLECT
    ),
    "bad bytes, an upload and a mount": BAD_USED.meets(
        [Verify(A, USED_NAME)], [BAD_USED.put(B, X)], [Mount(C, D, A)]
    ),
}
"""The same, in so many ways that only those without a crash are tried."""
