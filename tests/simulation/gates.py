"""Gates: ports at which every call waits until it is told how to go.

A process behind a gate sees nothing of the world but what its calls are answered: whoever knows
these answers knows what it does next (`actors.py` goes by that).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from shared.storage import keys
from shared.storage.ports import (
    Block,
    Change,
    Facts,
    Put,
    Received,
    Row,
    RowsPage,
    StorageError,
    Unavailable,
    Update,
)
from tests.simulation.loop import at_once

if TYPE_CHECKING:
    from tests.simulation.world import World


class Way(Enum):
    """How a call goes: well, or what can go wrong with it."""

    WELL = "goes well"
    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    FAILS_AFTER = "took effect, and fails"
    TWICE = "takes effect, and is sent again later"


FAULTS = (Way.DIES_BEFORE, Way.DIES_AFTER, Way.FAILS_AFTER, Way.TWICE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a process hears: a value or an error; and what it has learned by that, if anything."""

    value: Any = None
    error: Exception | None = None
    learned: str | None = None


class Silence(Enum):
    """What a process may hear instead of a reply."""

    DEATH = "it is dead"
    AGAIN = "the same call waits again"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that waits: what it is, since when, whether it writes, whether others could notice.

    It was `sent` before it waited where it waits again. A call that `is_read` leaves the world as
    it is. Where time is limited, one that waits for longer is given up, and has no effect.
    """

    name: str
    since: datetime
    act: Callable[["World"], Coroutine[Any, Any, Any]]
    is_write: bool
    is_read: bool
    is_noticed: bool
    is_learned: bool
    limit: timedelta | None
    sent: datetime
    is_again: bool = False

    @property
    def title(self) -> str:
        """Say what it is, and whether it waits again."""
        return f"{self.name} again" if self.is_again else self.name

    def again(self, now: datetime) -> "Call":
        """Let it wait once more."""
        return replace(self, since=now, is_again=True)

    def go(self, world: "World", way: Way) -> Reply | Silence:
        """Make it in a world, in one of the ways."""
        if self.limit and world.clock.now - self.sent > self.limit:
            return Reply(error=Unavailable(f"{self.name} was given up"))
        if way is Way.DIES_BEFORE:
            return Silence.DEATH
        reply = self._made(world)
        if way is Way.TWICE:
            return Silence.AGAIN
        return reply if reply.error else self._told(reply, way)

    def _told(self, reply: Reply, way: Way) -> Reply | Silence:
        if way is Way.DIES_AFTER:
            return Silence.DEATH
        if way is Way.FAILS_AFTER:
            return Reply(error=Unavailable(f"{self.name} took effect, and nobody heard of it"))
        return reply

    def _made(self, world: "World") -> Reply:
        try:
            answer = at_once(self.act(world))
        except StorageError as error:
            return Reply(error=error, learned=repr(error))
        except (AssertionError, ValueError) as error:  # Azure would take no such call
            return Reply(error=error)
        return Reply(answer, learned=repr(answer if self.is_learned else ""))


@dataclass(frozen=True, slots=True)
class Aside:
    """A look at the world that takes no turn of its own; it may change the world, too."""

    act: Callable[[Any], Any]
    is_change: bool


class Gate:
    """The calls of one process that wait.

    With a `limit`, calls that wait for longer are given up, and have no effect. With a `page`, a
    scan reads so many rows at a time, each at its own turn: storage answers in pages, and two pages
    are no snapshot. `gone` names the calls that went.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.limit: timedelta | None = None
        self.page: int | None = None
        self.gone: list[str] = []
        self.waiting: deque[tuple[Call, asyncio.Future[Any]]] = deque()
        self.asides: deque[tuple[Aside, asyncio.Future[Any]]] = deque()

    async def go[T](
        self,
        name: str,
        act: Callable[["World"], Coroutine[Any, Any, T]],
        *,
        is_write: bool = False,
        is_read: bool = False,
        is_noticed: bool = True,
        is_learned: bool = True,
        is_timed: bool = True,
    ) -> T:
        """Wait for the turn, and give what was answered."""
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        now, limit = self._clock(), self.limit if is_timed else None
        call = Call(name, now, act, is_write, is_read, is_noticed, is_learned, limit, now)
        self.waiting.append((call, turn))
        return await turn

    async def look[T](self, act: Callable[[Any], T], *, is_change: bool = False) -> T:
        """Look at the world at once, or change it."""
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.asides.append((Aside(act, is_change), turn))
        return await turn

    def hear(self, reply: Reply | Silence) -> None:
        """Let the call that waits for longest be answered, or wait again."""
        call, turn = self.waiting.popleft()
        if not call.is_again:
            self.gone.append(call.name)
        if reply is Silence.AGAIN:
            self.waiting.append((call.again(self._clock()), turn))
        elif isinstance(reply, Reply) and reply.error:
            turn.set_exception(reply.error.with_traceback(None))
        elif isinstance(reply, Reply):
            turn.set_result(reply.value)

    def let_go(self, world: "World") -> None:
        """Let the next of all go well, and be answered."""
        if self.asides:
            aside, turn = self.asides.popleft()
            turn.set_result(aside.act(world))
        else:
            self.hear(self.waiting[0][0].go(world, Way.WELL))


