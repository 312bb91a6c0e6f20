"""Turns: how many bodies are under way at once, and how long one may keep its place there.

A body that comes has to make progress: it has to bring PACE_BYTES within PACE_SECONDS of our
waiting for it (not of its waiting for storage), or is sent away.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import TooManyRequests

PACE_BYTES = 64 * 1024
PACE_SECONDS = 20.0

_AGAIN_SECONDS = 5


class Turns:
    """A number of places; who finds none waits for `patience` seconds, and is then sent away.

    `what` says of what there are too many then.
    """

    def __init__(self, places: int, patience: float, what: str = "uploads") -> None:
        self._places = asyncio.Semaphore(places)
        self._patience = patience
        self._what = what

    async def take(self) -> None:
        """Wait for a place, to be given back; raises TooManyRequests."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise TooManyRequests(
                f"too many {self._what} are under way: wait and repeat", seconds=_AGAIN_SECONDS
            ) from None

    def give_back(self) -> None:
        """Give a place back."""
        self._places.release()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Keep a place for a while; raises TooManyRequests."""
        await self.take()
        try:
            yield
        finally:
            self.give_back()


async def paced(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Pass on what there is of a body while it makes progress; raises TooManyRequests."""
    waited, came = 0.0, 0
    while True:
        started = time.monotonic()
        try:
            async with asyncio.timeout(PACE_SECONDS - waited):
                piece = await anext(body, None)
        except TimeoutError:
            raise TooManyRequests(
                f"the body came too slowly: {came} bytes in {PACE_SECONDS:.0f} s,"
                f" and {PACE_BYTES} are the least: send it again, or in smaller parts",
                seconds=_AGAIN_SECONDS,
            ) from None
        if piece is None:
            return
        waited, came = waited + time.monotonic() - started, came + len(piece)
        if came >= PACE_BYTES:
            waited, came = 0.0, 0
        if piece:
            yield piece
