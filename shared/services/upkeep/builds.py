"""Builds: pushes of several transactions that died, or were overtaken, on the way.

E1 find the build untouched for 2 L: nobody is at it any more
E2 find its life neither live nor over: else its edges are needed, and only the row goes
E3 transactions: take its edges; each changes the build's row by the ETag that the one before
   has left, so a push that goes on all the same fails, or E3 does
E4 the collector is asked to look at all that it was to use, from now on: it stops at any edge
E5 its body if that is an object, its row
"""

from datetime import timedelta

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.upkeep.purge import targets_of
from shared.storage import ages, halt
from shared.storage.messages.errands import Kind
from shared.storage.ports import Conflict, Delete, NotFound, Row, Update
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores

_SOME = 99


class Builds:
    """Ends the builds of a registry."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._contents = stores.contents

    async def end(self, repository: RepositoryName, digest: Digest, life: str) -> None:
        """End a build that is abandoned; one that is under way is looked at later."""
        row = await self._contents.build(repository, digest, life)
        if row is None:
            return
        if row.age < 2 * ages.L:
            await self._come_again(repository, digest, life, 2 * ages.L)
            return
        is_needed = await self._is_needed(repository, row)
        if await self._stores.removal_is_halted():
            await self._come_again(repository, digest, life, halt.AGAIN)
            return
        await self._stores.errands.send(Kind.RETIRE, repository, after=ages.L)  # it held that up
        try:
            await self._end(repository, row, is_needed=is_needed)
        except (Conflict, NotFound):  # it goes on; or our own try did this, its answer lost
            await self._come_again(repository, digest, life, 2 * ages.L)

    async def _come_again(
        self, repository: RepositoryName, digest: Digest, life: str, after: timedelta
    ) -> None:
        await self._stores.errands.send(
            Kind.END_BUILD, repository, after=after, digest=str(digest), life=life
        )

    async def _is_needed(self, repository: RepositoryName, row: Row) -> bool:
        record = ManifestRecord.read(row)
        live = await self._contents.manifest(repository, record.digest, with_body=False)
        if live and live.life == record.life:
            return True
        deleted = await self._stores.deleted.find(repository, record.digest, record.life)
        return deleted is not None

    async def _end(self, repository: RepositoryName, row: Row, *, is_needed: bool) -> None:
        record, etag = ManifestRecord.read(row), row.etag
        if is_needed:
            await self._contents.commit(repository, [Delete(row.key, etag)])
            return
        targets = await targets_of(self._stores, repository, record)
        edges = await self._contents.edges_from(repository, record.digest, record.life, targets)
        for start in range(0, len(edges), _SOME):
            some = [Delete(edge.key, edge.etag) for edge in edges[start : start + _SOME]]
            etag = (await self._contents.commit(repository, [Update(row.key, {}, etag), *some]))[0]
        await self._stores.collecting.ask(repository, targets)
        if record.object:
            await self._stores.discard(record.object)
        await self._contents.commit(repository, [Delete(row.key, etag)])
