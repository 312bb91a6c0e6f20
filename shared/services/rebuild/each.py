"""A few at once: what is to be done to each of many things."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

AT_ONCE = 8


async def each[Thing](things: Iterable[Thing], work: Callable[[Thing], Awaitable[object]]) -> None:
    """Do the work to each, to AT_ONCE of them at a time; where one fails, the others stop."""
    left = deque(things)

    async def do_some() -> None:
        while left:
            await work(left.popleft())

    tasks = [asyncio.create_task(do_some()) for _ in range(min(AT_ONCE, len(left)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
