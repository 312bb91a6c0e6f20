"""Gates: ports at which every call waits until it is told how to go."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NoReturn

from shared.storage import keys
from shared.storage.ports import (
    Block,
    Change,
    Facts,
    Messages,
    Objects,
    Received,
    Row,
    Rows,
    RowsPage,
    StorageError,
    Unavailable,
    Update,
)


class Way(Enum):
    """How a call goes: well, or what can go wrong with it."""

    WELL = "goes well"
    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    FAILS_AFTER = "took effect, and fails"
    TWICE = "takes effect, and is sent again later"


FAULTS = (Way.DIES_BEFORE, Way.DIES_AFTER, Way.FAILS_AFTER, Way.TWICE)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that waits: what it is, since when, whether it writes, whether others could notice."""

    name: str
    since: datetime
    is_write: bool
    is_noticed: bool
    turn: asyncio.Future[Way]


class Gate:
    """The calls of one process that wait, and what it has learned from those that went.

    With a `limit`, calls that wait for longer are given up, and have no effect. With a `page`, a
    scan reads so many rows at a time, each at its own turn: storage answers in pages, and two pages
    are no snapshot. `gone` names the calls that went.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.limit: timedelta | None = None
        self.page: int | None = None
        self.gone: list[str] = []
        self.waiting: deque[Call] = deque()
        self.learned = 0
        self.is_dead = False

    async def go[T](
        self,
        name: str,
        call: Callable[[], Awaitable[T]],
        *,
        is_write: bool = False,
        is_noticed: bool = True,
        is_learned: bool = True,
        is_timed: bool = True,
    ) -> T:
        """Wait for the turn, then call as the way says."""
        sent = self._clock()
        way = await self._turn(name, is_write=is_write, is_noticed=is_noticed)
        self.gone.append(name)
        if is_timed:
            self._check_time(name, sent)
        if way is Way.DIES_BEFORE:
            await self._die()
        if way is Way.TWICE:
            await _try(call)
            await self._turn(f"{name} again", is_write=is_write, is_noticed=is_noticed)
            self._check_time(name, sent)
        try:
            answer = await call()
        except StorageError as error:
            self._learn(name, error, sent)
            raise
        if way is Way.DIES_AFTER:
            await self._die()
        if way is Way.FAILS_AFTER:
            raise Unavailable(f"{name} took effect, and nobody heard of it")
        self._learn(name, answer if is_learned else "", sent)
        return answer

    def _check_time(self, name: str, sent: datetime) -> None:
        if self.limit and self._clock() - sent > self.limit:
            raise Unavailable(f"{name} was given up")

    async def _turn(self, name: str, *, is_write: bool, is_noticed: bool) -> Way:
        if self.is_dead:
            raise asyncio.CancelledError
        turn: asyncio.Future[Way] = asyncio.get_running_loop().create_future()
        self.waiting.append(Call(name, self._clock(), is_write, is_noticed, turn))
        return await turn

    async def _die(self) -> NoReturn:
        self.is_dead = True
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the dead do not come back")

    def _learn(self, name: str, answer: object, sent: datetime) -> None:
        times = (sent, self._clock()) if self.limit else ()
        self.learned = hash((self.learned, name, repr(answer), times))

    def state(self) -> object:
        """Tell apart what its process knows; where time is limited, also since when it waits."""
        return self.learned, tuple(call.since for call in self.waiting if self.limit)


def _is_followed(change: Change) -> bool:
    """Tell whether the next transaction goes by the ETag that this change leaves."""
    if change.key.startswith("build|") or change.key == keys.REPOSITORY:
        return True
    return isinstance(change, Update) and bool(change.values.get("deletion"))


async def _try(call: Callable[[], Awaitable[object]]) -> None:
    try:
        await call()
    except StorageError:
        return


class GatedRows:
    """Rows behind a gate."""

    def __init__(self, rows: Rows, gate: Gate) -> None:
        self._rows, self._gate = rows, gate

    async def prepare(self, tables: Sequence[str]) -> None:
        """Make the tables that are missing."""
        await self._rows.prepare(tables)

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row."""
        return await self._gate.go(
            f"get {key}", lambda: self._rows.get(table, partition, key, only)
        )

    async def scan(
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
        """Read a range of rows, in pages if so told."""

        async def page(start: str, size: int) -> list[Row]:
            return await self._gate.go(
                f"scan {table} from {start!r}",
                lambda: self._rows.scan(
                    table,
                    partition,
                    after=start,
                    before=before,
                    limit=size,
                    where=where,
                    only=only,
                ),
            )

        rows: list[Row] = []
        while True:
            size = min(self._gate.page or limit, limit - len(rows))
            found = await page(rows[-1].key if rows else after, size)
            rows += found
            if len(found) < size or len(rows) == limit:
                return rows

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
        return await self._gate.go(
            f"page of {table} from {position!r}",
            lambda: self._rows.page(
                table, first=first, before=before, position=position, limit=limit, only=only
            ),
        )

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none; what it answers is learned where it is gone by."""
        if not changes:
            return []
        said = ", ".join(f"{type(change).__name__} {change.key}" for change in changes)
        return await self._gate.go(
            f"commit {said}",
            lambda: self._rows.commit(table, partition, changes),
            is_write=True,
            is_learned=any(map(_is_followed, changes)),
        )


class GatedObjects:
    """Objects behind a gate."""

    def __init__(self, objects: Objects, gate: Gate) -> None:
        self._objects, self._gate = objects, gate

    async def prepare(self) -> None:
        """Make the container."""
        await self._objects.prepare()

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be."""
        await self._gate.go(
            f"stage {name}",
            lambda: self._objects.stage(name, block_id, data),
            is_write=True,
            is_noticed=False,
        )

    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces."""
        return await self._gate.go(f"staged {name}", lambda: self._objects.staged(name))

    async def commit(self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Make an object out of pieces."""
        return await self._gate.go(
            f"make {name}", lambda: self._objects.commit(name, block_ids, metadata), is_write=True
        )

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Make a small object."""
        return await self._gate.go(
            f"put {name}", lambda: self._objects.put(name, data, metadata), is_write=True
        )

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Put a small object in the place of another."""
        return await self._gate.go(
            f"replace {name}", lambda: self._objects.replace(name, data, etag), is_write=True
        )

    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata."""
        return await self._gate.go(f"facts {name}", lambda: self._objects.facts(name))

    async def page(self, prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        """List some names."""
        return await self._gate.go(
            f"page of {prefix}", lambda: self._objects.page(prefix, position, limit)
        )

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Read all at once: small as it is, it is one call."""

        async def read() -> list[bytes]:
            return [piece async for piece in self._objects.read(name, start, length)]

        for piece in await self._gate.go(f"read {name}", read):
            yield piece

    async def delete(self, name: str, etag: str) -> bool:
        """Remove an object."""
        return await self._gate.go(
            f"remove {name}", lambda: self._objects.delete(name, etag), is_write=True
        )

    async def url(self, name: str, seconds: int) -> str:
        """Sign an address."""
        return await self._objects.url(name, seconds)


class GatedMessages:
    """Messages behind a gate."""

    def __init__(self, messages: Messages, gate: Gate) -> None:
        self._messages, self._gate = messages, gate

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues."""
        await self._messages.prepare(queues)

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        await self._gate.go(
            f"send to {queue}",
            lambda: self._messages.send(queue, body, delay_seconds),
            is_write=True,
            is_noticed=False,
        )

    async def receive(self, queue: str, limit: int, hidden_seconds: int) -> list[Received]:
        """Take some texts."""
        return await self._messages.receive(queue, limit, hidden_seconds)

    async def delete(self, queue: str, received: Received) -> bool:
        """Remove a text."""
        return await self._messages.delete(queue, received)

    async def peek(self, queue: str, limit: int) -> list[str]:
        """Give some texts."""
        return await self._messages.peek(queue, limit)
