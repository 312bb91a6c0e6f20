"""Ports that make what is missing, and repeat the call: tables, container, queues, all of them.

A store may be prepared in part: roles that arrive late on a first deployment, a crash on the way, a
new version that has one more queue. Whoever meets the first gap fills all there are, which can be
repeated at any time. So nothing is missing for longer than the first call that needs it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.storage import keys
from shared.storage.ports import (
    Block,
    Change,
    Facts,
    Messages,
    NotPrepared,
    Objects,
    Row,
    Rows,
)


@dataclass(frozen=True, slots=True)
class Ports:
    """The three kinds of storage."""

    rows: Rows
    objects: Objects
    messages: Messages

    async def prepare(self) -> None:
        """Make all that is missing; the container last, so that it tells of what was there."""
        await self.rows.prepare(keys.TABLES)
        await self.messages.prepare(keys.QUEUES)
        await self.objects.prepare()

    def prepared(self) -> "Ports":
        """Give ports that prepare all where anything is missing."""
        return Ports(PreparingRows(self), PreparingObjects(self), PreparingMessages(self))

    async def calling[T](self, call: Callable[[], Awaitable[T]]) -> T:
        """Call; where something is missing, prepare all, and call again."""
        try:
            return await call()
        except NotPrepared:
            await self.prepare()
        return await call()


class PreparingRows:
    """Rows whose tables are made where they are missing."""

    def __init__(self, ports: Ports) -> None:
        self._ports, self._rows = ports, ports.rows

    async def prepare(self, tables: Sequence[str]) -> None:
        """Make the tables that are missing."""
        await self._rows.prepare(tables)

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row."""
        return await self._ports.calling(lambda: self._rows.get(table, partition, key, only))

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
        return await self._ports.calling(
            lambda: self._rows.scan(
                table, partition, after=after, before=before, limit=limit, where=where, only=only
            )
        )

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none."""
        return await self._ports.calling(lambda: self._rows.commit(table, partition, changes))


class PreparingObjects:
    """Objects whose container is made where it is missing."""

    def __init__(self, ports: Ports) -> None:
        self._ports, self._objects = ports, ports.objects

    async def prepare(self) -> None:
        """Make the container."""
        await self._objects.prepare()

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be."""
        await self._ports.calling(lambda: self._objects.stage(name, block_id, data))

    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces."""
        return await self._ports.calling(lambda: self._objects.staged(name))

    async def commit(self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Make the object out of staged pieces."""
        return await self._ports.calling(lambda: self._objects.commit(name, block_ids, metadata))

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Make a small object at once."""
        return await self._ports.calling(lambda: self._objects.put(name, data, metadata))

    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata."""
        return await self._ports.calling(lambda: self._objects.facts(name))

    def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Stream an object, which is not there where its container is missing."""
        return self._objects.read(name, start, length)

    async def delete(self, name: str, etag: str) -> bool:
        """Remove an object."""
        return await self._ports.calling(lambda: self._objects.delete(name, etag))

    async def url(self, name: str, seconds: int) -> str:
        """Sign an address."""
        return await self._objects.url(name, seconds)


class PreparingMessages:
    """Queues that are made where they are missing."""

    def __init__(self, ports: Ports) -> None:
        self._ports, self._messages = ports, ports.messages

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues."""
        await self._messages.prepare(queues)

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        await self._ports.calling(lambda: self._messages.send(queue, body, delay_seconds))
