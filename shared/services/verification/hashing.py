"""Hashing: an object's bytes are read and hashed, to the end of it or for as long as there is time.

A thread hashes a block while the next one is read: two blocks of memory, whatever the object's
size, and the event loop is free for others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.progress import Progress
from shared.storage.ages import Span
from shared.storage.ports import Objects, Unavailable

_BLOCK_BYTES = 1024 * 1024
_WORTH_BYTES = 16 * _BLOCK_BYTES
"""How much is to be hashed before storage fails, for that to be worth a message."""

_HASHED_IN_PLACE = 64 * 1024


async def hash_on(objects: Objects, done: Progress, span: Span) -> Progress | Digest:
    """Hash an object on; give the digest, or how far it is when the span is over.

    At least a block is hashed, so it comes to an end some time. Where storage fails after a good
    part, that is not lost. After less it has failed: it is tried again later each time, as messages
    that follow each other at once and do next to nothing would be as many as there are blocks.

    Raises:
        NotFound: the object is gone.
        Unavailable: storage failed.
    """
    ahead = _Ahead(Hasher(done.algorithm, done.state))
    try:
        async with aclosing(objects.read(done.object, done.offset)) as pieces:
            async for block in _blocks(pieces):
                await ahead.settle()
                if ahead.size and span.is_over:
                    return ahead.after(done)
                ahead.begin(block)
    except Unavailable:
        await ahead.settle()
        if ahead.size < _WORTH_BYTES:
            raise
        return ahead.after(done)
    await ahead.settle()
    return ahead.hasher.digest()


class _Ahead:
    """A hash whose last block is hashed while others are read; `size` is what is hashed so far."""

    def __init__(self, hasher: Hasher) -> None:
        self.hasher = hasher
        self.size = 0
        self._block = 0
        self._work: asyncio.Task[None] | None = None

    def begin(self, block: memoryview) -> None:
        """Hash a block; what was begun before is settled."""
        self._block, self._work = len(block), asyncio.create_task(_hash(self.hasher, block))

    async def settle(self) -> None:
        """Wait for what was begun."""
        if self._work:
            await self._work
            self.size, self._work = self.size + self._block, None

    def after(self, done: Progress) -> Progress:
        """Give how far it is, where it went on from what was done."""
        return replace(done, offset=done.offset + self.size, state=self.hasher.state())


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    """Put pieces together; a block is good until the next but one is asked for."""
    block, other, size = _block(), _block(), 0
    async for piece in pieces:
        rest = memoryview(piece)
        while rest:
            taken = min(len(rest), _BLOCK_BYTES - size)
            block[size : size + taken] = rest[:taken]
            size, rest = size + taken, rest[taken:]
            if size == _BLOCK_BYTES:
                yield block
                block, other, size = other, block, 0
    if size:
        yield block[:size]


def _block() -> memoryview:
    return memoryview(bytearray(_BLOCK_BYTES))


async def _hash(hasher: Hasher, block: memoryview) -> None:
    if len(block) <= _HASHED_IN_PLACE:
        hasher.update(block)
    else:
        await asyncio.to_thread(hasher.update, block)
