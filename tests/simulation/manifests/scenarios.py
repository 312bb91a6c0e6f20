"""Scenarios of manifests, tags and repositories: lives, builds, restores, purges, deletions."""

import json
from collections.abc import Mapping
from datetime import timedelta

from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.manifests.media_types import OCI_INDEX
from shared.model.names import Tag
from shared.storage import ages
from shared.storage.messages.errands import Kind
from tests.simulation.explorer import Scenario
from tests.simulation.manifests.operations import (
    DeleteRepository,
    HandOn,
    Lock,
    Purge,
    PushAnyway,
    PushBoth,
    Restore,
    RunErrands,
)
from tests.simulation.operations import Collect, Delete, DeleteBlob, Pause, Push, Retire, Untag
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
    Past,
    X,
    Y,
    _descriptor,
    digest,
    index,
    small,
)

HOUR = timedelta(hours=1)
V2 = Tag("v2")
LATE = Pause(A, 3 * ages.L)


def cache(*contents: bytes) -> Manifest:
    """Make an index of blobs, as BuildKit does."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_descriptor(content) for content in contents],
    }
    return read_manifest(json.dumps(fields).encode(), OCI_INDEX)


DELETED = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1), Delete(A, ONE.digest))
KEPT = Past().held(A, X, Y).did(Push(A, TWO), Push(A, ONE, V1), Delete(A, ONE.digest))
OVER = Past().held(A, X, Y).did(Push(A, TWO), Push(A, ONE, V1), Delete(A, ONE.digest)).ago()
REFERRED = (
    Past()
    .held(A, X, Y)
    .did(Push(A, ONE), Push(A, ABOUT, V1))
    .ago(HOUR)
    .did(Delete(A, ONE.digest))
    .ago(HOUR)
)
CACHED = Past().held(A, X, Y).did(Push(A, cache(X)), Push(A, ONE, V1), Delete(A, cache(X).digest))
PARENT = (
    Past().held(A, X, Y).did(Push(A, ONE), Push(A, index(ONE), V1), Delete(A, index(ONE).digest))
)
with small():
    LARGE_OVER = (
        Past().held(A, X, Y).did(Push(A, ONE, V1), Push(A, TWO), Delete(A, TWO.digest)).ago()
    )

DELETE = [Delete(A, ONE.digest)]
PURGE = [Purge(A, ONE.digest)]
RESTORE = [Restore(A, ONE.digest)]

LIVES: Mapping[str, Scenario] = {
    "a purge, and a push of the same": OVER.meets(PURGE, [Push(A, ONE)]),
    "a purge, and a restore that comes too late": OVER.meets(PURGE, RESTORE),
    "two purges": OVER.meets(PURGE, PURGE),
    "a purge, and a push of a referrer": REFERRED.meets(PURGE, [Push(A, ABOUT, V2)]),
    "a purge, and a push of the subject": REFERRED.meets(PURGE, [Push(A, ONE, V2)]),
    "a restore": DELETED.meets(RESTORE, [Pause(A, timedelta(0))]),
    "a restore, and a push of its tag": DELETED.meets(RESTORE, [Push(A, TWO, V1)]),
    "a restore, and a push of the same": DELETED.meets(RESTORE, [Push(A, ONE, V2)]),
    "a restore, and a deletion": KEPT.meets(RESTORE, DELETE),
    "two restores": KEPT.meets(RESTORE, RESTORE),
    "a restore of an index, and a deletion of its child": PARENT.meets(
        [Restore(A, index(ONE).digest)], DELETE
    ),
    "an index of a blob, and a deletion of that": BLOBS.meets(
        [Push(A, cache(X))], [DeleteBlob(A, digest(X))]
    ),
    "a restored index of a blob, and a deletion of that": CACHED.meets(
        [Restore(A, cache(X).digest)], [DeleteBlob(A, digest(X))]
    ),
    "a tag that moves, and a deletion": TAGGED.meets([Push(A, TWO, V1)], DELETE),
    "a tag that moves, and its removal": TAGGED.meets([Push(A, TWO, V1)], [Untag(A, V1)]),
    "two tags that two move": TAGGED.meets([PushBoth(A, TWO, V1)], [PushBoth(A, ONE, V1)]),
    "latest moves to an index of what it was": THERE.meets([Push(A, index(ONE))], DELETE),
    "events are handed on twice": THERE.meets([HandOn(A)], [HandOn(A)]),
    "events are handed on while one comes": THERE.meets([HandOn(A)], [Push(A, TWO, V1)]),
}
"""Two meet over manifests, live or deleted, and their tags."""

REPOSITORIES: Mapping[str, Scenario] = {
    "a repository goes twice": TAGGED.meets([DeleteRepository(A)], [DeleteRepository(A)]),
    "a repository goes, and a push comes": TAGGED.meets(
        [DeleteRepository(A)], [PushAnyway(A, TWO)]
    ),
    "a repository goes, is pushed to, and upkeep goes on": TAGGED.meets(
        [DeleteRepository(A), PushAnyway(A, TWO, V1)],
        [RunErrands(A, Kind.DELETE_REPOSITORY)],
    ),
    "a repository goes, and retires": TAGGED.meets([DeleteRepository(A)], [Retire(A)]),
    "a repository goes, and is locked": TAGGED.meets([DeleteRepository(A)], [Lock(A)]),
    "a push, long before it retires": EMPTY.meets([PushAnyway(A, TWO)], [LATE, Retire(A)]),
    "a first push, and it retires as late as it may come": BLOBS.meets(
        [PushAnyway(A, ONE)], [Pause(A, ages.L), Retire(A)]
    ),
}
"""Two meet over a repository as a whole."""

BUILDS: Mapping[str, Scenario] = {
    "a build, and who ends it": BLOBS.meets([Push(A, TWO)], [RunErrands(A, Kind.END_BUILD)]),
    "a build that sleeps, and who ends it": BLOBS.meets(
        [PushAnyway(A, TWO)], [LATE, RunErrands(A, Kind.END_BUILD)]
    ),
    "a build of what was deleted, and a deletion of its blob": LARGE_OVER.meets(
        [Push(A, TWO)], [DeleteBlob(A, digest(Y))]
    ),
    "a build of what was deleted, and the collector": LARGE_OVER.meets(
        [Push(A, TWO)], [Purge(A, TWO.digest), Collect(A, digest(Y))]
    ),
    "a deletion of two tags, and a push of the same": TAGGED.meets(DELETE, [Push(A, ONE, V2)]),
    "a deletion of two tags, and one moves": TAGGED.meets(DELETE, [Push(A, TWO, V1)]),
    "two deletions of two tags": TAGGED.meets(DELETE, DELETE),
    "a restore of two tags, and a deletion": DELETED.meets(RESTORE, DELETE),
}
"""Two meet over what takes several transactions."""
