"""Attributes of repositories, manifests and tags: changed here, heeded everywhere (`locks`).

No lock refuses a change of attributes. Each goes by the ETag of `repository`, which stays when
`writable` does not: while a deletion of the repository is under way none is made, and one that is
made before ends the deletion's first step. A repository's write lock takes `writable`, so all who
are about to change something fail, and look why; unlocking puts it back, if there are manifests.

    lock                                   push, deletion, restore
    A1 read `repository`                   change `writable`, with all the rest
    A2 change it, take `writable`          it is not there: read `repository`, and tell

    lock of a tag or a manifest            deletion of the manifest
    A1 read `repository` and its row       D1 read the manifest and its tags
    A2 change both, as they were           D2 take them, as they were

A1 before D2 before A2: A2 fails, there is no such tag or manifest. A2 before D2: D2 fails, and D1
finds the lock. Some tags may be gone by then: upkeep gives them back.

Whether a repository is listed stands in the index as well, and is put there afterwards.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.errors import NameUnknown, Unavailable
from shared.model.attributes import Attributes, Wanted
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.attributes.listing import list_as_said
from shared.services.content.manifests import unknown, unknown_tag
from shared.storage import ages, keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import Change, Conflict, Delete, Insert, NotFound, Row, Update
from shared.storage.rows import tags
from shared.storage.rows.registries import READ_LOCKS
from shared.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class _Step:
    """What there is, what it is to be, and the changes that make it so."""

    there: Attributes
    new: Attributes
    changes: Sequence[Change]


type _Look = Callable[[], Awaitable[_Step]]


class AttributeChanges:
    """Changes attributes in a registry.

    `note_read_locks` lets all who read know that something may not be read: they look for it only
    then.
    """

    def __init__(self, stores: Stores, note_read_locks: Callable[[], Awaitable[None]]) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._note_read_locks = note_read_locks

    async def repository(self, repository: RepositoryName, wanted: Wanted) -> Attributes:
        """Change a repository's; raises NameUnknown, Unavailable."""

        async def look() -> _Step:
            row = await self._row(repository)
            writable = await self._contents.writable(repository)
            there = Attributes.read(row.values)
            if writable is None and there.write_enabled:
                raise NameUnknown(detail={"name": repository})
            new = wanted.on(there)
            return _Step(there, new, await self._of_repository(repository, row, new))

        # Where this meets a retirement, the index may have to be looked at once more.
        await self._stores.errands.send(Kind.RETIRE, repository, after=2 * ages.L)
        new = await self._change(repository, wanted, look)
        if wanted.list_enabled is not None:
            await list_as_said(self._stores, repository)
        return new

    async def manifest(
        self, repository: RepositoryName, digest: Digest, wanted: Wanted
    ) -> Attributes:
        """Change a manifest's; raises ManifestUnknown, Unavailable."""

        async def look() -> _Step:
            row = await self._row(repository)
            record = await self._contents.manifest(repository, digest, with_body=False)
            if record is None:
                raise unknown(repository, digest)
            new = wanted.on(record.attributes)
            changes: list[Change] = [
                Update(keys.REPOSITORY, {}, row.etag),
                Update(keys.manifest(digest), {**new.values(), "deletion": ""}, record.etag),
            ]
            return _Step(record.attributes, new, changes)

        return await self._change(repository, wanted, look)

    async def tag(self, repository: RepositoryName, tag: Tag, wanted: Wanted) -> Attributes:
        """Change a tag's; raises ManifestUnknown where there is no such tag, Unavailable."""

        async def look() -> _Step:
            row = await self._row(repository)
            record = await self._contents.tag(repository, tag)
            if record is None:
                raise unknown_tag(tag)
            new = wanted.on(record.attributes)
            changes = [Update(keys.REPOSITORY, {}, row.etag), *tags.allow(record, new)]
            return _Step(record.attributes, new, changes)

        return await self._change(repository, wanted, look)

    async def _change(self, repository: RepositoryName, wanted: Wanted, look: _Look) -> Attributes:
        if wanted.read_enabled is False and READ_LOCKS not in self._stores.flags:
            await self._note_read_locks()
        span = ages.Span(self._stores.ticks)
        while not span.is_over:
            step = await look()
            if step.new == step.there:
                return step.new
            with suppress(NotFound, Conflict):
                await self._contents.commit(repository, step.changes)
                return step.new
        raise Unavailable(f"{repository} is being changed too often: repeat the request")

    async def _of_repository(
        self, repository: RepositoryName, row: Row, new: Attributes
    ) -> Sequence[Change]:
        change = Update(keys.REPOSITORY, new.values(), row.etag)
        if Attributes.read(row.values).write_enabled == new.write_enabled:
            return [change]
        if not new.write_enabled:
            return [change, Delete(keys.WRITABLE)]
        if not await self._contents.manifests(repository, "", 1):
            return [change]
        return [change, Insert(keys.WRITABLE, {"updated": self._stores.clock()})]

    async def _row(self, repository: RepositoryName) -> Row:
        row = await self._contents.repository(repository)
        if row is None:
            raise NameUnknown(detail={"name": repository})
        if row.values.get("deletion"):
            raise Unavailable(f"{repository} is being deleted: repeat the request")
        return row
