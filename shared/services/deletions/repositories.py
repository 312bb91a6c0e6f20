"""Repositories, deleted as a whole and brought back: a sequence that any process can go on with.

    S1 find the repository neither locked nor being deleted, and nothing in it that is locked
    S2 transaction: take `writable`, write the deletion's id into `repository`, as it was read
    S3 transactions: end the life of each manifest, as its own deletion does, with an event; each
       merges `repository` by the ETag that the one before has left
    S4 transaction: clear the id; the event
    S5 strike off the index row, as it was read before

Without `writable` no push begins; those under way meet S2. Who finds the id goes on under it, and
stops where it is gone: so of two that go on each step is made once, and what was pushed after S4
is not touched. Before S2 upkeep is told, to be there when this must be over. Before S3 the fan-out
is told of the events of a page of manifests, in one message: those that another writes, or nobody,
it looks for in vain.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import cast

from shared.errors import ManifestBlobUnknown, ManifestUnknown, NameUnknown, Unavailable
from shared.events import Cause, ManifestDeleted, RepositoryDeleted, values
from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.manifests import media_types
from shared.model.names import RepositoryName
from shared.services.attributes.locks import check_all_tags, check_manifests, locked
from shared.services.deletions.endings import WITH_NAMES, Deletion, ended, marked
from shared.services.deletions.restores import Restores
from shared.storage import ages, keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import (
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    Row,
    StorageError,
    Update,
    Value,
)
from shared.storage.rows.records import DeletedRecord, ManifestRecord
from shared.storage.stores import Stores
from shared.storage.transactions import Transaction

_log = logging.getLogger(__name__)

_TAGS = 23
"""How many tags go in one transaction; fewer where their names are kept."""
_SOME = 50
_LIVES = 1_000


type Order = tuple[float, bool, str, str]


@dataclass(frozen=True, slots=True)
class Returned:
    """A life that was to come back; `why` it did not, and which blobs are `missing`, if so."""

    digest: Digest
    life: str
    missing: Sequence[str]
    why: str


class _Overtaken(Exception):
    """Another goes on with the deletion, or has brought it to its end."""


class RepositoryDeletions:
    """Deletes repositories. `kept` is for how long their manifests can come back."""

    def __init__(self, stores: Stores, restores: Restores, kept: timedelta) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._restores = restores
        self._kept = kept

    async def delete(self, repository: RepositoryName, *, by: Cause) -> None:
        """Delete a repository with all its manifests.

        Raises:
            NameUnknown: there is no such repository.
            RegistryDisallowedOperation: it is locked, or something in it.
        """
        row = await self._contents.repository(repository)
        if row is None:
            raise NameUnknown(detail={"name": repository})
        if not row.values.get("deletion"):
            await self._begin(repository, row, by)
        await self.go_on(repository)

    async def go_on(self, repository: RepositoryName, deletion: str = "") -> None:
        """Bring a deletion that has begun to its end; of `deletion` alone, if that is named."""
        span = ages.Span(self._stores.ticks)
        listed = await self._stores.index.row(repository)
        row = await self._contents.repository(repository)
        named = deletion or (row.values.get("deletion") if row else "")
        while row and named and row.values.get("deletion") == named:
            try:
                await self._end_lives(repository, row, span)
            except _Overtaken:
                row = await self._contents.repository(repository)
                continue
            if listed:
                await self._unlist(repository, listed.etag)
            return

    async def _unlist(self, repository: RepositoryName, etag: str) -> None:
        """Strike it off the catalog; where storage fails, retirement does, after the event."""
        try:
            await self._stores.index.remove(repository, etag)
        except StorageError as error:
            _log.warning("%s is deleted, and leaves the catalog later: %s", repository, error)

    async def restore(self, repository: RepositoryName, deletion: str, *, by: Cause) -> int:
        """Bring back the manifests that a deletion took; count them.

        Raises ManifestBlobUnknown where blobs are missing: what has all of its own is back by then.
        """
        missing: dict[str, None] = {}
        span = ages.Span(self._stores.ticks)
        count = 0
        async for returned in self.returning(repository, deletion, by=by):
            missing.update(dict.fromkeys(returned.missing))
            count += 1
            if span.is_over:
                raise Unavailable(f"{repository} is coming back: repeat the request")
        if missing:
            raise ManifestBlobUnknown([*missing])
        return count

    async def returning(
        self, repository: RepositoryName, deletion: str = "", *, by: Cause
    ) -> AsyncIterator[Returned]:
        """Bring back what a deletion took, or all that is kept, one by one, and tell of each.

        What was deleted last comes first: a tag is its own that bore it last. Of what went at one
        time images come before indexes, which name them.
        """
        await self.go_on(repository)
        before: Order | None = None
        while lives := await self._last_lives(repository, deletion, before):
            before = _order(lives[-1])
            for deleted in lives:
                yield await self._return(repository, deleted, by)

    async def _return(
        self, repository: RepositoryName, deleted: DeletedRecord, by: Cause
    ) -> Returned:
        record = deleted.manifest
        missing, why = [], ""
        try:
            await self._restores.manifest(repository, record.digest, record.life, by=by)
        except ManifestBlobUnknown as error:
            missing, why = error.digests, "blobs of it are not there any more"
        except ManifestUnknown as error:  # another was quicker, or it has rotted
            why = str(error)
        return Returned(record.digest, record.life, missing, why)

    async def _last_lives(
        self, repository: RepositoryName, deletion: str, before: Order | None
    ) -> list[DeletedRecord]:
        """Find those deleted last of the lives that come after `before`; holds few of them."""
        last: list[DeletedRecord] = []
        after = ""
        while page := await self._stores.deleted.page(repository, after, _LIVES):
            after = f"{page[-1].manifest.digest}|{page[-1].manifest.life}"
            wanted = [one for one in page if deletion in {"", one.deletion} and not one.is_over]
            last += [one for one in wanted if before is None or _order(one) > before]
            last = sorted(last, key=_order)[:_LIVES]
        return last

    async def _begin(self, repository: RepositoryName, row: Row, by: Cause) -> None:
        if not Attributes.read(row.values).allow_deletion:
            raise locked(repository)
        await check_manifests(self._stores, repository)
        await check_all_tags(self._stores, repository)
        deletion, now = self._stores.new_id(), self._stores.clock()
        await self._stores.errands.send(
            Kind.DELETE_REPOSITORY, repository, after=2 * ages.L, deletion=deletion
        )
        begun: dict[str, Value] = {"deletion": deletion, "deletion_at": now, **_noted(by)}
        changes: list[Change] = [
            Update(keys.REPOSITORY, begun, row.etag),
            Delete(keys.WRITABLE),
        ]
        try:
            await self._contents.commit(repository, changes)
        except NotFound:  # it has no manifests, or is locked
            raise NameUnknown(detail={"name": repository}) from None
        except Conflict:
            there = await self._contents.repository(repository)
            if not there or not there.values.get("deletion"):
                raise Unavailable(f"{repository} is being changed: repeat the deletion") from None

    async def _end_lives(self, repository: RepositoryName, row: Row, span: ages.Span) -> None:
        """End the life of each manifest, then the deletion; raises _Overtaken."""
        etag = row.etag
        while some := await self._contents.manifests(repository, "", _SOME):
            for deletion, record in await self._told(repository, row, some):
                etag = await self._end_life(deletion, record, etag, span)
                _check(repository, span)
        await self._end(repository, row, etag)

    async def _told(
        self, repository: RepositoryName, row: Row, some: Sequence[ManifestRecord]
    ) -> Sequence[tuple[Deletion, ManifestRecord]]:
        """Tell of the deletions of some manifests, which are about to be made, and give them."""
        told = ages.Span(self._stores.ticks, ages.L)
        deletions = [self._deletion(repository, row, record) for record in some]
        await self._stores.outbox.promise(repository, [each.outbox for each in deletions])
        for each in deletions:
            each.told = told
        return [*zip(deletions, some, strict=True)]

    async def _end_life(
        self, deletion: Deletion, record: ManifestRecord, etag: str, span: ages.Span
    ) -> str:
        repository = deletion.repository
        some = WITH_NAMES if self._stores.policies.keeps_names else _TAGS
        while True:
            page = await self._contents.tags_of(repository, record.digest, some)
            marks = marked(self._stores, deletion, record.life, page)
            if len(page) < some:
                break
            etag = await self._commit(repository, etag, marks)
            _check(repository, span)
        whole = await self._contents.manifest_row(repository, record.digest)
        if whole is None:
            raise _Overtaken
        deletion.etag = whole.etag
        end = ended(deletion, whole, ManifestRecord.read(whole))
        etag = await self._commit(repository, etag, [_event(deletion, record), *end, *marks])
        if deletion.told and deletion.told.is_over:
            await self._stores.outbox.promise_again(repository, [deletion.outbox])
        return etag

    async def _end(self, repository: RepositoryName, row: Row, etag: str) -> None:
        by, at = _cause(row), cast("datetime", row.values["deletion_at"])
        outbox = self._stores.outbox.key(at)
        await self._stores.outbox.promise(repository, [outbox])
        event = RepositoryDeleted(str(row.values["deletion"]), by, at)
        cleared = {"deletion": "", "deleted": str(row.values["deletion"])}
        changes: list[Change] = [
            Insert(outbox, values(event)),
            Update(keys.REPOSITORY, cleared, etag),
        ]
        try:
            await self._contents.commit(repository, changes)
        except (NotFound, Conflict) as error:
            if error.index:
                raise _Overtaken from None

    async def _commit(
        self, repository: RepositoryName, etag: str, changes: Iterable[Change]
    ) -> str:
        wanted = [Update(keys.REPOSITORY, {}, etag), *Transaction(changes)]
        try:
            etags = await self._contents.commit(repository, wanted)
        except (NotFound, Conflict):
            raise _Overtaken from None
        return etags[0]

    def _deletion(self, repository: RepositoryName, row: Row, record: ManifestRecord) -> Deletion:
        at = cast("datetime", row.values["deletion_at"])
        return Deletion(
            repository=repository,
            digest=record.digest,
            id="",
            by=_cause(row),
            at=at,
            until=at + self._kept,
            outbox=self._stores.outbox.key(at),
            with_repository=str(row.values["deletion"]),
        )


def _event(deletion: Deletion, record: ManifestRecord) -> Insert:
    """Tell of a manifest that goes with its repository."""
    event = ManifestDeleted(
        digest=str(deletion.digest),
        media_type=record.media_type,
        cause=deletion.by,
        at=deletion.at,
        subject=record.subject,
        life=record.life,
        deletion=deletion.with_repository,
    )
    return Insert(deletion.outbox, values(event))


def _check(repository: RepositoryName, span: ages.Span) -> None:
    """End a request that takes long, once it has come further."""
    if span.is_over:
        raise Unavailable(f"the deletion of {repository} goes on: repeat it")


def _order(deleted: DeletedRecord) -> Order:
    """Give what sorts lives as they come back."""
    record = deleted.manifest
    is_index = record.media_type in media_types.INDEXES
    return -deleted.at.timestamp(), is_index, str(record.digest), record.life


def _noted(by: Cause) -> dict[str, str]:
    return {f"deletion_{name}": value for name, value in asdict(by).items()}


def _cause(row: Row) -> Cause:
    noted = {name.removeprefix("deletion_"): str(value) for name, value in row.values.items()}
    return Cause(**{name: noted[name] for name in asdict(Cause("")) if name in noted})
