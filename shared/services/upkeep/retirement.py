"""Retirement: a repository without manifests leaves the catalog (in the order that `pushes` tells).

While removers are halted, as rows may be missing, it stays: nothing would list it again.

What it was, its attributes among them, stays in `repository`: whoever pushes to that name again
finds them.
"""

from shared.model.attributes import Attributes
from shared.model.names import RepositoryName
from shared.storage import ages, halt, keys
from shared.storage.errands import Kind
from shared.storage.ports import Change, Conflict, Delete, NotFound, Row, Update
from shared.storage.stores import Stores


class Retirement:
    """Retires the repositories of a registry."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._index = stores.index

    async def retire(self, repository: RepositoryName) -> bool:
        """Strike a repository off the catalog if it has no manifest; False where it is kept.

        May be repeated at any time. Where it is too early to tell, upkeep is sent again.
        """
        listed = await self._index.row(repository)
        writable = await self._contents.writable(repository)
        row = await self._contents.repository(repository)
        if row and row.values.get("deletion"):
            return False
        if await self._contents.manifests(repository, "", 1):
            return False
        if await self._contents.has_builds(repository):
            return False
        if await self._stores.removal_is_halted():
            await self._stores.errands.send(Kind.RETIRE, repository, after=halt.AGAIN)
            return False
        if writable:
            is_free = await self._close(repository, writable, row)
        else:
            is_free = await self._is_abandoned(repository, listed, row)
        return is_free and (listed is None or await self._index.remove(repository, listed.etag))

    async def _close(self, repository: RepositoryName, writable: Row, row: Row | None) -> bool:
        """Let no push come any more that has not begun anew; False where one was quicker.

        Where `writable` has gone meanwhile another has done the same, or our own first try, whose
        answer was lost: a push that came after it has changed the index row.
        """
        if row is None:
            return False
        changes: list[Change] = [
            Delete(keys.WRITABLE, writable.etag),
            Update(keys.REPOSITORY, {}, row.etag),
        ]
        try:
            await self._contents.commit(repository, changes)
        except (Conflict, NotFound):
            return await self._contents.writable(repository) is None
        return True

    async def _is_abandoned(
        self, repository: RepositoryName, listed: Row | None, row: Row | None
    ) -> bool:
        """Tell whether a name is listed for nothing: for so long that no push can be behind it."""
        if listed is None:
            return True
        if row and not Attributes.read(row.values).write_enabled:
            return False
        if listed.age >= 2 * ages.L:
            return True
        await self._stores.errands.send(Kind.RETIRE, repository, after=2 * ages.L)
        return False
