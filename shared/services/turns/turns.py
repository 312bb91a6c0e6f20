"""Turns: how many bodies are under way at once, and how long one may keep its place there.

Nobody gets all the places: whoever may do no more than read or push one repository, however slowly,
leaves a quarter of them to the others.

A body that comes has to make progress: it has to bring PACE_BYTES within PACE_SECONDS of our
waiting for it (not of its waiting for storage), or is sent away.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

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
        self._share = places - places // 4
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._patience = patience
        self._what = what

    @asynccontextmanager
    async def one(self, owner: str = "") -> AsyncIterator[None]:
        """Keep a place for a while; raises TooManyRequests.

        One `owner`, a repository, has three quarters of the places at the most.
        """
        share = self._shares.setdefault(owner, asyncio.Semaphore(self._share))
        try:
            async with asyncio.timeout(self._patience):
                await _take_both(share, self._places)
        except TimeoutError:
            raise TooManyRequests(
                f"too many {self._what} are under way: wait and repeat", seconds=_AGAIN_SECONDS
            ) from None
        try:
            yield
        finally:
            self._places.release()
            share.release()


async def _take_both(one: asyncio.Semaphore, two: asyncio.Semaphore) -> None:
    await one.acquire()
    try:
        await two.acquire()
    except BaseException:
        one.release()
        raise


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
