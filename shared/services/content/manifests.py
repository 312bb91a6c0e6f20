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
finishes a deletion whose id still stands in the manifest, and else gives the tags back.

A transaction's event is its first row, under an id that never repeats. Where it is there already,
the transaction went through, its answer was lost, and the storage client has sent it again.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from shared.errors import ManifestUnknown, Unavailable, Unsupported
from shared.events import Cause, Event, ManifestDeleted, TagDeleted, values
from shared.model.digest import Digest
from shared.model.names import Reference, RepositoryName, Tag
from shared.storage import ages, keys
from shared.storage.errands import Kind
from shared.storage.ports import (
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    Row,
    Update,
    Value,
)
from shared.storage.rows import tags
from shared.storage.rows.records import DeletedRecord, ManifestRecord, TagRecord
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


@dataclass(slots=True)
class Deletion:
    """A deletion under way. `until` is when it is for good.

    `with_repository` is the id of the repository's deletion, if this is part of one; `is_resumed`
    says that it began earlier, and goes on while nobody has come to rely on the manifest. Where
    `read_as` is an ETag, it is only of the manifest that has it.
    """

    repository: RepositoryName
    digest: Digest
    id: str
    by: Cause
    at: datetime
    until: datetime
    outbox: str
    with_repository: str = ""
    etag: str = ""
    is_told: bool = False
    is_resumed: bool = False
    read_as: str = ""


class Superseded(Exception):
    """Somebody has come to rely on the manifest since its deletion began."""


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
        self._kept = kept

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
        raise unknown_tag(reference)

    async def _read(self, repository: RepositoryName, digest: Digest) -> tuple[Found, bytes]:
        kept = self._bodies.get(digest)
        record = await self._record(repository, digest, with_body=kept is None)
        body = await self._body(repository, record) if kept is None else kept
        return Found(digest, record.media_type, record.size), body

    async def delete(
        self, repository: RepositoryName, digest: Digest, *, by: Cause, read_as: str = ""
    ) -> None:
        """Delete a manifest and all its tags (end-9); only as it was read, if an ETag says so.

        Raises:
            ManifestUnknown: it is not there.
            Superseded: it has changed since it was read.
            Unsupported: the repository is locked.
        """
        now = self._clock()
        deletion = Deletion(
            repository=repository,
            digest=digest,
            id=self._stores.new_id(),
            by=by,
            at=now,
            until=now + self._kept,
            outbox=self._outbox.key(now),
            read_as=read_as,
        )
        await self.carry_out(deletion)

    async def carry_out(self, deletion: Deletion) -> None:
        """Bring a deletion to its end; raises as `delete` does.

        One that goes on after a crash ends where somebody has come to rely on the manifest since:
        then its id no longer stands there. Raises Superseded.
        """
        last = self._clock() + ages.L / 2
        while True:
            row = await self._contents.manifest_row(deletion.repository, deletion.digest)
            if row is None:
                raise unknown(deletion.repository, deletion.digest)
            if deletion.read_as not in {"", row.etag}:
                raise Superseded
            if deletion.is_resumed and ManifestRecord.read(row).deletion != deletion.id:
                raise Superseded
            with suppress(_Overtaken):
                return await self._remove(deletion, row)
            if self._clock() >= last:
                break
        where = deletion.repository
        raise Unavailable(f"{where} is being changed too often: repeat the deletion")

    async def untag(self, repository: RepositoryName, tag: Tag, *, by: Cause) -> None:
        """Delete a tag and keep its manifest (end-9); raises as `delete` does."""
        outbox, sent = self._outbox.key(self._clock()), self._clock()
        last = sent + ages.L / 2
        is_told = False
        while self._clock() < last:
            there = await self._tag(repository, tag)
            if not is_told:
                await self._outbox.promise(repository, [outbox])
                is_told = True
            now = self._clock()
            changes = self._with_event(outbox, TagDeleted(tag, by, now, str(there.digest)), now)
            with suppress(_Overtaken):
                await self._commit(repository, [*changes, *tags.take(there, now, by.by)])
                await self._tell_again(repository, outbox, sent)
                return
        raise Unavailable(f"{repository} is being changed too often: repeat the deletion")

    async def _remove(self, deletion: Deletion, row: Row) -> None:
        """Take the tags, then the manifest, as it was read; raises _Overtaken."""
        record = ManifestRecord.read(row)
        deletion.etag = record.etag
        while True:
            page = await self._contents.tags_of(deletion.repository, deletion.digest, _PAGE)
            left = page
            while len(left) >= _TAGS:
                await self._take_some(deletion, record, left[:_TAGS])
                left = left[_TAGS:]
            if len(page) < _PAGE:
                break
        await self._tell(deletion)
        await self._commit(deletion.repository, self._last(deletion, row, record, left))
        await self._tell_again(deletion.repository, deletion.outbox, deletion.at)

    async def _tell(self, deletion: Deletion) -> None:
        if not deletion.is_told:
            await self._outbox.promise(deletion.repository, [deletion.outbox])
            deletion.is_told = True

    async def _tell_again(self, repository: RepositoryName, outbox: str, sent: datetime) -> None:
        """Tell once more of a change that took so long that its message may have been dropped."""
        if self._clock() - sent > ages.L:
            await self._outbox.promise_again(repository, [outbox])

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
                until=deletion.until.isoformat(),
            )
        key = keys.manifest(deletion.digest)
        changes = Transaction([Update(key, {"deletion": deletion.id}, deletion.etag)])
        changes.add(Update(keys.WRITABLE, {"updated": self._clock()}))
        for tag in some:
            changes.add(*tags.mark(tag, record.life, self._clock(), deletion.by.by))
        deletion.etag = (await self._commit(deletion.repository, changes))[0]

    def _last(
        self, deletion: Deletion, row: Row, record: ManifestRecord, left: Iterable[TagRecord]
    ) -> Iterable[Change]:
        event = ManifestDeleted(
            digest=str(deletion.digest),
            media_type=record.media_type,
            cause=deletion.by,
            at=deletion.at,
            subject=record.subject,
            life=record.life,
        )
        yield from self._with_event(deletion.outbox, event, self._clock())
        yield from ended(deletion, row, record, left)

    @staticmethod
    def _with_event(outbox: str, event: Event, now: datetime) -> list[Change]:
        return [Insert(outbox, values(event)), Update(keys.WRITABLE, {"updated": now})]

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
        except NotFound:  # deleted since the record was read
            raise unknown(repository, record.digest) from None


