"""Manifests: found, read and deleted. Pushing one is a room of its own (`pushes`).

Deleting a manifest, and a push that meets it:

    D1 read the manifest, and the tags that point to it
    D2 transaction: delete these tags, the manifest, its edges and its row among the referrers; tags
       and manifest only as they were read
    P  transaction of a push of the same manifest, or of another tag for it: changes the manifest

P before D1: D sees the new tag. P between D1 and D2: D2 fails and starts again at D1. P after D2:
P finds no manifest, and adds it again. With more than a transaction holds, tags go first and edges
last, so that at no time a tag points to nothing, and what a crash leaves are edges, which only
keep blobs for longer.

A push of many references writes edges in transactions of their own:

    P1 put edges, seen now      D1 read the manifest, then its edges
    P2 add the manifest         D2 delete it, and edges seen when it was, as they were read

P1 before D1: these edges were seen later than the manifest, and stay. P1 after D1: they have
changed, and stay. So no edge is missing after P2. If P dies, the collector finds what it left.

A manifest that is gone when the tag that pointed to it has just been read is no answer: the tag has
moved, or is gone, and is read again.

A transaction's event is its first row, under an id that never repeats. Where it is there already,
the transaction went through, its answer was lost, and the storage client has sent it again.
"""

from contextlib import suppress
from dataclasses import dataclass

from shared.errors import ManifestUnknown, Unavailable
from shared.events import Event, ManifestDeleted, TagDeleted
from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.names import Reference, RepositoryName, Tag
from shared.storage import keys
from shared.storage.ports import (
    MOST_CHANGES,
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
)
from shared.storage.rows.records import ManifestRecord, TagRecord
from shared.storage.stores import Stores

_TRIES = 8
_EDGES = 18
"""What a push certainly writes in one transaction with its manifest and as many tags as it may."""

_ROOM = MOST_CHANGES - _EDGES - 1
"""What else may go with the manifest, so that its row as a referrer and those edges do for sure."""

_TAGS = 100_000


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that is there: its digest, media type and size in bytes."""

    digest: Digest
    media_type: str
    size: int


class Manifests:
    """The manifests of a registry."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._outbox = stores.outbox
        self._bodies = stores.bodies
        self._clock = stores.clock

    async def find(self, repository: RepositoryName, reference: Reference) -> Found:
        """Tell what is under a reference (end-3, HEAD); raises ManifestUnknown."""
        if isinstance(reference, Digest):
            record = await self._record(repository, reference, with_body=False)
            return Found(record.digest, record.media_type, record.size)
        tag = await self._tag(repository, reference)
        return Found(tag.digest, tag.media_type, tag.size)

    async def read(self, repository: RepositoryName, reference: Reference) -> tuple[Found, bytes]:
        """Read what is under a reference (end-3, GET); raises ManifestUnknown."""
        if isinstance(reference, Digest):
            return await self._read(repository, reference)
        for _ in range(_TRIES):
            tag = await self._tag(repository, reference)
            if body := self._bodies.get(tag.digest):
                return Found(tag.digest, tag.media_type, tag.size), body
            with suppress(ManifestUnknown):
                return await self._read(repository, tag.digest)
        raise _unknown_tag(reference)

    async def _read(self, repository: RepositoryName, digest: Digest) -> tuple[Found, bytes]:
        kept = self._bodies.get(digest)
        record = await self._record(repository, digest, with_body=kept is None)
        body = await self._body(repository, record) if kept is None else kept
        return Found(digest, record.media_type, record.size), body

    async def delete(self, repository: RepositoryName, digest: Digest, *, by: str) -> None:
        """Delete a manifest and all its tags (end-9); raises ManifestUnknown."""
        for _ in range(_TRIES):
            record = await self._record(repository, digest, with_body=True)
            body = await self._body(repository, record)
            manifest = read_manifest(body, record.media_type, digest.algorithm)
            subject = str(manifest.subject.digest) if manifest.subject else ""
            event = ManifestDeleted(str(digest), record.media_type, by, self._clock(), subject)
            if await self._remove(repository, manifest, record, event):
                if record.object:
                    await self._stores.discard(record.object)
                return
        raise Unavailable(f"{repository} is being changed too often: repeat the deletion")

    async def untag(self, repository: RepositoryName, tag: Tag, *, by: str) -> None:
        """Delete a tag and keep its manifest (end-9); raises ManifestUnknown."""
        outbox = self._outbox.rows([TagDeleted(tag, by, self._clock())])
        try:
            with suppress(Conflict):
                await self._contents.commit(repository, [*outbox, Delete(keys.tag(tag))])
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
        tags = await self._contents.tags_of(repository, manifest.digest, _TAGS)
        outbox = self._outbox.rows([event])
        steps: list[Change] = [Delete(keys.tag(tag.name), tag.etag) for tag in tags]
        last: list[Change] = [*outbox, Delete(keys.manifest(manifest.digest), record.etag)]
        leavings = await self._leavings(repository, manifest, record)
        try:
            while len(steps) + len(last) > _ROOM:
                await self._contents.commit(repository, steps[:MOST_CHANGES])
                steps = steps[MOST_CHANGES:]
            await self._commit(repository, [*last, *steps], leavings)
        except (NotFound, Conflict):
            return False
        while leavings:
            await self._commit(repository, [], leavings)
        await self._outbox.announce(repository, outbox)
        return True

    async def _commit(
        self, repository: RepositoryName, changes: list[Change], leavings: list[Delete]
    ) -> None:
        """Commit the changes, and with them as many of the leavings as find room.

        Leavings that are gone, or have changed, are passed over.
        """
        while changes or leavings:
            some = leavings[: MOST_CHANGES - len(changes)]
            try:
                await self._contents.commit(repository, [*changes, *some])
            except (NotFound, Conflict) as error:
                if error.index >= len(changes):
                    del leavings[error.index - len(changes)]
                    continue
                if not isinstance(changes[error.index], Insert):
                    raise
            del leavings[: len(some)]
            return

    async def _leavings(
        self, repository: RepositoryName, manifest: Manifest, record: ManifestRecord
    ) -> list[Delete]:
        """Give the rows that mean nothing without the manifest: its edges, its referrer's row."""
        targets = dict.fromkeys(target.digest for target in (*manifest.blobs, *manifest.children))
        edges = [Delete(keys.edge(target, manifest.digest)) for target in targets]
        if len(edges) > _EDGES:
            found = await self._contents.edges_from(repository, manifest.digest, targets)
            edges = [
                Delete(row.key, row.etag) for row in found if row.values["seen"] == record.seen
            ]
        if manifest.subject:
            edges.insert(0, Delete(keys.referrer(manifest.subject.digest, manifest.digest)))
        return edges

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
            raise _unknown(repository, digest)
        return record

    async def _body(self, repository: RepositoryName, record: ManifestRecord) -> bytes:
        try:
            return await self._stores.body(record)
        except NotFound:  # deleted since the record was read
            raise _unknown(repository, record.digest) from None


def _unknown(repository: RepositoryName, digest: Digest) -> ManifestUnknown:
    return ManifestUnknown(
        f"manifest {digest} is not found", detail={"Name": repository, "Revision": str(digest)}
    )


def _unknown_tag(tag: Tag) -> ManifestUnknown:
    return ManifestUnknown(f'manifest tagged by "{tag}" is not found', detail={"Tag": tag})
