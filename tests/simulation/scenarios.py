"""Scenarios: who meets whom, and what they find."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Self

import pytest

from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.manifests.media_types import OCI_INDEX, OCI_MANIFEST
from shared.model.names import RepositoryName, Tag, referrers_tag
from shared.model.upload import Upload
from shared.services.content import manifests, plans, pushes
from shared.services.content.uploads import Part
from shared.services.deletions import restores
from shared.storage import keys
from tests.simulation.aftermath import hand_on
from tests.simulation.blobs.operations import PutSlowly
from tests.simulation.explorer import Scenario
from tests.simulation.loop import Loop
from tests.simulation.operations import (
    Collect,
    Delete,
    DeleteBlob,
    Ensure,
    Follow,
    Head,
    Mount,
    Operation,
    Pause,
    Pull,
    Push,
    PushNew,
    PutBlob,
    Retire,
    Untag,
)
from tests.simulation.world import GRACE, World

A, B, C = RepositoryName("a"), RepositoryName("b/c"), RepositoryName("c")
V1 = Tag("v1")
X, Y, Z = b"x", b"yy", b"zzz"


def digest(content: bytes) -> Digest:
    """Name bytes."""
    return Digest.of(content)


def _descriptor(content: bytes, media_type: str = "application/octet-stream") -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(digest(content)), "size": len(content)}


def image(*contents: bytes, subject: Manifest | None = None) -> Manifest:
    """Make an image of blobs: the first is its config."""
    fields: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(contents[0]),
        "layers": [_descriptor(content) for content in contents[1:]],
    }
    if subject:
        fields["subject"] = _descriptor(subject.body, subject.media_type)
    return read_manifest(json.dumps(fields).encode(), OCI_MANIFEST)


def index(*children: Manifest) -> Manifest:
    """Make an index of images."""
    manifests = [_descriptor(child.body, child.media_type) for child in children]
    fields = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return read_manifest(json.dumps(fields).encode(), OCI_INDEX)


@contextmanager
def small() -> Iterator[None]:
    """Make transactions and rows so small that every manifest is a large one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "MOST_CHANGES", 5)
        patch.setattr(pushes, "INLINE_BYTES", 100)
        patch.setattr(manifests, "_TAGS", 1)
        patch.setattr(restores, "_TAGS", 1)
        yield


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


class Past:
    """What happened before: a world, and the process that made it so."""

    def __init__(self) -> None:
        self.world = World()
        self._process = self.world.process(0xAAAA)

    def did(self, *operations: Operation) -> Self:
        """Let operations have happened."""
        for operation in operations:
            loop = Loop()
            try:
                loop.complete(operation.run(self._process))
            finally:
                loop.close()
        return self

    def held(self, repository: RepositoryName, *contents: bytes) -> Self:
        """Let a repository have been given blobs."""
        return self.did(*(self.put(repository, content) for content in contents))

    def put(self, repository: RepositoryName, content: bytes) -> PutBlob:
        """Give the last step of an upload."""
        return PutBlob(repository, digest(content), self.upload(content))

    def put_slowly(self, repository: RepositoryName, content: bytes) -> PutSlowly:
        """Give the last step of an upload, which may take long."""
        return PutSlowly(repository, digest(content), self.upload(content))

    def ensure(self, repository: RepositoryName, content: bytes) -> Ensure:
        """Give the last step of an upload that may not be needed."""
        return Ensure(repository, digest(content), self.upload(content))

    def upload(self, content: bytes) -> Upload:
        """Stage all of an upload."""

        uploads = self._process.uploads
        loop = Loop()
        try:
            return loop.complete(uploads.append(uploads.start(), Part(_once(content))))
        finally:
            loop.close()

    def heard(self) -> Self:
        """Let all that was to hear of it have heard."""
        loop = Loop()
        try:
            hand_on(self.world, loop)
        finally:
            loop.close()
        return self

    def forked(self, start: bytes, *ends: bytes) -> list[PutBlob]:
        """Give the last steps of a session that was continued in several ways at once."""
        uploads, loop = self._process.uploads, Loop()
        try:
            first = loop.complete(uploads.append(uploads.start(), Part(_once(start))))
            later = [loop.complete(uploads.append(first, Part(_once(end)))) for end in ends]
        finally:
            loop.close()
        return [
            PutBlob(A, digest(start + end), upload) for end, upload in zip(ends, later, strict=True)
        ]

    def object_of(self, content: bytes) -> str:
        """Name the object that has a blob's bytes."""
        return str(self.world.holders(digest(content))[keys.CONTENT].values["object"])

    def spoiled(self, content: bytes) -> Self:
        """Let a blob's bytes have rotted; nobody knows yet."""
        name = self.object_of(content)
        there = self.world.kept.objects[name]
        self.world.kept.objects[name] = replace(there, data=b"rotten")
        self.world.rotten |= {name}
        self.world.spoiled |= {digest(content)}
        return self

    def elsewhere(self, content: bytes) -> Self:
        """Let a registry that was there before, or is beside this one, hold a blob too."""
        process, loop = self.world.process(0xBBBB, generation="h" * 32), Loop()
        try:
            upload = loop.complete(
                process.uploads.append(process.uploads.start(), Part(_once(content)))
            )
            put = PutBlob(A, digest(content), upload)
            loop.complete(put.run(process))
        finally:
            loop.close()
        kept = self.world.kept.objects
        self.world.strange = {name: it.data for name, it in kept.items() if name[0] == "h"}
        return self

    def ago(self, span: timedelta = 2 * GRACE) -> Self:
        """Let that have been so long ago."""
        self.world.clock.now += span
        return self

    def meets(self, *processes: Sequence[Operation], is_sparse: bool = False) -> Scenario:
        """Let processes meet in this world."""
        return Scenario(self.world, processes, is_sparse=is_sparse)