def ended(
    deletion: Deletion, row: Row, record: ManifestRecord, left: Iterable[TagRecord]
) -> Iterable[Change]:
    """Give what ends a manifest's life: the manifest goes with its last tags, what it was stays."""
    yield Delete(keys.manifest(deletion.digest), deletion.etag)
    if record.subject:
        yield Delete(keys.referrer(Digest.parse(record.subject), deletion.digest))
    kept: Mapping[str, Value] = {
        **row.values,
        "deletion": "",
        **dict(
            zip(
                DeletedRecord.OWN,
                (deletion.at, deletion.by.by, deletion.until, deletion.with_repository),
                strict=True,
            )
        ),
    }
    yield Insert(keys.deleted(deletion.digest, record.life), kept)
    for tag in left:
        yield from tags.mark(tag, record.life, deletion.at, deletion.by.by)


async def refuse(stores: Stores, repository: RepositoryName) -> None:
    """Say why a repository takes no changes; nothing where it does take them again."""
    row = await stores.contents.repository(repository)
    if row and row.values.get("deletion"):
        raise Unavailable(f"{repository} is being deleted: repeat the request")
    if row and not row.values.get("write_enabled", True):
        raise Unsupported(f"{repository} is locked: unlock it first", allow=["GET", "HEAD"])


def unknown(repository: RepositoryName, digest: Digest) -> ManifestUnknown:
    """Say that a manifest is not there."""
    return ManifestUnknown(
        f"manifest {digest} is not found", detail={"Name": repository, "Revision": str(digest)}
    )


def unknown_tag(tag: Tag) -> ManifestUnknown:
    """Say that a tag is not there."""
    return ManifestUnknown(f'manifest tagged by "{tag}" is not found', detail={"Tag": tag})
