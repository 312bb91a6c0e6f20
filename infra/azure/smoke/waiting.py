"""Waiting for what comes later."""

import asyncio
import time
from collections.abc import AsyncIterator


async def tries(seconds: float, pause: float = 1) -> AsyncIterator[None]:
    """Come again after each pause, for so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        await asyncio.sleep(min(pause, seconds / 4))
