"""Scenarios of upkeep: its errands meet clients, each other and themselves, late or after a crash.

And of what takes long: calls that hang and take effect late, or once more; messages that drop.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from shared.model.names import Tag
from shared.services.content import plans
from shared.storage import ages
from shared.storage.messages.errands import Kind
from tests.simulation.explorer import Scenario
from tests.simulation.manifests.operations import (
    DeleteRepository,
    HandOn,
    Lock,
    Purge,
    PushAnyway,
    Restore,
    RunErrands,
)
from tests.simulation.manifests.scenarios import HOUR, REFERRED, V2
from tests.simulation.operations import (
    LATEST,
    Collect,
    Delete,
    DeleteBlob,
    Operation,
    Pause,
    Push,
    Retire,
    Untag,
)
from tests.simulation.scenarios import (
    ABOUT,
    BLOBS,
    EMPTY,
    ONE,
    TAGGED,
    THERE,
    TWO,
    V1,
    A,
    X,
    Y,
    digest,
    image,
    index,
    small,
)
from tests.simulation.upkeep.operations import (
    Before,
    DeleteAll,
    DeleteSlowly,
    Echo,
    EndRestore,
    Fetch,
    Listen,
    PurgeAnyway,
    PurgeFirst,
    PushInTime,
    PushInVain,
    PushSlowly,
    PushTogether,
    RestoreSlowly,
    SeeTo,
    UntagSlowly,
)

V3 = Tag("v3")


@contextmanager
def middle() -> Iterator[None]:
    """Make transactions so small that only a manifest that lacks parts is pushed in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "MOST_CHANGES", 9)
        yield


BOTH_TAGS = [Push(A, ONE), Push(A, ONE, V1)]
SECOND = image(X, X)


def errand(kind: Kind) -> list[Operation]:
    """Run the errands of a kind."""
    return [RunErrands(A, kind)]


with small():
    DYING = (
        Before().held(A, X, Y).did(*BOTH_TAGS).died(Delete(A, ONE.digest), at="v1").ago(3 * ages.L)
    )
    HALF_BACK = (
        Before()
        .held(A, X, Y)
        .did(*BOTH_TAGS, Delete(A, ONE.digest))
        .died(Restore(A, ONE.digest), at="Insert tag|v1")
        .ago(3 * ages.L)
    )

ENDED = Before().held(A, X, Y).did(*BOTH_TAGS, Delete(A, ONE.digest)).announced()
ONE_LEFT = Before().held(A, X, Y).did(*BOTH_TAGS, Push(A, TWO, V2), Delete(A, ONE.digest))
ONE_LEFT.announced()
DUE = (
    Before()
    .held(A, X, Y)
    .did(*BOTH_TAGS, Delete(A, ONE.digest))
    .announced()
    .did(*errand(Kind.AFTER_DELETION))
    .ago(5 * ages.L)
)
DUE_LATER = (
    Before()
    .held(A, X, Y)
    .did(*BOTH_TAGS, Push(A, TWO, V2), Delete(A, ONE.digest))
    .announced()
    .did(*errand(Kind.AFTER_DELETION))
    .ago(5 * ages.L)
)
NEVER = Before().held(A, X, Y).died(Push(A, ONE), at="Insert writable").ago(3 * ages.L)
NEVER.heard()
TWICE_OVER = (
    Before()
    .held(A, X, Y)
    .did(Push(A, ONE))
    .ago(HOUR)
    .did(Push(A, ABOUT, V1))
    .ago(HOUR)
    .did(Delete(A, ONE.digest), Push(A, ONE))
    .ago(HOUR)
    .did(Delete(A, ONE.digest))
    .ago(HOUR)
)
CLOSED = Before().held(A, X, Y).closed(Push(A, ONE))
CLOSED.did(Delete(A, ONE.digest))
CLOSED_TAGGED = Before().held(A, X, Y).closed(*BOTH_TAGS)
HOLED = Before().held(A, X).did(Push(A, TWO, is_sparse=True)).held(A, Y).ago()
LIST = index(ONE, SECOND)

DELETE = [Delete(A, ONE.digest)]
END_DELETION = errand(Kind.END_DELETION)
END_RESTORE = errand(Kind.END_RESTORE)
AFTER_DELETION = errand(Kind.AFTER_DELETION)
PURGE_ERRAND = errand(Kind.PURGE)
RETIRE_ERRAND = errand(Kind.RETIRE)
PURGE = [Purge(A, ONE.digest)]

