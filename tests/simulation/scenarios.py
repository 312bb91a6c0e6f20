"""Scenarios: who meets whom, and what they find."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Self

from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.media_types import OCI_INDEX, OCI_MANIFEST
from shared.model.names import RepositoryName, Tag
from shared.model.upload import Upload
from shared.services.uploads import Part
from tests.simulation.explorer import Loop, Scenario
from tests.simulation.operations import (
    Collect,
    Delete,
    DeleteBlob,
    Ensure,
    Head,
    Mount,
    Operation,
    Pause,
    Push,
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

    def ensure(self, repository: RepositoryName, content: bytes) -> Ensure:
        """Give the last step of an upload that may not be needed."""
        return Ensure(repository, digest(content), self.upload(content))

    def upload(self, content: bytes) -> Upload:
        """Stage all of an upload."""

        async def body() -> AsyncIterator[bytes]:
            yield content

        uploads = self._process.uploads
        loop = Loop()
        try:
            return loop.complete(uploads.append(uploads.start(), Part(body())))
        finally:
            loop.close()

    def ago(self, span: timedelta = 2 * GRACE) -> Self:
        """Let that have been so long ago."""
        self.world.clock.now += span
        return self

    def meets(self, *processes: Sequence[Operation], is_sparse: bool = False) -> Scenario:
        """Let processes meet in this world."""
        return Scenario(self.world, processes, is_sparse=is_sparse)


def _garbage() -> Mapping[str, Scenario]:
    collect = [Collect(A, digest(X))]
    old = Past().held(A, X).ago()
    used = Past().held(A, X, Y).did(Push(A, image(X, Y))).ago()
    both = Past().held(A, X).held(B, X).ago()
    near = Past().held(A, X).ago(GRACE * 0.49)
    fresh = Past().held(A, X)
    return {
        "a push of an old blob and the collector": old.meets([Push(A, image(X))], collect),
        "a push after HEAD": old.meets([Head(A, digest(X)), Push(A, image(X))], collect),
        "a push after HEAD or upload": old.meets([old.ensure(A, X), Push(A, image(X))], collect),
        "a push long after HEAD": old.meets(
            [Head(A, digest(X)), Pause(A), Push(A, image(X))], collect
        ),
        "a push long after HEAD of a blob seen lately": near.meets(
            [Head(A, digest(X)), Pause(A), Push(A, image(X))], collect
        ),
        "a push long after an upload": fresh.meets(
            [fresh.put(A, Y), Pause(A), Push(A, image(X, Y))], [Collect(A, digest(Y))]
        ),
        "two uploads": old.meets([old.put(A, X)], [old.put(B, X)], collect),
        "an upload and two collectors": old.meets([old.put(A, X)], collect, collect),
        "a mount": old.meets([Mount(B, digest(X), A)], collect),
        "a mount and an upload": old.meets([Mount(B, digest(X), A)], [old.put(C, X)], collect),
        "a mount of what is deleted and uploaded again": old.meets(
            [Mount(B, digest(X), A)],
            [DeleteBlob(A, digest(X)), *collect],
            [old.put(A, X)],
        ),
        "two holders": both.meets(collect, [Collect(B, digest(X))]),
        "two holders and a mount": both.meets(
            collect, [Collect(B, digest(X))], [Mount(C, digest(X), B)]
        ),
        "two holders and an upload": both.meets(collect, [Collect(B, digest(X))], [both.put(C, X)]),
        "a deletion": used.meets([Delete(A, image(X, Y).digest)], collect),
        "a deletion and a push of the same": used.meets(
            [Delete(A, image(X, Y).digest), *collect], [Push(A, image(X, Y))]
        ),
        "a deletion of a blob": old.meets([DeleteBlob(A, digest(X))], collect, [old.put(A, X)]),
        "a deletion of a blob and a push": old.meets(
            [DeleteBlob(A, digest(X))], [Push(A, image(X))]
        ),
        "a sparse push": old.meets(
            [Push(A, image(X, Y), is_sparse=True)], [old.put(A, Y)], collect, is_sparse=True
        ),
    }


def _pushes() -> Mapping[str, Scenario]:
    one, two = image(X), image(X, Y)
    there = Past().held(A, X, Y)
    tagged = Past().held(A, X, Y).did(Push(A, one), Push(A, one, V1))
    session = there.upload(Z)
    put = PutBlob(A, digest(Z), session)
    child = Past().held(A, X, Y).did(Push(A, one))
    family = index(one)
    about = image(Y, subject=one)
    return {
        "two pushes of a tag": there.meets([Push(A, one)], [Push(A, two)]),
        "two pushes of a tag that is there": tagged.meets(
            [Push(A, one, is_warm=True)], [Push(A, two)]
        ),
        "two pushes of one manifest": there.meets([Push(A, one)], [Push(A, one)]),
        "three pushes": there.meets([Push(A, one)], [Push(A, two)], [Push(A, one, V1)]),
        "a push and a deletion": tagged.meets([Push(A, one, Tag("v2"))], [Delete(A, one.digest)]),
        "a warm push and a deletion": tagged.meets(
            [Push(A, one, is_warm=True)], [Delete(A, one.digest)]
        ),
        "a push of another, and a deletion": tagged.meets([Push(A, two)], [Delete(A, one.digest)]),
        "a push, a deletion and an untagging": tagged.meets(
            [Push(A, two)], [Delete(A, one.digest)], [Untag(A, V1)]
        ),
        "two deletions": tagged.meets([Delete(A, one.digest)], [Delete(A, one.digest)]),
        "one session finished twice": there.meets([put], [put], [Push(A, image(X, Z))]),
        "an index and a push of its child": child.meets([Push(A, family, V1)], [Push(A, one)]),
        "a referrer comes and goes": child.meets(
            [Push(A, about, V1), Delete(A, about.digest)], [Push(A, about, V1)]
        ),
    }


def _catalog() -> Mapping[str, Scenario]:
    one, two = image(X), image(X, Y)
    there = Past().held(A, X, Y)
    tagged = Past().held(A, X, Y).did(Push(A, one))
    empty = Past().held(A, X, Y).did(Push(A, one), Delete(A, one.digest))
    gone: list[Operation] = [Delete(A, one.digest), Retire(A)]
    return {
        "retiring what never was": there.meets([Push(A, one)], [Retire(A)]),
        "retiring what is empty": empty.meets([Push(A, two)], [Retire(A)]),
        "a warm push and retiring": empty.meets([Push(A, two, is_warm=True)], [Retire(A)]),
        "retiring twice": empty.meets([Push(A, two)], [Retire(A)], [Retire(A)]),
        "the last manifest goes and another comes": tagged.meets(gone, [Push(A, two)]),
        "a warm push comes instead": tagged.meets(gone, [Push(A, one, is_warm=True)]),
        "two come instead": tagged.meets(gone, [Push(A, two)], [Push(A, one, V1)]),
    }


SMALL = {**_garbage(), **_pushes(), **_catalog()}
