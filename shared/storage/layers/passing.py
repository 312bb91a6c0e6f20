"""Passing on: rows over rows, which a layer begins with, and of which it changes what it is for."""

from collections.abc import Mapping, Sequence

from shared.storage.ports import Change, Row, Rows, RowsPage


class PassingRows:
    """Rows that pass each call on to others."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

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
        """Read a page of several partitions."""
        return await self._rows.page(
            table, first=first, before=before, position=position, limit=limit, only=only
        )

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none."""
        return await self._rows.commit(table, partition, changes)
