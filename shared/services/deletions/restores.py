"""Restores: what was deleted comes back, and what a tag pointed to before.

    U1 upkeep is told, to be there when this must be over
    U2 the manifest is pushed: a life of its own, with the attributes of the one that is over
    U3 its tags are pointed to it again, those that are free and still marked with that life
    U4 what is left of the life that is over is purged

Undelete is a push: a blob that is missing is told, a child may be. If the process dies, upkeep goes
on with U3 while the manifest bears the life that U2 made or met; in each transaction of U3 the
manifest is merged by its ETag, so that a deletion, or another life, ends it.
"""

from dataclasses import asdict
from datetime import datetime

from shared.errors import ManifestUnknown, Unavailable
from shared.events import Cause, ManifestPushed, values
from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.names import RepositoryName, Tag
from shared.model.page import Page, cut_page
from shared.services.content.manifests import refuse, unknown
from shared.services.content.pushes import Pushes
from shared.services.upkeep.purge import Purge
from shared.storage import ages, keys
from shared.storage.errands import Kind
from shared.storage.ports import Conflict, Insert, NotFound, Update, Value
from shared.storage.rows import tags
from shared.storage.rows.records import DeletedRecord, ManifestRecord, TagRecord
from shared.storage.stores import Stores
from shared.storage.transactions import Transaction

_TAGS = 24
"""How many tags come back in one transaction, four rows each."""


