"""Hashing: an object's bytes are read and hashed, to the end of it or for as long as there is time.

A thread hashes a block while the next bytes come in: one block of memory, whatever the object's
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
_HASHED_IN_PLACE = 64 * 1024


async def hash_on(objects: Objects, done: Progress, span: Span) -> Progress | Digest:
    """Hash an object on; give the digest, or how far it is when the span is over.

    At least a block is hashed, so it comes to an end some time. Where storage fails after that,
    what is done is not lost.

    Raises:
        NotFound: the object is gone.
    """
    hasher, offset = Hasher(done.algorithm, done.state), done.offset
    try:
        async with aclosing(objects.read(done.object, offset)) as pieces:
            async for block in _blocks(pieces):
                await _hash(hasher, block)
                offset += len(block)
                if span.is_over:
                    return replace(done, offset=offset, state=hasher.state())
    except Unavailable:
        if offset == done.offset:
            raise
        return replace(done, offset=offset, state=hasher.state())
    return hasher.digest()


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    """Put pieces together; a block is good until the next one is asked for."""
    block, size = memoryview(bytearray(_BLOCK_BYTES)), 0
    async for piece in pieces:
        rest = memoryview(piece)
        while rest:
            taken = min(len(rest), _BLOCK_BYTES - size)
            block[size : size + taken] = rest[:taken]
            size, rest = size + taken, rest[taken:]
            if size == _BLOCK_BYTES:
                yield block
                size = 0
    if size:
        yield block[:size]


async def _hash(hasher: Hasher, block: memoryview) -> None:
    if len(block) <= _HASHED_IN_PLACE:
        hasher.update(block)
    else:
        await asyncio.to_thread(hasher.update, block)
