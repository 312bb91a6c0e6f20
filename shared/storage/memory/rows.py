"""Rows in memory."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count, islice

from shared.storage.ports import (
    ANY,
    MOST_CHANGES,
    VALUE_BYTES,
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    NotPrepared,
    Put,
    Row,
    Update,
    Value,
)


class MemoryRows:
    """Rows in dictionaries; ETags count the writes."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, dict[str, Row]]] = {}
        self._versions = count(1)

    async def prepare(self, tables: Sequence[str]) -> None:
        """Make the tables that are missing."""
        for table in tables:
            self._tables.setdefault(table, {})

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row, or None."""
        row = self._partition(table, partition).get(key)
        return row and _narrow(row, only)

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
        """Read up to `limit` rows with keys strictly between `after` and `before`, sorted."""
        rows = self._partition(table, partition)
        wanted = (where or {}).items()
        found = (
            _narrow(rows[key], only)
            for key in sorted(key for key in rows if after < key < before)
            if all(rows[key].values.get(name) == value for name, value in wanted)
        )
        return list(islice(found, limit))

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> None:
        """Make all changes, or none."""
        if not changes:
            return
        rows = self._partition(table, partition)
        _check(changes)
        for index, change in enumerate(changes):
            _meet(rows.get(change.key), change, index)
        for change in changes:
            self._apply(rows, change)

    def _partition(self, table: str, partition: str) -> dict[str, Row]:
        try:
            return self._tables[table].setdefault(partition, {})
        except KeyError:
            raise NotPrepared(f"table {table} is not there") from None

    def _apply(self, rows: dict[str, Row], change: Change) -> None:
        if isinstance(change, Delete):
            del rows[change.key]
            return
        old = rows.get(change.key)
        replaces = old is None or isinstance(change, Insert | Put)
        values = {} if replaces or old is None else dict(old.values)
        values.update((name, _kept(value)) for name, value in change.values.items())
        rows[change.key] = Row(change.key, values, f'W/"{next(self._versions)}"')


def _narrow(row: Row, only: Sequence[str] | None) -> Row:
    wanted = row.values if only is None else only
    return Row(row.key, {name: row.values[name] for name in wanted if name in row.values}, row.etag)


def _meet(row: Row | None, change: Change, index: int) -> None:
    """Raise unless the row, if any, lets the change pass."""
    if isinstance(change, Insert) and row is not None:
        raise Conflict(f"row {change.key}", index)
    if isinstance(change, Update | Delete):
        if row is None:
            raise NotFound(f"row {change.key}", index)
        if change.etag not in {ANY, row.etag}:
            raise Conflict(f"row {change.key}", index)


def _check(changes: Sequence[Change]) -> None:
    """Refuse what no store would take: such a call is a fault of the caller."""
    if len(changes) > MOST_CHANGES:
        raise ValueError(f"a transaction takes {MOST_CHANGES} changes, not {len(changes)}")
    if len({change.key for change in changes}) < len(changes):
        raise ValueError("a transaction takes one change of each row")
    values = (each.values.values() for each in changes if not isinstance(each, Delete))
    if any(_is_large(value) for group in values for value in group):
        raise ValueError(f"a value takes {VALUE_BYTES} bytes")


def _is_large(value: Value) -> bool:
    if isinstance(value, str):
        return len(value.encode("utf-16-le")) > VALUE_BYTES
    return isinstance(value, bytes) and len(value) > VALUE_BYTES


def _kept(value: Value) -> Value:
    """Keep what the caller cannot change or tell from Azure's answer."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return str(value) if isinstance(value, str) else value
