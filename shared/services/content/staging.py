"""Staging: a body of any length goes into blocks, hashed on the way, in bounded memory.

A buffer is filled from the body; full, it is hashed and handed to a task that stages it, while the
next is filled. A body has at most two blocks on their way, and a process at most `in_flight` of
them: when storage is slower than the client, nothing more is read from the socket. At most
`bodies` are read at once; one more waits for `patience`, and is then sent away to come back later.
So a process has at most `bodies` buffers being filled and `in_flight` being sent.

A body waits for its turn when its first bytes are there, so an empty one needs none. It keeps its
turn while it makes progress (`turns`); the session of one that is sent away is where it was before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from mmap import mmap

from shared.errors import BlobUploadInvalid
from shared.model.hashing import Hasher
from shared.model.upload import BLOCKS, block_id
from shared.services.turns.turns import Turns, paced
from shared.storage.ports import Objects

BLOCK_BYTES = 8 * 1024 * 1024
"""The size of a block; 50,000 of them make 390 GiB."""

_AT_ONCE = 2
_TOO_MANY = f"a blob has at most {BLOCKS} blocks: send parts of {BLOCK_BYTES} bytes or more"
_HASHED_IN_PLACE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece goes: the object, the piece's own nonce, and that of the piece before."""

    object: str
    nonce: bytes
    previous: bytes


@dataclass(frozen=True, slots=True)
class Staged:
    """What was staged: its size in bytes and its number of blocks."""

    size: int
    blocks: int


class Staging:
    """Stages bodies as blocks of objects."""

    def __init__(
        self, objects: Objects, *, bodies: int = 64, in_flight: int = 8, patience: float = 10
    ) -> None:
        """Set the bounds: bodies and blocks at once, and seconds that a body waits for its turn."""
        self._objects = objects
        self._turns = Turns(bodies, patience)
        self._in_flight = asyncio.Semaphore(in_flight)

    async def stage(
        self,
        place: Place,
        body: AsyncIterator[bytes],
        hasher: Hasher,
        room: int,
        owner: str = "",
    ) -> Staged:
        """Stage a body as one piece, and hash it; `owner` is whose turn it takes.

        Raises:
            BlobUploadInvalid: the body has more than `room` blocks.
            TooManyRequests: too many bodies are being read, or this one comes too slowly.
        """
        async with aclosing(paced(body)) as pieces:
            first = await anext(pieces, b"")
            if not first:
                return Staged(0, 0)
            async with self._turns.one(owner):
                return await self._stage(place, _after(first, pieces), hasher, room)

    async def _stage(
        self, place: Place, body: AsyncIterator[bytes], hasher: Hasher, room: int
    ) -> Staged:
        size = count = 0
        tasks: set[asyncio.Task[None]] = set()
        own = asyncio.Semaphore(_AT_ONCE)
        try:
            async for block in _blocks(body):
                if count == room:
                    raise BlobUploadInvalid(_TOO_MANY)
                await _hash(hasher, block)
                await own.acquire()
                _drop_finished(tasks)
                await self._in_flight.acquire()
                name = block_id(place.nonce, place.previous, count)
                task = asyncio.create_task(self._objects.stage(place.object, name, block))
                task.add_done_callback(lambda _: own.release())
                task.add_done_callback(lambda _: self._in_flight.release())
                tasks.add(task)
                size += len(block)
                count += 1
                del task, block  # or the last block would live on while the next one is filled
            await asyncio.gather(*tasks)
        finally:
            await _stop(tasks)
        return Staged(size, count)


def _drop_finished(tasks: set[asyncio.Task[None]]) -> None:
    """Forget the tasks that are done; raises what one of them raised."""
    for task in [task for task in tasks if task.done()]:
        tasks.remove(task)
        task.result()


async def _stop(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give a body whose first piece has been taken already."""
    yield first
    async for piece in rest:
        yield piece


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    """Cut a body into blocks, in mapped memory that goes back as soon as one is sent."""
    buffer, size = None, 0
    async for piece in body:
        rest = memoryview(piece)
        while rest:
            buffer = buffer or mmap(-1, BLOCK_BYTES)
            taken = min(len(rest), BLOCK_BYTES - size)
            buffer[size : size + taken] = rest[:taken]
            size, rest = size + taken, rest[taken:]
            if size == BLOCK_BYTES:
                block, buffer, size = memoryview(buffer), None, 0
                yield block
                del block
    if buffer:
        yield memoryview(buffer)[:size]


async def _hash(hasher: Hasher, block: memoryview) -> None:
    if len(block) <= _HASHED_IN_PLACE:
        hasher.update(block)
    else:
        await asyncio.to_thread(hasher.update, block)
