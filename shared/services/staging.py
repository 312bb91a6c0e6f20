"""Staging: a body of any length goes into blocks, hashed on the way, in bounded memory.

A buffer is filled from the body; full, it is hashed and handed to a task that stages it, while the
next is filled. A body has at most two blocks on their way, and a process at most `in_flight` of
them: when storage is slower than the client, nothing more is read from the socket. So 64 uploads
at once take no more than 64 buffers being filled and `in_flight` being sent.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.errors import BlobUploadInvalid
from shared.model.hashing import Hasher
from shared.model.upload import BLOCKS, block_id
from shared.storage.ports import Objects

BLOCK_BYTES = 8 * 1024 * 1024
"""The size of a block; 50,000 of them make 390 GiB."""

_AT_ONCE = 2
_TOO_MANY = f"a blob has at most {BLOCKS} blocks: send parts of {BLOCK_BYTES} bytes or more"
_HASHED_IN_PLACE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Staged:
    """What was staged: its size in bytes and its number of blocks."""

    size: int
    blocks: int


class Staging:
    """Stages bodies as blocks of objects."""

    def __init__(self, objects: Objects, in_flight: int) -> None:
        self._objects = objects
        self._in_flight = asyncio.Semaphore(in_flight)

    async def stage(
        self,
        upload_id: str,
        nonce: bytes,
        previous: bytes,
        body: AsyncIterator[bytes],
        hasher: Hasher,
        room: int,
    ) -> Staged:
        """Stage a body as the piece `nonce` that follows the piece `previous`, and hash it.

        Raises BlobUploadInvalid for a body of more than `room` blocks.
        """
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
                name = block_id(nonce, previous, count)
                task = asyncio.create_task(self._objects.stage(upload_id, name, block))
                task.add_done_callback(lambda _: own.release())
                task.add_done_callback(lambda _: self._in_flight.release())
                tasks.add(task)
                size += len(block)
                count += 1
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


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
    block = bytearray()
    async for piece in body:
        block += piece
        while len(block) >= BLOCK_BYTES:
            rest = block[BLOCK_BYTES:]
            del block[BLOCK_BYTES:]
            yield block
            block = rest
    if block:
        yield block


async def _hash(hasher: Hasher, block: bytearray) -> None:
    if len(block) <= _HASHED_IN_PLACE:
        hasher.update(block)
    else:
        await asyncio.to_thread(hasher.update, block)