def _is_followed(table: str, change: Change) -> bool:
    """Tell whether the next transaction goes by the ETag that this change leaves.

    Where the change itself went by an ETag, what it has read tells which one it leaves.
    """
    if table == keys.REPOSITORIES and isinstance(change, Put):  # `Index.keep`
        return True
    if change.key.startswith("build|") or change.key == keys.REPOSITORY:
        return True
    return isinstance(change, Update) and bool(change.values.get("deletion"))


class GatedRows:
    """Rows behind a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def prepare(self, tables: Sequence[str]) -> None:
        """Have them all."""

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row."""
        return await self._gate.go(
            f"get {key}",
            lambda world: world.rows.get(table, partition, key, only),
            is_read=True,
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
                lambda world: world.rows.scan(
                    table,
                    partition,
                    after=start,
                    before=before,
                    limit=size,
                    where=where,
                    only=only,
                ),
                is_read=True,
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
            lambda world: world.rows.page(
                table, first=first, before=before, position=position, limit=limit, only=only
            ),
            is_read=True,
        )

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none; what it answers is learned where it is gone by."""
        if not changes:
            return []
        changes = tuple(changes)
        said = ", ".join(f"{type(change).__name__} {change.key}" for change in changes)
        return await self._gate.go(
            f"commit {said}",
            lambda world: world.rows.commit(table, partition, changes),
            is_write=True,
            is_learned=any(_is_followed(table, change) for change in changes),
        )


class GatedObjects:
    """Objects behind a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def prepare(self) -> None:
        """Have it."""

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be."""
        await self._gate.go(
            f"stage {name}",
            lambda world: world.objects.stage(name, block_id, data),
            is_write=True,
            is_noticed=False,
        )

    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces."""
        return await self._gate.go(
            f"staged {name}", lambda world: world.objects.staged(name), is_read=True
        )

    async def commit(self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Make an object out of pieces."""
        return await self._gate.go(
            f"make {name}",
            lambda world: world.objects.commit(name, block_ids, metadata),
            is_write=True,
        )

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Make a small object."""
        return await self._gate.go(
            f"put {name}", lambda world: world.objects.put(name, data, metadata), is_write=True
        )

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Put a small object in the place of another."""
        return await self._gate.go(
            f"replace {name}", lambda world: world.objects.replace(name, data, etag), is_write=True
        )

    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata."""
        return await self._gate.go(
            f"facts {name}", lambda world: world.objects.facts(name), is_read=True
        )

    async def page(self, prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        """List some names."""
        return await self._gate.go(
            f"page of {prefix}",
            lambda world: world.objects.page(prefix, position, limit),
            is_read=True,
        )

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Read all at once: small as it is, it is one call."""

        async def read(world: "World") -> list[bytes]:
            return [piece async for piece in world.objects.read(name, start, length)]

        for piece in await self._gate.go(f"read {name}", read, is_read=True):
            yield piece

    async def delete(self, name: str, etag: str) -> bool:
        """Remove an object."""
        return await self._gate.go(
            f"remove {name}", lambda world: world.objects.delete(name, etag), is_write=True
        )

    async def url(self, name: str, seconds: int) -> str:
        """Sign an address."""
        return await self._gate.look(lambda world: at_once(world.objects.url(name, seconds)))


class GatedMessages:
    """Messages behind a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def prepare(self, queues: Sequence[str]) -> None:
        """Have them all."""

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        await self._gate.go(
            f"send to {queue}",
            lambda world: world.messages.send(queue, body, delay_seconds),
            is_write=True,
            is_noticed=False,
        )

    async def receive(self, queue: str, limit: int, hidden_seconds: int) -> list[Received]:
        """Take some texts."""
        return await self._gate.look(
            lambda world: at_once(world.messages.receive(queue, limit, hidden_seconds)),
            is_change=True,
        )

    async def delete(self, queue: str, received: Received) -> bool:
        """Remove a text."""
        return await self._gate.look(
            lambda world: at_once(world.messages.delete(queue, received)), is_change=True
        )

    async def peek(self, queue: str, limit: int) -> list[str]:
        """Give some texts."""
        return await self._gate.look(lambda world: at_once(world.messages.peek(queue, limit)))
