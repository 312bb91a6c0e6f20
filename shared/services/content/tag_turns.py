"""Turns at tags: those of one process who change the same tag do it one after the other.

Between processes the tag's ETag decides; but a crowd that reads and writes at once would leave all
but one to try again, and again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class TagTurns:
    """The lines in which tags are waited for."""

    def __init__(self) -> None:
        self._lines: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def at(self, repository: str, tags: Iterable[str]) -> AsyncIterator[None]:
        """Wait until it is our turn at all these tags; in the order of their names, so all come."""
        async with AsyncExitStack() as stack:
            for tag in sorted(tags):
                line = self._lines.setdefault((repository, tag), asyncio.Lock())
                await stack.enter_async_context(line)
            yield
