"""The purge: what is kept of a life that is over goes for good, once nobody can bring it back.

    G1 its referrers, each as by a deletion: where the digest is not live, no other life of it ends
       later, and they were last used before it was deleted. Both are seen to by the deletion's
       transaction: a push that comes before it, of the referrer or of the subject, makes it fail
    G2 its edges: from then on the collector may take what only this life used
    G3 the collector is asked to look at all that it used
    G4 its marks, those that it still has
    G5 the object with its body, or a copy of it
    G6 its row

Each can be repeated, and a crash leaves the row, so that it is. A restore begins before the life's
time is over, the purge 4 L after, both by storage's clock: those of two hosts may differ by more.
What was restored is another life, with edges of its own to all that the one before used: there
is no G3 then. A copy that is made after G5 is a
leftover. The collector stops at any edge, and would not come again for one that it met: so it is
asked after G2, and before G5, since the body says what was used. A body that has rotted does not:
there a crash between G2 and G3 leaves links to the sweep.

`look` tells what would go, and changes nothing.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched

from shared.errors import ManifestUnknown, Unavailable, Unsupported
from shared.events import Cause
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.deletions.endings import Deletion, Superseded
from shared.services.turns.reading import understood
from shared.storage import ages, halt, keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import Conflict, Delete, NotFound, Rotten
from shared.storage.rows.contents import OURS
from shared.storage.rows.records import DeletedRecord, ManifestRecord, TagRecord
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

_SOME = 98
_MARKS = 1_000
_TRIES = 8


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
        deleted = await self._stores.deleted.find(repository, digest, life)
        if deleted is None:
            return True
        span = ages.Span(self._stores.ticks)
        wait = timedelta() if is_restored else deleted.purged_in
        if wait > timedelta():
            await self._come_again(repository, deleted, wait)
            return False
        is_last = not is_restored and await self._is_last(repository, digest, life)
        if await self._stores.removal_is_halted():
            await self._come_again(repository, deleted, halt.AGAIN)
            return False
        if is_last:
            await self._take_referrers(repository, deleted, span)
        elif not is_restored and (longer := await self._outlasts(repository, deleted)):
            await self._come_again(repository, deleted, max(longer.purged_in, 2 * ages.L))
            return False
        await self._take_rest(repository, deleted, span, is_restored=is_restored)
        if not is_restored:
            _log.info(
                "purged %s of %s, deleted %s by %s", digest, repository, deleted.at, deleted.by
            )
        return True

    async def look(self, repository: RepositoryName, deleted: DeletedRecord) -> Leavings:
        """Tell what a purge of this life would take."""
        record = deleted.manifest
        name = keys.object_name(self._stores.generation, record.life)
        is_last = await self._is_last(repository, record.digest, record.life)
        older = self._referrers(repository, deleted)
        return Leavings(
            referrers=[one.digest async for one in older] if is_last else [],
            targets=await targets_of(self._stores, repository, record),
            marks=await self._contents.tags_of(repository, record.digest, _MARKS, record.life),
            object=name if await self._stores.objects.facts(name) else "",
        )

    async def _come_again(
        self, repository: RepositoryName, deleted: DeletedRecord, wait: timedelta
    ) -> None:
        record = deleted.manifest
        await self._stores.errands.send(
            Kind.PURGE, repository, after=wait, digest=str(record.digest), life=record.life
        )

    async def _is_last(self, repository: RepositoryName, digest: Digest, life: str) -> bool:
        """Tell whether nothing of a digest is left that ends later than this life of it."""
        if await self._contents.manifest(repository, digest, with_body=False):
            return False
        return await self._stores.deleted.last(repository, digest) in {"", life}

    async def _outlasts(
        self, repository: RepositoryName, deleted: DeletedRecord
    ) -> DeletedRecord | None:
        """Find a life that outlasts this one, if referrers go with this one.

        Those that have come between the two would not go with that.
        """
        digest = deleted.manifest.digest
        longer = await self._stores.deleted.outlasting(repository, digest, deleted.written)
        if longer is None:
            return None
        async for _ in self._referrers(repository, deleted):
            return longer
        return None

    def goes_with(self, deletion: Deletion) -> Callable[[], Awaitable[bool]]:
        """Give the question whether a manifest still goes with its subject."""
        subject = Digest.parse(deletion.subject)
        return lambda: self._is_last(deletion.repository, subject, deletion.subject_life)

    async def _referrers(
        self, repository: RepositoryName, deleted: DeletedRecord
    ) -> AsyncIterator[ManifestRecord]:
        """Find the referrers that go with this life."""
        subject, after = deleted.manifest.digest, ""
        while rows := await self._contents.referrers(
            repository, subject, artifact_type="", after=after, limit=_SOME
        ):
            after = keys.last_part(rows[-1].key)
            for row in rows:
                if row.written >= deleted.written:
                    continue
                referrer = Digest.parse(keys.last_part(row.key))
                if older := await self._older(repository, referrer, deleted):
                    yield older
            if len(rows) < _SOME:
                return

    async def _older(
        self, repository: RepositoryName, referrer: Digest, deleted: DeletedRecord
    ) -> ManifestRecord | None:
        """Read a referrer that nobody has relied on since its subject was deleted.

        Where it has changed since, that may be a tag that left it. A push of it, or of a tag to it,
        changes the row that lists it, too; an index that names it makes an edge, which is `ours` of
        a list that the registry has brought in step. All of these times are storage's: the clocks
        of hosts differ. They are read after the referrer, whose ETag its deletion heeds.

        Of an unchanged one no edge is looked for: who named it since has not found it, and may name
        what is missing. An index that was there makes no edge when it is pushed again: it holds
        back nothing, whosever it was.
        """
        record = await self._contents.manifest(repository, referrer, with_body=False)
        if record is None:
            return None
        if record.written < deleted.written:
            return record
        key = keys.referrer(deleted.manifest.digest, referrer)
        rows = await self._contents.rows(repository, [key])
        is_relied_on = not rows or any(row.written >= deleted.written for row in rows)
        if is_relied_on or await self._is_named_since(repository, referrer, deleted):
            return None
        return record

    async def _is_named_since(
        self, repository: RepositoryName, referrer: Digest, deleted: DeletedRecord
    ) -> bool:
        """Tell whether a client has named a referrer in an index since its subject was deleted."""
        after = ""
        while rows := await self._contents.edges(repository, referrer, _SOME, after):
            if any(row.written >= deleted.written and not row.values.get(OURS) for row in rows):
                return True
            if len(rows) < _SOME:
                return False
            after = rows[-1].key
        return False

    async def _take_referrers(
        self, repository: RepositoryName, deleted: DeletedRecord, span: ages.Span
    ) -> None:
        async for referrer in self._referrers(repository, deleted):
            await self._take_referrer(repository, deleted, referrer)
            _check(span, deleted.manifest.digest)

    async def _take_referrer(
        self, repository: RepositoryName, deleted: DeletedRecord, referrer: ManifestRecord
    ) -> None:
        """Delete a referrer, unless it or its subject is pushed meanwhile.

        A tag that leaves it meanwhile ends the deletion as a push does: then it is looked at again.
        """
        for _ in range(_TRIES):
            with suppress(ManifestUnknown, Unsupported):
                if not await self._is_superseded(repository, deleted, referrer):
                    return
            again = await self._older(repository, referrer.digest, deleted)
            if again is None or again.etag == referrer.etag:
                return
            referrer = again
        raise Unavailable(f"{referrer.digest} is being changed too often: purge it later")

    async def _is_superseded(
        self, repository: RepositoryName, deleted: DeletedRecord, referrer: ManifestRecord
    ) -> bool:
        deletion = self._manifests.deletion(repository, referrer.digest, by=Cause("purge"))
        deletion.etag, deletion.is_yielding = referrer.etag, True
        deletion.subject = str(deleted.manifest.digest)
        deletion.subject_life = deleted.manifest.life
        deletion.is_meant = self.goes_with(deletion)
        try:
            await self._manifests.carry_out(deletion)
        except Superseded:
            return True
        return False

    async def _take_rest(
        self,
        repository: RepositoryName,
        deleted: DeletedRecord,
        span: ages.Span,
        *,
        is_restored: bool,
    ) -> None:
        digest, life = deleted.manifest.digest, deleted.manifest.life
        targets = await targets_of(self._stores, repository, deleted.manifest)
        for some in batched(targets, _SOME, strict=False):
            await take_edges(self._stores, repository, digest, life, some)
        if not is_restored:
            await self._stores.collecting.ask(repository, targets)
        while marks := await self._contents.tags_of(repository, digest, _SOME, life):
            await self._take_marks(repository, marks)
            if len(marks) < _SOME:
                break
            _check(span, digest)
        await self._stores.discard(keys.object_name(self._stores.generation, life))
        with suppress(NotFound):
            await self._contents.commit(repository, [Delete(keys.deleted(digest, life))])

    async def _take_marks(self, repository: RepositoryName, marks: Sequence[TagRecord]) -> None:
        """Take marks together; where one has changed, each by itself."""
        taken = [Delete(keys.tagged(mark.digest, mark.name), mark.etag) for mark in marks]
        try:
            await self._contents.commit(repository, taken)
        except (NotFound, Conflict):
            for one in taken:
                with suppress(NotFound, Conflict):
                    await self._contents.commit(repository, [one])


def _check(span: ages.Span, digest: Digest) -> None:
    """End a purge that takes long, once it has come further."""
    if span.is_over:
        raise Unavailable(f"the purge of {digest} goes on: repeat it")


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


async def targets_of(
    stores: Stores, repository: RepositoryName, record: ManifestRecord
) -> Sequence[Digest]:
    """Tell what a life that is no more used; nothing where its body went, after its edges."""
    try:
        body = await stores.body(record)
    except Rotten:
        return await stores.contents.targets(repository, record.digest, record.life)
    except NotFound:
        return []
    manifest = await understood(body, record.media_type, record.digest.algorithm)
    return list(dict.fromkeys(it.digest for it in (*manifest.blobs, *manifest.children)))