OLD = Past().held(A, X).ago()
NEAR = Past().held(A, X).ago(GRACE * 0.49)
FRESH = Past().held(A, X)
BOTH = Past().held(A, X).held(B, X).ago()
USED = Past().held(A, X, Y).did(Push(A, image(X, Y))).ago()
BLOBS = Past().held(A, X, Y)
ONE, TWO = image(X), image(X, Y)
THERE = Past().held(A, X, Y).did(Push(A, ONE))
TAGGED = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1))
EMPTY = Past().held(A, X, Y).did(Push(A, ONE), Delete(A, ONE.digest))
OLD_TWO = Past().held(A, X, Y).ago()
with small():
    LARGE_THERE = Past().held(A, X, Y).did(Push(A, TWO))
    LARGE_OLD = Past().held(A, X, Y).did(Push(A, TWO)).ago()
ABOUT, NEW = image(Y, subject=ONE), image(Y, Y, subject=ONE)
UNDER = referrers_tag(ONE.digest)
LISTED = (
    Past()
    .held(A, X, Y)
    .did(Push(A, ABOUT, V1), Push(A, index(ABOUT), UNDER))
    .heard()
    .did(Push(A, NEW, Tag("new")))
)

WIDE = Digest.of(X, "sha512")
COLLECT = [Collect(A, digest(X))]
COLLECT_B = [Collect(B, digest(X))]
MOUNT = [Mount(B, digest(X), A)]
HEAD_AND_PUSH = [Head(A, digest(X)), Pause(A), Push(A, ONE)]
DELETE = [Delete(A, ONE.digest)]
LEAVE = [*DELETE, Retire(A)]
FOLLOW = [Follow(A)]
SESSION = [PutBlob(A, digest(Z), BLOBS.upload(Z))]

PAIRS: Mapping[str, Scenario] = {
    "a push of an old blob": OLD.meets([Push(A, ONE)], COLLECT),
    "a push after HEAD": OLD.meets([Head(A, digest(X)), Push(A, ONE)], COLLECT),
    "a push after HEAD or upload": OLD.meets([OLD.ensure(A, X), Push(A, ONE)], COLLECT),
    "a push long after HEAD": OLD.meets(HEAD_AND_PUSH, COLLECT),
    "a push long after HEAD of a blob seen lately": NEAR.meets(HEAD_AND_PUSH, COLLECT),
    "a push long after an upload": FRESH.meets(
        [FRESH.put(A, Y), Pause(A), Push(A, TWO)], [Collect(A, digest(Y))]
    ),
    "an upload": OLD.meets([OLD.put(A, X)], COLLECT),
    "an upload elsewhere": OLD.meets([OLD.put(B, X)], COLLECT),
    "an upload of what another holds": BOTH.meets([BOTH.put(A, X)], COLLECT),
    "an upload of something else": OLD.meets(
        [PutBlob(A, digest(Y), OLD.upload(X)), PutBlob(A, WIDE, OLD.upload(Y))], COLLECT
    ),
    "an upload under a longer digest": OLD.meets(
        [PutBlob(A, WIDE, OLD.upload(X))], [Collect(A, WIDE)]
    ),
    "a mount": OLD.meets(MOUNT, COLLECT),
    "two holders": BOTH.meets(COLLECT, COLLECT_B),
    "two collectors": OLD.meets(COLLECT, COLLECT),
    "a deletion": USED.meets([Delete(A, TWO.digest)], COLLECT),
    "a deletion and a push of the same": USED.meets(
        [Delete(A, TWO.digest), *COLLECT], [Push(A, TWO)]
    ),
    "a deletion of a blob and a push": OLD.meets([DeleteBlob(A, digest(X))], [Push(A, ONE)]),
    "two pushes of a tag": BLOBS.meets([Push(A, ONE)], [Push(A, TWO)]),
    "two pushes of a tag that is there": TAGGED.meets([Push(A, ONE, is_warm=True)], [Push(A, TWO)]),
    "two pushes of a tag that is to be new": BLOBS.meets([PushNew(A, ONE)], [PushNew(A, TWO)]),
    "two pushes of one manifest": BLOBS.meets([Push(A, ONE)], [Push(A, ONE)]),
    "a push and a deletion": TAGGED.meets([Push(A, ONE, Tag("v2"))], DELETE),
    "a warm push and a deletion": TAGGED.meets([Push(A, ONE, is_warm=True)], DELETE),
    "a push of another, and a deletion": TAGGED.meets([Push(A, TWO)], DELETE),
    "a pull, while its tag moves and the manifest goes": TAGGED.meets(
        [Pull(A, V1)], [Push(A, TWO, V1), *DELETE]
    ),
    "two deletions": TAGGED.meets(DELETE, DELETE),
    "an index and a push of its child": THERE.meets([Push(A, index(ONE), V1)], [Push(A, ONE)]),
    "an index and a deletion of its child": THERE.meets([PushNew(A, index(ONE), V1)], DELETE),
    "a referrer comes and goes": THERE.meets(
        [Push(A, ABOUT, V1), Delete(A, ABOUT.digest)], [Push(A, ABOUT, V1)]
    ),
    "retiring what never was": BLOBS.meets([Push(A, ONE)], [Retire(A)]),
    "retiring what is empty": EMPTY.meets([Push(A, TWO)], [Retire(A)]),
    "retiring, and a warm push": EMPTY.meets([Push(A, TWO, is_warm=True)], [Retire(A)]),
    "the last manifest goes and another comes": THERE.meets(LEAVE, [Push(A, TWO)]),
    "the last manifest goes and comes back": THERE.meets(LEAVE, [Push(A, ONE, is_warm=True)]),
}
"""Two meet. Where only one is named, the other is the collector."""

