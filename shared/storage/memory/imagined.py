"""Rows and objects that are imagined: what is written over those of a store, in memory alone.

Reads see it, the store does not. So what a dry run does is what it would do. A table that is not
there is an empty one. What is kept are the rows that were written, or read in order to be changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.storage.layers.passing import PassingRows
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Change, NotPrepared, Objects, Row, Rows, RowsPage


class ImaginedRows(PassingRows):
    """Rows over others, which stay as they are."""

    def __init__(self, rows: Rows, kept: MemoryRows) -> None:
        super().__init__(rows)
        self._kept = kept
        self._touched: set[tuple[str, str, str]] = set()

    async def prepare(self, tables: Sequence[str]) -> None:
        """Imagine tables."""
        await self._kept.prepare(tables)

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row."""
        if (table, partition, key) in self._touched:
            return await self._kept.get(table, partition, key, only)
        try:
            return await super().get(table, partition, key, only)
        except NotPrepared:
            return None

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
        await self._kept.prepare([table])
        kept = await self._kept.scan(
            table, partition, after=after, before=before, limit=limit, where=where, only=only
        )
        try:
            real = await super().scan(
                table, partition, after=after, before=before, limit=limit, where=where, only=only
            )
        except NotPrepared:
            return kept
        untouched = [row for row in real if (table, partition, row.key) not in self._touched]
        return sorted([*kept, *untouched], key=lambda row: row.key)[:limit]

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
        """Read a page of several partitions, as the store has them."""
        try:
            return await super().page(
                table, first=first, before=before, position=position, limit=limit, only=only
            )
        except NotPrepared:
            return RowsPage([], "")

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Imagine all changes or none."""
        await self._kept.prepare([table])
        for change in changes:
            place = table, partition, change.key
            if place not in self._touched:
                row = await self.get(table, partition, change.key)
                self._touched.add(place)
                if row:
                    self._kept.take_in(table, partition, row)
        return await self._kept.commit(table, partition, changes)


class ImaginedObjects:
    """Objects over others, which stay as they are; what is put is forgotten."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    async def put(self, name: str, _: bytes, __: Mapping[str, str]) -> str:
        """Imagine an object."""
        return f'"{name}"'