class Restores:
    """Brings back what was deleted in a registry."""

    def __init__(self, stores: Stores, pushes: Pushes, purge: Purge) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._pushes = pushes
        self._purge = purge

    async def page(self, repository: RepositoryName, after: str, limit: int) -> Page[DeletedRecord]:
        """List up to `limit` lives that can come back; `after` is a digest, a bar and a life."""
        lives = await self._contents.lives(repository, after, limit + 1)
        return cut_page(lives, limit, lambda one: f"{one.manifest.digest}|{one.manifest.life}")

    async def manifest(
        self, repository: RepositoryName, digest: Digest, life: str, *, by: Cause
    ) -> None:
        """Bring a manifest back, and its tags, as far as they are free.

        Raises:
            ManifestUnknown: it is not kept (any more).
            ManifestBlobUnknown: the repository does not hold its blobs any more.
        """
        deleted = await self._contents.deleted(repository, digest, life)
        if deleted is None or deleted.until < self._stores.clock():
            raise unknown(repository, digest)
        manifest = await self._read(repository, deleted)
        fresh = self._stores.new_id()
        await self._stores.errands.send(
            Kind.END_RESTORE,
            repository,
            after=2 * ages.L,
            digest=str(digest),
            life=life,
            fresh=fresh,
            cause=asdict(by),
        )
        await self._pushes.restore(
            repository,
            manifest,
            kept=deleted.kept,
            linked=await self._linked(repository, manifest, life),
            life=fresh,
            by=by,
        )
        await self.finish(repository, digest, life, by=by)

    async def tag(
        self, repository: RepositoryName, tag: Tag, moved_at: datetime, *, by: Cause
    ) -> None:
        """Point a tag to what it pointed to before it was moved at that time.

        Raises ManifestUnknown where that is not known, or the manifest is not there (any more).
        """
        digest = await self._contents.moved(repository, tag, moved_at)
        if digest is None:
            raise ManifestUnknown(f"tag {tag} was not moved at {moved_at}", detail={"Tag": tag})
        record = await self._contents.manifest(repository, digest, with_body=True)
        if record is None:
            raise unknown(repository, digest)
        manifest = await self._body(repository, record)
        await self._pushes.put(repository, manifest, [tag], by=by)

    async def finish(
        self, repository: RepositoryName, digest: Digest, life: str, *, by: Cause, live: str = ""
    ) -> None:
        """Bring back the tags of a life that is over and whose manifest is live, and purge it."""
        if await self.bring_back(repository, digest, life, by=by, live=live):
            await self._purge.purge(repository, digest, life, is_restored=True)

    async def give_back(
        self, repository: RepositoryName, digest: Digest, life: str, deletion: str, *, by: Cause
    ) -> None:
        """Give a live manifest the tags back that a deletion took and did not go on with.

        Where another has begun since, it sees to them, and we would only stand in its way.
        """
        record = await self._contents.manifest(repository, digest, with_body=False)
        while record and record.life == life and record.deletion in {"", deletion}:
            marks = await self._contents.tags_of(repository, digest, _TAGS, life)
            if not marks:
                return
            await self._bring_some(repository, record, marks, by)
            record = await self._contents.manifest(repository, digest, with_body=False)

    async def bring_back(
        self, repository: RepositoryName, digest: Digest, life: str, *, by: Cause, live: str = ""
    ) -> bool:
        """Point the tags that a life has left, and that are free, to the manifest that is live.

        Only if that has the life `live`, where one is named. False where it was deleted meanwhile.
        """
        record = await self._contents.manifest(repository, digest, with_body=False)
        while record and record.life == (live or record.life):
            marks = await self._contents.tags_of(repository, digest, _TAGS, life)
            if not marks:
                return True
            if not await self._bring_some(repository, record, marks, by):
                there = await self._contents.manifest(repository, digest, with_body=False)
                if there and there.life != record.life:
                    return False
                record = there
                continue
            record = await self._contents.manifest(repository, digest, with_body=False)
        return False

    async def _bring_some(
        self,
        repository: RepositoryName,
        record: ManifestRecord,
        marks: list[TagRecord],
        by: Cause,
    ) -> bool:
        """Bring tags back in one transaction; False where something has changed."""
        there = await self._contents.some_tags(repository, [mark.name for mark in marks])
        free = [mark for mark in marks if mark.name not in there]
        now = self._stores.clock()
        outbox = {mark.name: self._stores.outbox.key(now) for mark in free}
        if outbox:
            await self._stores.outbox.promise(repository, list(outbox.values()))
        changes = Transaction()
        for mark in marks:
            if mark.name in outbox:
                changes.add(Insert(outbox[mark.name], values(_pushed(mark, record, by, now))))
                changes.add(*tags.bring_back(mark, now))
            else:
                changes.add(tags.forget(mark))
        changes.add(Update(keys.WRITABLE, {"updated": now}))
        merged: dict[str, Value] = {"seen": now, "deletion": ""}
        changes.add(Update(keys.manifest(record.digest), merged, record.etag))
        wanted = [*changes]
        try:
            await self._contents.commit(repository, wanted)
        except (NotFound, Conflict) as error:
            if wanted[error.index].key == keys.WRITABLE:
                await refuse(self._stores, repository)
                raise Unavailable(f"{repository} is being changed: repeat the request") from None
            return False
        return True

    async def _read(self, repository: RepositoryName, deleted: DeletedRecord) -> Manifest:
        return await self._body(repository, deleted.manifest)

    async def _body(self, repository: RepositoryName, record: ManifestRecord) -> Manifest:
        try:
            body = await self._stores.body(record)
        except NotFound:
            raise unknown(repository, record.digest) from None
        return read_manifest(body, record.media_type, record.digest.algorithm)

    async def _linked(
        self, repository: RepositoryName, manifest: Manifest, life: str
    ) -> frozenset[Digest]:
        """Tell which children the manifest used as blobs."""
        children = dict.fromkeys(child.digest for child in manifest.children)
        edges = await self._contents.edges_from(repository, manifest.digest, life, children)
        return frozenset(
            Digest.parse(edge.key.split("|")[1]) for edge in edges if edge.values["names"] == "link"
        )


def _pushed(mark: TagRecord, record: ManifestRecord, by: Cause, now: datetime) -> ManifestPushed:
    return ManifestPushed(
        digest=str(record.digest),
        tag=mark.name,
        media_type=record.media_type,
        size=record.size,
        cause=by,
        at=now,
        subject=record.subject,
    )
