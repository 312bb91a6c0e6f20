"""Rows in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, islice

import orjson

from shared.storage.memory.limits import check, check_row
from shared.storage.ports import (
    ANY,
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    NotPrepared,
    Put,
    Row,
    RowsPage,
    Update,
    Value,
)


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryRows:
    """Rows in dictionaries; ETags count the writes."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
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
        return row and self._read(row, only)

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
            self._read(rows[key], only)
            for key in sorted(key for key in rows if after < key < before)
            if all(rows[key].values.get(name) == value for name, value in wanted)
        )
        return list(islice(found, limit))

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
        """Read up to `limit` rows of the partitions from `first` on, before `before`."""
        after = _place(position)
        places = sorted(
            (partition, key)
            for partition, rows in self._groups(table).items()
            if first <= partition < before
            for key in rows
            if (partition, key) > after
        )
        found = places[:limit]
        rows = [(name, self._read(self._tables[table][name][key], only)) for name, key in found]
        return RowsPage(rows, orjson.dumps(found[-1]).decode() if places[limit:] else "")

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes, or none."""
        if not changes:
            return []
        rows = self._partition(table, partition)
        check(partition, changes)
        for index, change in enumerate(changes):
            _meet(rows.get(change.key), change, index)
        results = [(change.key, _result(rows.get(change.key), change)) for change in changes]
        for key, values in results:
            check_row(partition, key, values or {})
        for key, values in results:
            self._keep(rows, key, values)
        return [rows[change.key].etag if change.key in rows else "" for change in changes]

    def take_in(self, table: str, partition: str, row: Row) -> None:
        """Take in a row of another store as it is, ETag and age."""
        written = self._clock() - row.age
        self._partition(table, partition)[row.key] = replace(row, written=written)

    def _partition(self, table: str, partition: str) -> dict[str, Row]:
        return self._groups(table).setdefault(partition, {})

    def _groups(self, table: str) -> dict[str, dict[str, Row]]:
        try:
            return self._tables[table]
        except KeyError:
            raise NotPrepared(f"table {table} is not there") from None

    def _keep(self, rows: dict[str, Row], key: str, values: Mapping[str, Value] | None) -> None:
        if values is None:
            del rows[key]
        else:
            etag = f'W/"{next(self._versions)}"'
            rows[key] = Row(key, values, etag, written=self._clock())

    def _read(self, row: Row, only: Sequence[str] | None) -> Row:
        names = row.values if only is None else only
        values = {name: row.values[name] for name in names if name in row.values}
        return Row(row.key, values, row.etag, self._clock() - row.written, row.written)


def _place(position: str) -> tuple[str, str]:
    """Read a position: the row that was given last."""
    if not position:
        return "", ""
    partition, key = orjson.loads(position)
    return str(partition), str(key)


def _result(row: Row | None, change: Change) -> Mapping[str, Value] | None:
    """Give a row's values after a change; None without a row."""
    if isinstance(change, Delete):
        return None
    is_whole = row is None or isinstance(change, Insert | Put)
    old = {} if is_whole or row is None else row.values
    return {**old, **{name: _kept(value) for name, value in change.values.items()}}


def _meet(row: Row | None, change: Change, index: int) -> None:
    """Raise unless the row, if any, lets the change pass."""
    if isinstance(change, Insert) and row is not None:
        raise Conflict(f"row {change.key}", index)
    if isinstance(change, Update | Delete):
        if row is None:
            raise NotFound(f"row {change.key}", index)
        if change.etag not in {ANY, row.etag}:
            raise Conflict(f"row {change.key}", index)


def _kept(value: Value) -> Value:
    """Keep what the caller cannot change or tell from Azure's answer."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return str(value) if isinstance(value, str) else value
