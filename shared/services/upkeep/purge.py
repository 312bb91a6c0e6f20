"""The purge: what is kept of a life that is over goes for good, once nobody can bring it back.

    G1 its referrers, each as by a deletion: where the digest is not live, no other life of it ends
       later, and they were last pushed before it was deleted; each as it was when that was read
    G2 its edges: from then on the collector may take what only this life used
    G3 its marks, those that it still has
    G4 its body, where that is an object
    G5 its row

Each can be repeated, and a crash leaves the row, so that it is. A restore begins before the life's
time is over, the purge 4 L after. What was restored is another life, with edges of its own.

`look` tells what would go, and changes nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import ManifestUnknown, Unsupported
from shared.events import Cause
from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests, Superseded
from shared.storage import ages, keys
from shared.storage.errands import Kind
from shared.storage.ports import Conflict, Delete, NotFound
from shared.storage.rows.records import DeletedRecord, TagRecord
from shared.storage.stores import Stores

_SOME = 98
_LIVES = 1_000
_MARKS = 1_000


@dataclass(frozen=True, slots=True)
class Leavings:
    """What is left of a life: referrers that go with it, targets of its edges, marks, an object."""

    referrers: Sequence[Digest]
    targets: Sequence[Digest]
    marks: Sequence[TagRecord]
    object: str


class Purge:
    """Purges lives that are over."""

    def __init__(self, stores: Stores, manifests: Manifests) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._manifests = manifests

    async def purge(
        self, repository: RepositoryName, digest: Digest, life: str, *, is_restored: bool = False
    ) -> bool:
        """Purge a life if it is time; else send upkeep again. One that was restored goes at once.

        True where it is gone. May be repeated.
        """
        deleted = await self._contents.deleted(repository, digest, life)
        if deleted is None:
            return True
        wait = timedelta() if is_restored else self._wait(deleted)
        if wait > timedelta():
            await self._stores.errands.send(
                Kind.PURGE, repository, after=wait, digest=str(digest), life=life
            )
            return False
        leavings = await self.look(repository, deleted, is_restored=is_restored)
        await self._take(repository, deleted, leavings)
        return True

    async def look(
        self, repository: RepositoryName, deleted: DeletedRecord, *, is_restored: bool = False
    ) -> Leavings:
        """Tell what a purge of this life would take."""
        record = deleted.manifest
        manifest = await self._manifest(deleted)
        is_last = not is_restored and await self._is_last(repository, deleted)
        return Leavings(
            referrers=await self._referrers(repository, deleted) if is_last else [],
            targets=list(dict.fromkeys(_targets(manifest))) if manifest else [],
            marks=await self._contents.tags_of(repository, record.digest, _MARKS, record.life),
            object=record.object,
        )

    def _wait(self, deleted: DeletedRecord) -> timedelta:
        return deleted.until + 4 * ages.L - self._stores.clock()

    async def _manifest(self, deleted: DeletedRecord) -> Manifest | None:
        """Read the body; None where it went in a purge before this one, after the edges."""
        record = deleted.manifest
        try:
            body = await self._stores.body(record)
        except NotFound:
            return None
        return read_manifest(body, record.media_type, record.digest.algorithm)

    async def _is_last(self, repository: RepositoryName, deleted: DeletedRecord) -> bool:
        """Tell whether this life is the last of its digest."""
        digest = deleted.manifest.digest
        if await self._contents.manifest(repository, digest, with_body=False):
            return False
        lives = await self._contents.lives(repository, "", _LIVES, digest)
        last = max(lives, key=lambda one: (one.until, one.manifest.life), default=deleted)
        return last.manifest.life == deleted.manifest.life

    async def _referrers(
        self, repository: RepositoryName, deleted: DeletedRecord
    ) -> Sequence[Digest]:
        subject, after, older = deleted.manifest.digest, "", []
        while rows := await self._contents.referrers(
            repository, subject, artifact_type="", after=after, limit=_SOME
        ):
            found = [Digest.parse(keys.last_part(row.key)) for row in rows]
            older += [it for it in found if await self._older(repository, it, deleted)]
            after = str(found[-1])
        return older

    async def _older(
        self, repository: RepositoryName, digest: Digest, deleted: DeletedRecord
    ) -> str:
        """Give the ETag of a referrer that was last pushed before its subject was deleted.

        The deletion's row is read after it: the time in between makes that one older, not this.
        """
        record = await self._contents.manifest(repository, digest, with_body=False)
        if record is None:
            return ""
        life = deleted.manifest
        later = await self._contents.deleted(repository, life.digest, life.life)
        return record.etag if later and record.age > later.age else ""

    async def _take(
        self, repository: RepositoryName, deleted: DeletedRecord, leavings: Leavings
    ) -> None:
        record = deleted.manifest
        for referrer in leavings.referrers:
            read_as = await self._older(repository, referrer, deleted)
            if not (read_as and await self._is_last(repository, deleted)):
                continue
            with suppress(ManifestUnknown, Superseded, Unsupported):
                await self._manifests.delete(
                    repository, referrer, by=Cause("purge"), read_as=read_as
                )
        for start in range(0, len(leavings.targets), _SOME):
            some = leavings.targets[start : start + _SOME]
            await take_edges(self._stores, repository, record.digest, record.life, some)
        for mark in leavings.marks:
            with suppress(NotFound, Conflict):
                key = keys.tagged(record.digest, mark.name)
                await self._contents.commit(repository, [Delete(key, mark.etag)])
        if len(leavings.marks) == _MARKS:
            await self._take(repository, deleted, await self.look(repository, deleted))
            return
        if leavings.object:
            await self._stores.discard(leavings.object)
        with suppress(NotFound):
            await self._contents.commit(
                repository, [Delete(keys.deleted(record.digest, record.life))]
            )


async def take_edges(
    stores: Stores,
    repository: RepositoryName,
    digest: Digest,
    life: str,
    targets: Sequence[Digest],
) -> None:
    """Take the edges of a life that is no more to some targets, as far as they are there."""
    edges = [keys.edge(target, digest, life) for target in targets]
    while edges:
        try:
            await stores.contents.commit(repository, [Delete(key) for key in edges])
        except NotFound:
            there = await stores.contents.rows(repository, edges)
            edges = [row.key for row in there]
        else:
            return


def _targets(manifest: Manifest) -> Sequence[Digest]:
    return [each.digest for each in (*manifest.blobs, *manifest.children)]