LISTS: Mapping[str, Scenario] = {
    "a referrer is listed and deleted": LISTED.meets(FOLLOW, [Delete(A, NEW.digest), *FOLLOW]),
    "a referrer is listed twice": LISTED.meets(FOLLOW, FOLLOW),
    "a list is kept by two": LISTED.meets([Push(A, index(ABOUT), UNDER)], FOLLOW),
    "a list is emptied by its client": LISTED.meets([Push(A, index(), UNDER)], FOLLOW),
    "a list goes": LISTED.meets([Untag(A, UNDER)], FOLLOW),
    "a referrer comes": LISTED.meets([Push(A, image(Y, X, subject=ONE), V1)], FOLLOW),
}
"""A list of referrers that an old client keeps is brought in step."""

LARGE: Mapping[str, Scenario] = {
    "a large push": OLD_TWO.meets([Head(A, digest(X)), Push(A, TWO)], COLLECT),
    "two large pushes": BLOBS.meets([Push(A, TWO)], [Push(A, TWO)]),
    "a large deletion": LARGE_OLD.meets([Delete(A, TWO.digest)], COLLECT),
}
"""Two meet, and what they push or delete takes several transactions, and an object."""

BIG_LARGE: Mapping[str, Scenario] = {
    "a large push and a deletion": LARGE_THERE.meets([Push(A, TWO)], [Delete(A, TWO.digest)]),
    "a large referrer": THERE.meets([Push(A, ABOUT), Delete(A, ABOUT.digest)], [Push(A, ABOUT)]),
}
"""The same, in so many ways that only those without a crash are tried."""

CROWDS: Mapping[str, Scenario] = {
    "a deletion of a blob, and an upload": OLD.meets(
        [DeleteBlob(A, digest(X))], COLLECT, [OLD.put(A, X)]
    ),
    "two holders and a mount": BOTH.meets(COLLECT, COLLECT_B, [Mount(C, digest(X), B)]),
    "three pushes": BLOBS.meets([Push(A, ONE)], [Push(A, TWO)], [Push(A, ONE, V1)]),
    "a push, a deletion and an untagging": TAGGED.meets([Push(A, TWO)], DELETE, [Untag(A, V1)]),
    "one session finished twice": BLOBS.meets(SESSION, SESSION, [Push(A, image(X, Z))]),
    "retiring twice": EMPTY.meets([Push(A, TWO)], [Retire(A)], [Retire(A)]),
}
"""Three meet."""

BIG_CROWDS: Mapping[str, Scenario] = {
    "a sparse push": OLD.meets(
        [Push(A, TWO, is_sparse=True)], [OLD.put(A, Y)], COLLECT, is_sparse=True
    ),
    "two uploads": OLD.meets([OLD.put(A, X)], [OLD.put(B, X)], COLLECT),
    "an upload and two collectors": OLD.meets([OLD.put(A, X)], COLLECT, COLLECT),
    "a mount and an upload": OLD.meets(MOUNT, [OLD.put(C, X)], COLLECT),
    "a mount of what is deleted and uploaded again": OLD.meets(
        MOUNT, [DeleteBlob(A, digest(X)), *COLLECT], [OLD.put(A, X)]
    ),
    "two holders and an upload": BOTH.meets(COLLECT, COLLECT_B, [BOTH.put(C, X)]),
    "the last manifest goes and two come": THERE.meets(LEAVE, [Push(A, TWO)], [Push(A, ONE, V1)]),
}
"""Three meet, in so many ways that only those without a crash are tried."""
