"""Scenarios of uploads: sent twice at once, repeated, late, in crowds; and what is discovered."""

from collections.abc import Mapping
from datetime import timedelta

from shared.storage import keys
from tests.simulation.blobs.operations import (
    Cancel,
    Discover,
    DiscoverInVain,
    Look,
    PutLongAfter,
    PutRest,
    PutStaged,
    PutSurely,
    Verify,
)
from tests.simulation.blobs.scenarios import D
from tests.simulation.explorer import Scenario
from tests.simulation.operations import Delete, DeleteBlob, Pause, Push, PutBlob
from tests.simulation.scenarios import (
    COLLECT,
    ONE,
    TWO,
    A,
    C,
    Past,
    X,
    Y,
    digest,
)
from tests.simulation.world import GENERATION, GRACE

HOUR = timedelta(hours=1)

BEGUN = Past()
BEGINNING = BEGUN.upload(b"-")
FRESH = Past().held(A, X, Y)
AGAIN = Past().held(A, X)
SECOND = AGAIN.put(A, X)
AGAIN.did(SECOND).ago(HOUR)
REPEATED = Past().held(A, X)
OWN = REPEATED.put(A, X)
REPEATED.did(OWN).spoiled(X)
REPEATED.did(Verify(A, REPEATED.object_of(X))).ago(HOUR)
STALE = Past()
STALE_PUT = STALE.put(A, X)
STALE.did(STALE_PUT).ago()
SLOW = Past()
SLOW_UPLOAD = SLOW.upload(X)
FIRST = Past()
FIRST_PUT = FIRST.put(A, X)
SPENT = Past().held(A, X, Y).did(Push(A, ONE), Delete(A, ONE.digest)).ago(HOUR)
SHOWN = Past().held(A, X).ago()


def name_of(put: PutBlob) -> str:
    """Name the object that an upload makes."""
    return keys.object_name(GENERATION, put.upload.object)


UPLOADS: Mapping[str, Scenario] = {
    "two ends of one session, sent at once": BEGUN.meets(
        [PutRest(A, digest(b"-a"), BEGINNING, b"a")], [PutRest(A, digest(b"-b"), BEGINNING, b"b")]
    ),
    "a repeated PUT, and its object is removed": AGAIN.meets(
        [PutSurely(A, D, SECOND.upload)], [Look(A, name_of(SECOND))]
    ),
    "a repeated PUT of what has gone bad, and its object is removed": REPEATED.meets(
        [OWN], [Look(A, name_of(OWN))]
    ),
    "a name comes back, and its first bytes are removed": STALE.meets(
        [PutStaged(A, D, STALE_PUT.upload, X)], COLLECT
    ),
    "an upload that stalls before its object is named": SLOW.meets(
        [PutLongAfter(A, D, SLOW_UPLOAD)],
        [Pause(A, GRACE), Look(A, keys.object_name(GENERATION, SLOW_UPLOAD.object))],
    ),
    "a first upload, and a verification of its object": FIRST.meets(
        [PutSurely(A, D, FIRST_PUT.upload)], [Verify(A, name_of(FIRST_PUT))]
    ),
    "an upload, and its end by its client": FIRST.meets(
        [FIRST_PUT], [Cancel(A, D, FIRST_PUT.upload)]
    ),
    "what a deleted manifest used is discovered": SPENT.meets(
        [DeleteBlob(A, D), DiscoverInVain(C, D)], COLLECT
    ),
    "a blob is discovered, and deleted": SHOWN.meets([Discover(C, D)], [DeleteBlob(A, D)]),
    "a blob is discovered, and leaves": SHOWN.meets([Discover(C, D)], COLLECT),
    "an upload, and pushes of the same link": FRESH.meets(
        [PutSurely(A, D, FRESH.upload(X))], [Push(A, ONE), Push(A, TWO)]
    ),
}
"""Two meet over an upload, or a mount from anywhere."""
