"""Manifests: found, read and deleted. Pushing one is a room of its own (`pushes`).

Deleting a manifest, and who meets it:

    D1 read the manifest, then the tags that point to it
    D2 transactions: take some tags, mark what they pointed to, put the deletion's id into the
       manifest; each by the ETag that was read, or that the one before has left
    D3 transaction: take the manifest, by its ETag, the last tags and its row among the referrers;
       keep what it was as a life that is over

Whoever relies on the manifest merges its row, and clears the id: another push of it, a tag that
comes or goes, an index that names it. Before D3 the next step fails, and begins again at D1; after
D3 they find no manifest. With few tags D2 is not needed. If it is, upkeep is told before: it
finishes a deletion whose id still stands in the manifest, and else gives the tags back. So does
whoever deletes the same meanwhile: it goes on under the id that it finds. A request ends in time,
and says that it is to be repeated.

A referrer goes with its subject, unless that comes back: then D2 and D3 change `writable` as it was
read before the subject was looked for. Every push changes it, so one that brings the subject in
between is not missed.

Where the bytes have rotted the registry deletes the manifest itself, that life of it alone. No lock
keeps it, and no push of the same, which would change nothing: so `writable` is left as it is, and
an id that is cleared does not end it. The tags come back with the next life (`upkeep.errands`),
unless somebody deletes the same: then it goes on under that id, and they stay deleted.

A transaction's event is its first row, under an id that never repeats. Where it is there already,
the transaction went through, its answer was lost, and the storage client has sent it again.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from shared.errors import ManifestUnknown, Unavailable
from shared.events import Cause, ManifestDeleted, ManifestRotted, TagDeleted, values
from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.names import Reference, RepositoryName, Tag
from shared.services.attributes.locks import (
    check_all_tags,
    check_found,
    check_readable,
    check_tags,
    locked,
)
from shared.services.deletions.endings import (
    WITH_NAMES,
    Deletion,
    Superseded,
    ended,
    id_of_rotten,
    marked,
    touched,
)
from shared.storage import ages, keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import (
    Change,
    Conflict,
    Insert,
    NotFound,
    Row,
    Update,
)
from shared.storage.rows import tags
from shared.storage.rows.records import ManifestRecord, TagRecord
from shared.storage.rows.registries import READ_LOCKS
from shared.storage.stores import Stores
from shared.storage.transactions import Transaction

_TRIES = 8
_TAGS = 24
"""How many tags go in one transaction, four rows each."""
_PAGE = 960


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that is there: its digest, media type and size in bytes."""

    digest: Digest
    media_type: str
    size: int


class _Overtaken(Exception):
    """A row has changed since it was read."""


