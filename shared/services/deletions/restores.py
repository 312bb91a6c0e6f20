"""Restores: what was deleted comes back, and what a tag pointed to before.

    U1 upkeep is told, to be there when this must be over
    U2 the manifest is pushed: a life of its own, with the attributes of the one that is over
    U3 its tags are pointed to it again, those that are free and still marked with that life
    U4 what is left of the life that is over is purged

Undelete is a push: a blob that is missing is told, a child may be. If the process dies, upkeep goes
on with U3 while the manifest bears the life that U2 made or met; in each transaction of U3 the
manifest is merged by its ETag, so that a deletion, or another life, ends it.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from shared.errors import ManifestUnknown, Unavailable
from shared.events import Cause, ManifestPushed, values
from shared.model.attributes import FREE
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName, Tag
from shared.model.page import Page, cut_page
from shared.services.content.manifests import refuse, unknown
from shared.services.content.pushes import Pushes
from shared.services.turns.reading import understood
from shared.services.upkeep.purge import Purge
from shared.storage import ages, keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import Conflict, Insert, NotFound, Rotten, StorageError, Update, Value
from shared.storage.rows import tags
from shared.storage.rows.contents import LINK
from shared.storage.rows.records import ROTTEN, DeletedRecord, ManifestRecord, TagRecord
from shared.storage.stores import Stores
from shared.storage.transactions import Transaction

_log = logging.getLogger(__name__)

_LIVES = 1_000
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
        lives = await self._stores.deleted.page(repository, after, limit + 1)
        return cut_page(lives, limit, lambda one: f"{one.manifest.digest}|{one.manifest.life}")

    async def last(self, repository: RepositoryName, digest: Digest) -> DeletedRecord | None:
        """Find the life of a manifest that ended last of those that can come back."""
        last: DeletedRecord | None = None
        after = ""
        while lives := await self._stores.deleted.page(repository, after, _LIVES, digest):
            after = lives[-1].manifest.life
            able = [one for one in [*lives, last] if one and can_return(one)]
            last = max(able, key=lambda one: (one.at, one.manifest.life), default=None)
        return last

    async def manifest(
        self, repository: RepositoryName, digest: Digest, life: str, *, by: Cause
    ) -> None:
        """Bring a manifest back, and its tags, as far as they are free.

        Raises:
            ManifestUnknown: it is not kept (any more), or its bytes have rotted.
            ManifestBlobUnknown: the repository does not hold its blobs any more.
        """
        deleted = await self._stores.deleted.find(repository, digest, life)
        if deleted is None or deleted.is_over:
            raise unknown(repository, digest)
        if deleted.reason == ROTTEN:
            raise rotten(repository, digest)
        manifest = await self._body(repository, deleted.manifest)
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
        """Bring back the tags of a life that is over and whose manifest is live, and purge it.

        A life that is live itself gets them back, and may end meanwhile: it is kept as any other.
        """
        if not await self.bring_back(repository, digest, life, by=by, live=live) or life == live:
            return
        try:
            await self._purge.purge(repository, digest, life, is_restored=True)
        except (StorageError, Unavailable) as error:  # it is purged in its time
            _log.warning("a life of %s in %s is purged later: %s", digest, repository, error)

    async def lock_again(self, repository: RepositoryName, digest: Digest, life: str) -> None:
        """Let a manifest that is live have the attributes of a life that nobody wished to end.

        It has them once: that life keeps none, so who changes them afterwards has the last word.
        """
        deleted = await self._stores.deleted.find(repository, digest, life)
        record = await self._contents.manifest(repository, digest, with_body=False)
        if deleted is None or record is None or deleted.manifest.attributes == FREE:
            return
        given: dict[str, Value] = {**deleted.manifest.attributes.values(), "deletion": ""}
        changes = [
            Update(keys.manifest(digest), given, record.etag),
            Update(keys.deleted(digest, life), FREE.values(), deleted.etag),
        ]
        try:
            await self._contents.commit(repository, changes)
        except (NotFound, Conflict):
            raise Unavailable(f"{digest} is being changed: it is locked again later") from None

    async def give_back(
        self, repository: RepositoryName, digest: Digest, life: str, deletion: str, *, by: Cause
    ) -> None:
        """Give a live manifest the tags back that a deletion took and did not go on with.

        Where another has begun since, it sees to them, and we would only stand in its way.
        """
        await self._bring_all(
            repository,
            digest,
            life,
            by,
            lambda record: record.life == life and record.deletion in {"", deletion},
        )

    async def bring_back(
        self, repository: RepositoryName, digest: Digest, life: str, *, by: Cause, live: str = ""
    ) -> bool:
        """Point the tags that a life has left, and that are free, to the manifest that is live.

        Only to the life `live` of it, if that is named. False where it was deleted meanwhile.
        """
        wanted = live

        def is_meant(record: ManifestRecord) -> bool:
            nonlocal wanted
            wanted = wanted or record.life
            return record.life == wanted

        return await self._bring_all(repository, digest, life, by, is_meant)

    async def _bring_all(
        self,
        repository: RepositoryName,
        digest: Digest,
        life: str,
        by: Cause,
        is_meant: Callable[[ManifestRecord], bool],
    ) -> bool:
        """Bring the marked tags of a life back; False where the manifest is not meant any more."""
        span = ages.Span(self._stores.ticks)
        while record := await self._contents.manifest(repository, digest, with_body=False):
            if not is_meant(record):
                return False
            marks = await self._contents.tags_of(repository, digest, _TAGS, life)
            if not marks:
                return True
            if span.is_over:
                raise Unavailable(f"the tags of {digest} are coming back: repeat the request")
            await self._bring_some(repository, record, marks, by)
        return False

    async def _bring_some(
        self,
        repository: RepositoryName,
        record: ManifestRecord,
        marks: list[TagRecord],
        by: Cause,
    ) -> None:
        """Bring tags back in one transaction, unless something has changed."""
        there = await self._contents.some_tags(repository, [mark.name for mark in marks])
        free = [mark for mark in marks if mark.name not in there]
        now = self._stores.clock()
        outbox = {mark.name: self._stores.outbox.key(now) for mark in free}
        if outbox:
            await self._stores.outbox.promise(repository, list(outbox.values()))
        merged: dict[str, Value] = {"seen": now, "deletion": ""}
        changes = Transaction(
            [
                *(
                    Insert(outbox[mark.name], values(_pushed(mark, record, by, now)))
                    for mark in free
                ),
                *(it for mark in free for it in tags.bring_back(mark, now)),
                *(tags.forget(mark) for mark in marks if mark.name in there),
                Update(keys.WRITABLE, {"updated": now}),
                Update(keys.manifest(record.digest), merged, record.etag),
                *await self._relied_on(repository, record),
            ]
        )
        wanted = [*changes]
        try:
            await self._contents.commit(repository, wanted)
        except (NotFound, Conflict) as error:
            if wanted[error.index].key == keys.WRITABLE:
                await refuse(self._stores, repository)
                raise Unavailable(f"{repository} is being changed: repeat the request") from None

    async def _relied_on(self, repository: RepositoryName, record: ManifestRecord) -> list[Update]:
        """Touch the row that lists a referrer: it does not go with its subject then (`purge`)."""
        if not record.subject:
            return []
        key = keys.referrer(Digest.parse(record.subject), record.digest)
        return [Update(key, {}, row.etag) for row in await self._contents.rows(repository, [key])]

    async def _body(self, repository: RepositoryName, record: ManifestRecord) -> Manifest:
        try:
            body = await self._stores.body(record)
        except Rotten:
            raise rotten(repository, record.digest) from None
        except NotFound:
            raise unknown(repository, record.digest) from None
        return await understood(body, record.media_type, record.digest.algorithm)

    async def _linked(
        self, repository: RepositoryName, manifest: Manifest, life: str
    ) -> frozenset[Digest]:
        """Tell which children the manifest used as blobs."""
        children = dict.fromkeys(child.digest for child in manifest.children)
        edges = await self._contents.edges_from(repository, manifest.digest, life, children)
        return frozenset(
            Digest.parse(edge.key.split("|")[1]) for edge in edges if edge.values["names"] == LINK
        )


def can_return(deleted: DeletedRecord) -> bool:
    """Tell whether a life is kept still, and its bytes are what was pushed."""
    return not deleted.is_over and deleted.reason != ROTTEN


def rotten(repository: RepositoryName, digest: Digest) -> ManifestUnknown:
    """Say that a manifest cannot come back."""
    return ManifestUnknown(
        f"the bytes of manifest {digest} have rotted, so it cannot come back: push it again",
        detail={"Name": repository, "Revision": str(digest)},
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