DEAD: Mapping[str, Scenario] = {
    "a dead deletion, and a push of the same": DYING.meets(END_DELETION, [Push(A, ONE, V2)]),
    "a dead deletion, and a push of a tag it has taken": DYING.meets(
        END_DELETION, [Push(A, ONE), Fetch(A, ONE.digest)]
    ),
    "a dead deletion, and a push of a tag it takes": DYING.meets(END_DELETION, [Push(A, ONE, V1)]),
    "a dead deletion, and an index of it": DYING.meets(
        END_DELETION, [Push(A, index(ONE), V2), Fetch(A, ONE.digest)]
    ),
    "a dead deletion, and a tag that moves": DYING.meets(END_DELETION, [Push(A, TWO, V1)]),
    "a dead deletion, and its repetition": DYING.meets(END_DELETION, DELETE),
    "a dead deletion, ended twice": DYING.meets(END_DELETION, END_DELETION),
    "a dead restore, and a deletion": HALF_BACK.meets(
        END_RESTORE, [DeleteAll(A, ONE.digest), Push(A, ONE, V3)]
    ),
    "a dead restore, and a push of its tag": HALF_BACK.meets(
        [EndRestore(A, tag=V1)], [Push(A, TWO, V1)]
    ),
    "a dead restore, and a push of another": HALF_BACK.meets(
        [EndRestore(A, tag=V1)], [Push(A, TWO, V2)]
    ),
    "a dead restore, ended twice": HALF_BACK.meets(END_RESTORE, END_RESTORE),
}
"""Upkeep ends what has died, and meets others. Over several transactions."""

ERRANDS: Mapping[str, Scenario] = {
    "after a deletion, and a push of the same": ENDED.meets(AFTER_DELETION, [Push(A, ONE)]),
    "after a deletion, and a push of another": ENDED.meets(AFTER_DELETION, [Push(A, TWO, V1)]),
    "after a deletion, and a restore": ENDED.meets(AFTER_DELETION, [Restore(A, ONE.digest)]),
    "after a deletion, twice": ENDED.meets(AFTER_DELETION, AFTER_DELETION),
    "after a deletion, and another": ONE_LEFT.meets(AFTER_DELETION, [Delete(A, TWO.digest)]),
    "a purge when it is due, and a push of the same": DUE.meets(PURGE_ERRAND, [PushAnyway(A, ONE)]),
    "a purge when it is due, and a tag that comes back": DUE.meets(
        PURGE_ERRAND, [PushAnyway(A, TWO, V1)]
    ),
    "a purge when it is due, twice": DUE.meets(PURGE_ERRAND, PURGE_ERRAND),
    "a purge when it is due, and another deletion": DUE_LATER.meets(
        PURGE_ERRAND, [DeleteAll(A, TWO.digest), SeeTo(A)]
    ),
    "what never came retires, and a push comes": NEVER.meets(RETIRE_ERRAND, [Push(A, ONE)]),
    "a first push, and another comes, goes and retires": DUE.meets(
        [PushAnyway(A, ONE)], [PushAnyway(A, TWO), DeleteAll(A, TWO.digest), Retire(A)]
    ),
    "a deletion is handed on twice": EMPTY.meets([HandOn(A)], [HandOn(A)]),
    "what never came retires twice": NEVER.meets(RETIRE_ERRAND, RETIRE_ERRAND),
    "a purge after a push of the subject": REFERRED.meets(
        [Push(A, ONE, V2), *PURGE, Fetch(A, ABOUT.digest)], [Pause(A, HOUR)]
    ),
    "a purge of the first of two lives": TWICE_OVER.meets(
        [PurgeFirst(A, ONE.digest), Fetch(A, ABOUT.digest)], [Pause(A, HOUR)]
    ),
    "a purge, and hours after a referrer comes": REFERRED.meets(
        [PurgeAnyway(A, ONE.digest)], [Push(A, ABOUT, V2), Pause(A, 2 * HOUR)]
    ),
    "a purge, and a referrer comes hours later": REFERRED.meets(
        [PurgeAnyway(A, ONE.digest)], [Pause(A, HOUR), Push(A, ABOUT, V2)]
    ),
    "a purge, and the subject comes hours later": REFERRED.meets(
        [PurgeAnyway(A, ONE.digest)], [Pause(A, HOUR), Push(A, ONE, V2)]
    ),
    "what nobody may read retires, and a push comes": CLOSED.meets([Retire(A)], [Push(A, TWO)]),
    "what nobody may read goes, and a push comes": CLOSED_TAGGED.meets(
        [DeleteRepository(A)], [PushAnyway(A, TWO)]
    ),
    "a lock, and a push": THERE.meets([PushAnyway(A, TWO)], [Lock(A), PushInVain(A, ONE, V1)]),
    "a lock, and a deletion": TAGGED.meets([DeleteAll(A, ONE.digest)], [Lock(A)]),
    "times of a tag": THERE.meets([PushInTime(A, TWO)], [PushInTime(A, SECOND)]),
    "parts that were missing, and their deletion": HOLED.meets(
        [Push(A, TWO, V1)], [DeleteBlob(A, digest(Y))]
    ),
    "parts that were missing, and the collector": HOLED.meets(
        [Push(A, TWO, V1)], [Collect(A, digest(Y))]
    ),
}
"""Errands meet clients, each other and themselves; a purge takes hours; parts are completed."""

