"""Manifests: found, read and deleted. Pushing one is a room of its own (`pushes`).

Deleting a manifest, and a push that meets it:

    D1 read the manifest with its ETag, and the tags that point to it with theirs
    D2 transaction: delete these tags, the manifest, its edges and its row among the referrers, if
    unchanged P  transaction of a push of the same manifest, or of another tag for it: changes the
    manifest's row

P before D1: D sees the new tag. P between D1 and D2: D2 fails and starts again at D1. P after D2:
P finds no manifest, and adds it again. With more than a transaction holds, tags go first and edges
last, so that at no time a tag points to nothing, and what a crash leaves are edges, which only
keep blobs for longer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.errors import ManifestUnknown, Unavailable
from shared.events import Event, ManifestDeleted, TagDeleted
from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.names import Reference, RepositoryName, Tag
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.contents import Contents
from shared.storage.outbox import Outbox
from shared.storage.ports import (
    MOST_CHANGES,
    Change,
    Conflict,
    Delete,
    NotFound,
    Objects,
)
from shared.storage.records import ManifestRecord, TagRecord

_TRIES = 8
_TAGS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that is there: its digest, media type and size in bytes."""

    digest: Digest
    media_type: str
    size: int


class Manifests:
    """The manifests of a registry."""

    def __init__(
        self,
        contents: Contents,
        objects: Objects,
        outbox: Outbox,
        *,
        bodies: Bodies,
        clock: Callable[[], datetime],
    ) -> None:
        self._contents = contents
        self._objects = objects
        self._outbox = outbox
        self._bodies = bodies
        self._clock = clock

    async def find(self, repository: RepositoryName, reference: Reference) -> Found:
        """Tell what is under a reference (end-3, HEAD); raises ManifestUnknown."""
        if isinstance(reference, Digest):
            record = await self._record(repository, reference, with_body=False)
            return Found(record.digest, record.media_type, record.size)
        tag = await self._tag(repository, reference)
        return Found(tag.digest, tag.media_type, tag.size)

    async def read(self, repository: RepositoryName, reference: Reference) -> tuple[Found, bytes]:
        """Read what is under a reference (end-3, GET); raises ManifestUnknown."""
        found = None
        digest = reference
        if not isinstance(digest, Digest):
            tag = await self._tag(repository, digest)
            found, digest = Found(tag.digest, tag.media_type, tag.size), tag.digest
            if body := self._bodies.get(digest):
                return found, body
        is_kept = self._bodies.get(digest) is not None
        record = await self._record(repository, digest, with_body=not is_kept)
        body = await self._body(record)
        return found or Found(digest, record.media_type, record.size), body

    async def delete(self, repository: RepositoryName, digest: Digest, *, by: str) -> None:
        """Delete a manifest and all its tags (end-9); raises ManifestUnknown."""
        for _ in range(_TRIES):
            record = await self._record(repository, digest, with_body=True)
            manifest = read_manifest(await self._body(record), record.media_type, digest.algorithm)
            event = ManifestDeleted(str(digest), record.media_type, by, self._clock())
            if await self._remove(repository, manifest, record, event):
                if record.object:
                    await self._objects.delete(record.object)
                return
        raise Unavailable(f"{repository} is being changed too often: repeat the deletion")

    async def untag(self, repository: RepositoryName, tag: Tag, *, by: str) -> None:
        """Delete a tag and keep its manifest (end-9); raises ManifestUnknown."""
        outbox = self._outbox.rows([TagDeleted(tag, by, self._clock())])
        try:
            await self._contents.commit(repository, [Delete(keys.tag(tag)), *outbox])
        except NotFound:
            raise _unknown_tag(tag) from None
        await self._outbox.announce(repository, outbox)

    async def _remove(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        record: ManifestRecord,
        event: Event,
    ) -> bool:
        tags = await self._tags(repository, manifest.digest)
        outbox = self._outbox.rows([event])
        deletion: list[Change] = [Delete(keys.manifest(manifest.digest), record.etag), *outbox]
        if manifest.subject:
            key = keys.referrer(manifest.subject.digest, manifest.digest)
            deletion.append(Delete(key))
        untagging: list[Change] = [Delete(keys.tag(tag.name), tag.etag) for tag in tags]
        edges = _edges(manifest)
        try:
            while len(untagging) + len(deletion) > MOST_CHANGES:
                await self._contents.commit(repository, untagging[:MOST_CHANGES])
                untagging = untagging[MOST_CHANGES:]
            room = MOST_CHANGES - len(untagging) - len(deletion)
            await self._contents.commit(repository, [*untagging, *deletion, *edges[:room]])
        except (NotFound, Conflict):
            return False
        await self._remove_edges(repository, edges[room:])
        await self._outbox.announce(repository, outbox)
        return True

    async def _remove_edges(self, repository: RepositoryName, edges: list[Delete]) -> None:
        while edges:
            try:
                await self._contents.commit(repository, edges[:MOST_CHANGES])
            except NotFound as error:
                del edges[error.index]
            else:
                edges = edges[MOST_CHANGES:]

    async def _tags(self, repository: RepositoryName, digest: Digest) -> Sequence[TagRecord]:
        return await self._contents.tags_of(repository, digest, _TAGS_AT_ONCE)

    async def _tag(self, repository: RepositoryName, name: Tag) -> TagRecord:
        tag = await self._contents.tag(repository, name)
        if tag is None:
            raise _unknown_tag(name)
        return tag

    async def _record(
        self, repository: RepositoryName, digest: Digest, *, with_body: bool
    ) -> ManifestRecord:
        record = await self._contents.manifest(repository, digest, with_body=with_body)
        if record is None:
            raise ManifestUnknown(
                f"manifest {digest} is not found",
                detail={"Name": repository, "Revision": str(digest)},
            )
        return record

    async def _body(self, record: ManifestRecord) -> bytes:
        body = self._bodies.get(record.digest)
        if body is None and record.object:
            body = b"".join([piece async for piece in self._objects.read(record.object)])
        body = body if body is not None else record.body
        if body is None:
            raise ManifestUnknown(f"the body of manifest {record.digest} is not found")
        self._bodies.keep(record.digest, body)
        return body


def _unknown_tag(tag: Tag) -> ManifestUnknown:
    return ManifestUnknown(f'manifest tagged by "{tag}" is not found', detail={"Tag": tag})


def _edges(manifest: Manifest) -> list[Delete]:
    targets = dict.fromkeys(target.digest for target in (*manifest.blobs, *manifest.children))
    return [Delete(keys.edge(target, manifest.digest)) for target in targets]
