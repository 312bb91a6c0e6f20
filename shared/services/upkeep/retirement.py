"""Retirement: a repository without manifests leaves the catalog (in the order that `pushes` tells).

While removers are halted, as rows may be missing, it stays: nothing would list it again.

What it was, its attributes among them, stays in `repository`: whoever pushes to that name again
finds them. `look` tells what would be done, and changes nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.model.attributes import Attributes
from shared.model.names import RepositoryName
from shared.storage import ages, halt, keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import Change, Conflict, Delete, NotFound, Row, Update
from shared.storage.stores import Stores


class Fate(StrEnum):
    """What becomes of a repository."""

    KEPT = "kept"
    CLOSED = "closed to pushes, and struck off"
    STRUCK_OFF = "struck off, being listed for nothing"
    LATER = "looked at later, as a push may be under way"


@dataclass(frozen=True, slots=True)
class Looked:
    """What is to be done, and the rows that say so, as they were read: the oldest look first."""

    fate: Fate
    listed: Row | None
    writable: Row | None
    row: Row | None


class Retirement:
    """Retires the repositories of a registry."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._index = stores.index

    async def look(self, repository: RepositoryName) -> Looked:
        """Tell what is to become of a repository."""
        listed = await self._index.row(repository)
        writable = await self._contents.writable(repository)
        row = await self._contents.repository(repository)
        fate = _fate(listed, writable, row)
        if fate is not Fate.KEPT and await self._is_used(repository):
            fate = Fate.KEPT
        return Looked(fate, listed, writable, row)

    async def retire(self, repository: RepositoryName) -> bool:
        """Strike a repository off the catalog if it has no manifest; False where it is kept.

        May be repeated at any time. Where it is too early to tell, upkeep is sent again.
        """
        looked = await self.look(repository)
        if looked.fate is Fate.KEPT:
            return False
        if await self._stores.removal_is_halted():
            await self._stores.errands.send(Kind.RETIRE, repository, after=halt.AGAIN)
            return False
        if looked.fate is Fate.LATER:
            await self._stores.errands.send(Kind.RETIRE, repository, after=2 * ages.L)
            return False
        if looked.fate is Fate.CLOSED and not await self._close(repository, looked):
            return False
        listed = looked.listed
        return listed is None or await self._index.remove(repository, listed.etag)

    async def _is_used(self, repository: RepositoryName) -> bool:
        if await self._contents.manifests(repository, "", 1):
            return True
        return await self._contents.has_builds(repository)

    async def _close(self, repository: RepositoryName, looked: Looked) -> bool:
        """Let no push come any more that has not begun anew; False where one was quicker.

        Where `writable` has gone meanwhile another has done the same, or our own first try, whose
        answer was lost: a push that came after it has changed the index row.
        """
        if looked.row is None or looked.writable is None:
            return False
        changes: list[Change] = [
            Delete(keys.WRITABLE, looked.writable.etag),
            Update(keys.REPOSITORY, {}, looked.row.etag),
        ]
        try:
            await self._contents.commit(repository, changes)
        except (Conflict, NotFound):
            return await self._contents.writable(repository) is None
        return True


def _fate(listed: Row | None, writable: Row | None, row: Row | None) -> Fate:
    """Say what becomes of a repository without manifests.

    A name that is listed for nothing is struck off once no push can be behind it any more.
    """
    if row and row.values.get("deletion"):
        return Fate.KEPT
    if writable:
        return Fate.CLOSED
    if listed and row and not Attributes.read(row.values).write_enabled:
        return Fate.KEPT
    return Fate.STRUCK_OFF if listed is None or listed.age >= 2 * ages.L else Fate.LATER
