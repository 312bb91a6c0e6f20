"""Storage in memory: the three ports as dictionaries, for tests and simulations.

It behaves as Azure does (one contract suite runs over both), knows no clock and no chance, and
does each call in one step: nothing else runs between a call's check and its write.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, islice

from shared.storage.ports import (
    ANY,
    MOST_CHANGES,
    VALUE_BYTES,
    Block,
    Change,
    Conflict,
    Delete,
    Facts,
    Insert,
    NotFound,
    NotPrepared,
    Put,
    Row,
    Update,
    Value,
)

PIECE_BYTES = 1 << 20


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


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    metadata: Mapping[str, str]


@dataclass(slots=True)
class _Container:
    objects: dict[str, _Object] = field(default_factory=dict)
    staged: dict[str, dict[str, bytes]] = field(default_factory=dict)


class MemoryObjects:
    """Objects in one dictionary, staged pieces in another."""

    def __init__(self) -> None:
        self._container: _Container | None = None

    async def prepare(self) -> None:
        """Make the container where it is missing."""
        self._container = self._container or _Container()

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be; the same id again replaces the piece."""
        pieces = self._open().staged.setdefault(name, {})
        if any(len(block_id) != len(other) for other in pieces):
            raise ValueError("all ids of an object have one length")
        pieces[block_id] = bytes(data)

    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces that are not part of an object yet."""
        pieces = self._open().staged.get(name, {})
        return [Block(block_id, len(data)) for block_id, data in pieces.items()]

    async def commit(
        self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]
    ) -> None:
        """Make the object out of staged pieces, and forget the others."""
        pieces = self._open().staged.get(name, {})
        if name in self._open().objects:
            raise Conflict(f"object {name}")
        if not pieces.keys() >= set(block_ids):
            raise NotFound(f"a piece of object {name}")
        await self.put(name, b"".join(pieces[block_id] for block_id in block_ids), metadata)

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> None:
        """Make a small object at once."""
        container = self._open()
        if name in container.objects:
            raise Conflict(f"object {name}")
        container.objects[name] = _Object(data, dict(metadata))
        container.staged.pop(name, None)

    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata, or None."""
        found = self._open().objects.get(name)
        return None if found is None else Facts(len(found.data), found.metadata)

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Stream `length` bytes from `start` on."""
        found = self._open().objects.get(name)
        if found is None:
            raise NotFound(f"object {name}")
        end = len(found.data) if length is None else min(start + length, len(found.data))
        for at in range(start, end, PIECE_BYTES):
            yield found.data[at : min(at + PIECE_BYTES, end)]

    async def delete(self, name: str) -> bool:
        """Remove an object; False where there was none."""
        container = self._open()
        if container.objects.pop(name, None) is None:
            return False
        container.staged.pop(name, None)
        return True

    async def url(self, name: str, seconds: int) -> str:
        """Name the object; nothing serves this address."""
        return f"memory:///{name}?seconds={seconds}"

    def _open(self) -> _Container:
        if self._container is None:
            raise NotPrepared("the container is not there")
        return self._container


class MemoryMessages:
    """Queues that only fill: `sent` lists (queue, body, delay) in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int]] = []
        self._queues: set[str] = set()

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues that are missing."""
        self._queues.update(queues)

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        if queue not in self._queues:
            raise NotPrepared(f"queue {queue} is not there")
        self.sent.append((queue, body, delay_seconds))
