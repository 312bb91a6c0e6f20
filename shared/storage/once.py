"""Once: what several ask for at the same time is done once, and all of them get the outcome.

For what may be as old as the first who asked, and would be the same for the others. Rows that must
not be older than the question go through `sharing`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class Once[Key: Hashable, Outcome]:
    """Work under way, by key; it goes on if those who wait for it leave."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Outcome]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, key: Key) -> bool:
        return key in self._running

    async def do(self, key: Key, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Give the outcome of the work under way, or begin it; raises what it raises."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(_awaited(work))
            self._running[key] = task
            task.add_done_callback(lambda done: self._leave(key, done))
        return await asyncio.shield(task)

    def _leave(self, key: Key, done: asyncio.Task[Outcome]) -> None:
        """Forget what has ended; nobody may be left to hear a failure."""
        del self._running[key]
        if not done.cancelled():
            done.exception()


async def _awaited[Outcome](work: Callable[[], Awaitable[Outcome]]) -> Outcome:
    return await work()
