"""Standing: rows are written only while the registry is known to be what it was.

A request may take an hour: in that time its registry can be deleted, and made anew. So each change
is sent on a record of the registry that was read less than a minute before; where it is older,
whoever made these rows reads it again, and refuses the change if the registry is another one now.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from shared.storage.ports import Change, Row, Rows, RowsPage


class StandingRows:
    """Rows of one registry generation; `check` raises where it is none any more."""

    def __init__(self, rows: Rows, check: Callable[[], Awaitable[None]]) -> None:
        self._rows = rows
        self._check = check

    async def prepare(self, tables: Sequence[str]) -> None:
        """Make the tables that are missing."""
        await self._rows.prepare(tables)

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row."""
        return await self._rows.get(table, partition, key, only)

    async def scan(  # noqa: PLR0913 - as the port has it
        self,
        table: str,
        partition: str,
        *,
        after: str,
        before: str,
        limit: int,
        where: Mapping[str, str] | None = None,
        only: Sequence[str] | None = None,
    ) -> list[Row]:
        """Read a range of rows."""
        return await self._rows.scan(
            table, partition, after=after, before=before, limit=limit, where=where, only=only
        )

    async def page(
        self,
        table: str,
        *,
        first: str,
        before: str,
        position: str,
        limit: int,
        only: Sequence[str] | None = None,
    ) -> RowsPage:
        """Read rows of many partitions."""
        return await self._rows.page(
            table, first=first, before=before, position=position, limit=limit, only=only
        )

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none, once it is known that the registry still stands."""
        await self._check()
        return await self._rows.commit(table, partition, changes)