COMPLETED: Mapping[str, Scenario] = {
    "many parts that were missing, and a deletion": HOLED.meets(
        [Push(A, TWO, V1)], [DeleteBlob(A, digest(Y))]
    ),
    "many parts that were missing, and the collector": HOLED.meets(
        [Push(A, TWO, V1)], [Collect(A, digest(Y)), Collect(A, digest(X))]
    ),
    "many parts that were missing, found by two": HOLED.meets(
        [Push(A, TWO, V1)], [Push(A, TWO, V2)]
    ),
    "many parts that were missing, and a tag that goes": HOLED.meets(
        [Push(A, TWO, V1)], [Untag(A, LATEST)]
    ),
    "many parts that were missing, and a life that is purged": HOLED.meets(
        [PushAnyway(A, TWO, V1)],
        [Delete(A, TWO.digest), Push(A, TWO, V2), Pause(A, 5 * ages.L), Purge(A, TWO.digest)],
    ),
    "many parts that were missing, and they go": HOLED.meets(
        [Push(A, TWO, V1)],
        [
            Delete(A, TWO.digest),
            DeleteBlob(A, digest(Y)),
            Push(A, TWO, V2, is_sparse=True),
        ],
    ),
}
"""A manifest that lacked parts is completed over several transactions."""

WAITS = [Pause(A, ages.L * 0.9)] * 3
SLOW: Mapping[str, Scenario] = {
    "a slow deletion, and a push": TAGGED.meets(
        [DeleteSlowly(A, ONE.digest)], [*WAITS, Push(A, ONE, V2)]
    ),
    "a slow untagging, and a push": TAGGED.meets([UntagSlowly(A, V1)], [*WAITS, Push(A, TWO, V1)]),
    "a slow restore, and a push": HALF_BACK.meets(
        [RestoreSlowly(A, ONE.digest)], [*WAITS, Push(A, TWO, V1)]
    ),
    "a slow first push, and it retires": BLOBS.meets([PushSlowly(A, ONE)], [*WAITS, Retire(A)]),
    "a slow push, and it retires": DUE.meets([PushSlowly(A, TWO)], [*WAITS, Retire(A)]),
    "a slow push, and who listens": BLOBS.meets([PushSlowly(A, ONE)], [Listen(A, 4)]),
    "a slow deletion, and who listens": TAGGED.meets([DeleteSlowly(A, ONE.digest)], [Listen(A, 9)]),
    "a slow untagging, and who listens": TAGGED.meets([UntagSlowly(A, V1)], [Listen(A, 9)]),
}
"""Calls hang for up to L, and then take effect, or are given up."""

TURNS: Mapping[str, Scenario] = {
    "two slow pushes take turns, and who listens": THERE.meets(
        [PushTogether(A, TWO, ONE)], [Listen(A, 8)]
    ),
}
"""The same, in so many ways that only those without a crash are tried."""

SLOW_BUILDS: Mapping[str, Scenario] = {
    "a lock, and a large push": BLOBS.meets(
        [PushAnyway(A, TWO)], [Lock(A), PushInVain(A, ONE, V1)]
    ),
    "a slow large push, and who listens": BLOBS.meets([PushSlowly(A, TWO)], [Listen(A, 4)]),
    "a slow large push, and it retires": BLOBS.meets([PushSlowly(A, TWO)], [*WAITS, Retire(A)]),
    "a slow large push, and upkeep": BLOBS.meets(
        [PushSlowly(A, TWO)], [*WAITS, RunErrands(A, Kind.END_BUILD)]
    ),
    "a slow large deletion, and upkeep": TAGGED.meets(
        [DeleteSlowly(A, ONE.digest)], [*WAITS, *END_DELETION]
    ),
}
"""The same over several transactions."""

RECORDED = Before().held(A, X, Y).recorded()
RECORDED_TAGGED = Before().held(A, X, Y).did(*BOTH_TAGS).recorded()
ECHOES: Mapping[str, Scenario] = {
    **{
        f"a push and an untagging, and echo {place}": RECORDED.meets(
            [Push(A, ONE, V1), Untag(A, V1), Push(A, TWO, V1)], [Echo(A, place)]
        )
        for place in (0, 1, 2)
    },
    **{
        f"a deletion and a push, and echo {place}": RECORDED_TAGGED.meets(
            [DeleteAll(A, ONE.digest), Push(A, ONE, V2), Restore(A, ONE.digest)], [Echo(A, place)]
        )
        for place in (0, 1, 2)
    },
}
"""A commit that went well comes once more, late."""

LARGE_ECHOES: Mapping[str, Scenario] = {
    **{
        f"a large push, and echo {place}": RECORDED_TAGGED.meets(
            [Push(A, TWO), Delete(A, TWO.digest)], [Echo(A, place)]
        )
        for place in (0, 1, 2)
    },
    **{
        f"a large push that stays, and echo {place}": RECORDED_TAGGED.meets(
            [Push(A, TWO), Untag(A, LATEST)], [Echo(A, place)]
        )
        for place in (0, 1)
    },
}
"""The same over several transactions."""