class Manifests:
    """The manifests of a registry. `kept` is for how long one that is deleted can come back."""

    def __init__(self, stores: Stores, kept: timedelta = timedelta(0)) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._outbox = stores.outbox
        self._bodies = stores.bodies
        self._clock = stores.clock
        self._ticks = stores.ticks
        self._kept = kept

    async def find(self, repository: RepositoryName, reference: Reference) -> Found:
        """Tell what is under a reference (end-3, HEAD).

        Raises:
            ManifestUnknown: it is not there.
            RegistryDisallowedOperation: it may not be read.
        """
        if isinstance(reference, Digest):
            record = await self._readable(repository, reference, with_body=False)
            return Found(record.digest, record.media_type, record.size)
        tag = await self._tag(repository, reference)
        await self._check_readable(repository, tag)
        return Found(tag.digest, tag.media_type, tag.size)

    async def read(self, repository: RepositoryName, reference: Reference) -> tuple[Found, bytes]:
        """Read what is under a reference (end-3, GET); raises as `find` does."""
        if isinstance(reference, Digest):
            return await self._read(repository, reference)
        for _ in range(_TRIES):
            tag = await self._tag(repository, reference)
            check_found(repository, tag)
            if body := self._bodies.get(tag.digest):
                await self._check_readable(repository, tag)
                return Found(tag.digest, tag.media_type, tag.size), body
            with suppress(ManifestUnknown):
                return await self._read(repository, tag.digest)
        raise unknown_tag(reference)

    async def _read(self, repository: RepositoryName, digest: Digest) -> tuple[Found, bytes]:
        kept = self._bodies.get(digest)
        record = await self._readable(repository, digest, with_body=kept is None)
        body = await self._body(repository, record) if kept is None else kept
        return Found(digest, record.media_type, record.size), body

    async def delete(self, repository: RepositoryName, digest: Digest, *, by: Cause) -> None:
        """Delete a manifest and all its tags (end-9).

        Raises:
            ManifestUnknown: it is not there.
            RegistryDisallowedOperation: it is locked, or a tag of it, or the repository.
        """
        await self.carry_out(self.deletion(repository, digest, by=by))

    def deletion(self, repository: RepositoryName, digest: Digest, *, by: Cause) -> Deletion:
        """Give a deletion that is to be carried out."""
        now = self._clock()
        return Deletion(
            repository=repository,
            digest=digest,
            id=self._stores.new_id(),
            by=by,
            at=now,
            until=now + self._kept,
            outbox=self._outbox.key(now),
        )

    async def delete_rotten(self, repository: RepositoryName, digest: Digest, life: str) -> None:
        """Delete a life of a manifest whose bytes have rotted, whatever is locked.

        Raises ManifestUnknown, Superseded: that life is over.
        """
        deletion = self.deletion(repository, digest, by=Cause("verification"))
        deletion.rotten, deletion.id = life, id_of_rotten(deletion.id)
        await self.carry_out(deletion)

    async def carry_out(self, deletion: Deletion) -> None:
        """Bring a deletion to its end; raises as `delete` does, and Superseded."""
        span, own = ages.Span(self._ticks), deletion.id
        while not span.is_over:
            row = await self._contents.manifest_row(deletion.repository, deletion.digest)
            if row is None:
                raise unknown(deletion.repository, deletion.digest)
            record = ManifestRecord.read(row)
            if deletion.is_over(record):
                raise Superseded
            deletion.id, deletion.etag = deletion.under(own, record.deletion), record.etag
            with suppress(_Overtaken):
                return await self._remove(deletion, row, record, span)
        where = deletion.repository
        raise Unavailable(f"{where} is being changed too often: repeat the deletion")

    async def untag(self, repository: RepositoryName, tag: Tag, *, by: Cause) -> None:
        """Delete a tag and keep its manifest (end-9); raises as `delete` does."""
        outbox, span = self._outbox.key(self._clock()), ages.Span(self._ticks)
        told: ages.Span | None = None
        while not span.is_over:
            there = await self._tag(repository, tag)
            check_tags(repository, [there])
            told = told or await self._tell(repository, outbox)
            now = self._clock()
            event = TagDeleted(tag, by, now, str(there.digest))
            changes: list[Change] = [Insert(outbox, values(event)), touched(now)]
            with suppress(_Overtaken):
                await self._commit(repository, [*changes, *self._taken(there, now, by)])
                await self._tell_again(repository, outbox, told)
                return
        raise Unavailable(f"{repository} is being changed too often: repeat the deletion")

    def _taken(self, tag: TagRecord, now: datetime, by: Cause) -> Iterable[Change]:
        return tags.take(tag, now, by.by, is_spent=self._stores.policies.keeps_names)

    async def _remove(
        self, deletion: Deletion, row: Row, record: ManifestRecord, span: ages.Span
    ) -> None:
        """Take the tags, then the manifest, as it was read; raises _Overtaken."""
        repository = deletion.repository
        if not (deletion.rotten or record.attributes.allow_deletion):
            raise locked(f"manifest {deletion.digest} of {repository}")
        some = min(_TAGS, WITH_NAMES) if self._stores.policies.keeps_names else _TAGS
        while True:
            page = left = await self._tags(deletion)
            while len(left) >= some:
                if span.is_over:
                    raise Unavailable(f"the deletion of {deletion.digest} goes on: repeat it")
                await self._take_some(deletion, record, left[:some])
                left = left[some:]
            if len(page) < _PAGE:
                break
        deletion.told = deletion.told or await self._tell(repository, deletion.outbox)
        writable = await self._writable(deletion)
        await self._commit(repository, self._last(deletion, row, record, left, writable))
        await self._tell_again(repository, deletion.outbox, deletion.told)

    async def _tags(self, deletion: Deletion) -> list[TagRecord]:
        """Read some of the tags that are left, if all of them may go."""
        repository, digest = deletion.repository, deletion.digest
        page = await self._contents.tags_of(repository, digest, _PAGE)
        if deletion.rotten:
            return page
        check_tags(repository, page)
        if len(page) == _PAGE:
            await check_all_tags(self._stores, repository, digest)
        return page

    async def _tell(self, repository: RepositoryName, outbox: str) -> ages.Span:
        """Tell of a change that is about to be made; give for how long that holds."""
        span = ages.Span(self._ticks, ages.L)
        await self._outbox.promise(repository, [outbox])
        return span

    async def _tell_again(self, repository: RepositoryName, outbox: str, told: ages.Span) -> None:
        """Tell once more of a change that took so long that its message may have been dropped."""
        if told.is_over:
            await self._outbox.promise_again(repository, [outbox])

    async def _writable(self, deletion: Deletion) -> Sequence[Change]:
        """Give the change of `writable`; of one that was read before it was asked what is meant.

        What has rotted goes whether the repository takes changes or not.
        """
        if deletion.rotten:
            return []
        if deletion.is_meant is None:
            return [touched(self._clock())]
        row = await self._contents.writable(deletion.repository)
        if not await deletion.is_meant():
            raise Superseded
        if row is None:
            await refuse(self._stores, deletion.repository)
            raise _Overtaken
        return [touched(self._clock(), row.etag)]

    async def _take_some(
        self, deletion: Deletion, record: ManifestRecord, some: Iterable[TagRecord]
    ) -> None:
        if record.deletion != deletion.id and deletion.etag == record.etag:
            await self._stores.errands.send(
                Kind.END_DELETION,
                deletion.repository,
                after=2 * ages.L,
                digest=str(deletion.digest),
                life=record.life,
                deletion=deletion.id,
                cause=asdict(deletion.by),
                at=deletion.at.isoformat(),
                until=deletion.until.isoformat(),
                subject=deletion.subject,
                subject_life=deletion.subject_life,
                rotten=deletion.rotten,
            )
        writable = await self._writable(deletion)
        key = keys.manifest(deletion.digest)
        changes = Transaction([Update(key, {"deletion": deletion.id}, deletion.etag), *writable])
        changes.add(*marked(self._stores, deletion, record.life, some))
        deletion.etag = (await self._commit(deletion.repository, changes))[0]

    def _last(
        self,
        deletion: Deletion,
        row: Row,
        record: ManifestRecord,
        left: Iterable[TagRecord],
        writable: Iterable[Change],
    ) -> Iterable[Change]:
        kind = ManifestRotted if deletion.reason else ManifestDeleted
        event = kind(
            digest=str(deletion.digest),
            media_type=record.media_type,
            cause=deletion.by,
            at=deletion.at,
            subject=record.subject,
            life=record.life,
        )
        yield Insert(deletion.outbox, values(event))
        yield from writable
        yield from ended(deletion, row, record)
        yield from marked(self._stores, deletion, record.life, left)

    async def _commit(self, repository: RepositoryName, changes: Iterable[Change]) -> list[str]:
        """Commit; raises _Overtaken where a row is not as it was read."""
        wanted = [*Transaction(changes)]
        try:
            return await self._contents.commit(repository, wanted)
        except (NotFound, Conflict) as error:
            key = wanted[error.index].key
            if key.startswith("outbox|"):
                return []
            if key == keys.WRITABLE:
                await refuse(self._stores, repository)
            raise _Overtaken from None

    async def _tag(self, repository: RepositoryName, name: Tag) -> TagRecord:
        tag = await self._contents.tag(repository, name)
        if tag is None:
            raise unknown_tag(name)
        return tag

    async def _check_readable(self, repository: RepositoryName, tag: TagRecord) -> None:
        """Raise where a tag, its manifest or the repository may not be read."""
        check_found(repository, tag)
        if READ_LOCKS in self._stores.flags:
            await self._readable(repository, tag.digest, with_body=False)

    async def _readable(
        self, repository: RepositoryName, digest: Digest, *, with_body: bool
    ) -> ManifestRecord:
        record = await self._record(repository, digest, with_body=with_body)
        check_found(repository, record)
        await check_readable(self._stores, repository)
        return record

    async def _record(
        self, repository: RepositoryName, digest: Digest, *, with_body: bool
    ) -> ManifestRecord:
        record = await self._contents.manifest(repository, digest, with_body=with_body)
        if record is None:
            raise unknown(repository, digest)
        return record

    async def _body(self, repository: RepositoryName, record: ManifestRecord) -> bytes:
        try:
            return await self._stores.body(record)
        except NotFound:  # deleted since the record was read, or rotten
            name = keys.object_name(self._stores.generation, record.life)
            await self._stores.verifying.report(name, record.digest, repository)
            raise unknown(repository, record.digest) from None


async def refuse(stores: Stores, repository: RepositoryName) -> None:
    """Say why a repository takes no changes; nothing where it does take them again."""
    row = await stores.contents.repository(repository)
    if row and row.values.get("deletion"):
        raise Unavailable(f"{repository} is being deleted: repeat the request")
    if row and not Attributes.read(row.values).write_enabled:
        raise locked(repository)


def unknown(repository: RepositoryName, digest: Digest) -> ManifestUnknown:
    """Say that a manifest is not there."""
    return ManifestUnknown(
        f"manifest {digest} is not found", detail={"Name": repository, "Revision": str(digest)}
    )


def unknown_tag(tag: Tag) -> ManifestUnknown:
    """Say that a tag is not there."""
    return ManifestUnknown(f'manifest tagged by "{tag}" is not found', detail={"Tag": tag})
