"""Turns at tags: those of one process who change the same tag do it one after the other.

Between processes the tag's ETag decides; but a crowd that reads and writes at once would leave all
but one to try again, and again. Who has waited in vain for half of L is told to come again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from shared.errors import Unavailable
from shared.storage import ages

_AGAIN_SECONDS = 5


class TagTurns:
    """The lines in which tags are waited for."""

    def __init__(self) -> None:
        self._lines: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def at(self, repository: str, tags: Iterable[str]) -> AsyncIterator[None]:
        """Wait until it is our turn at all these tags; in the order of their names, so all come.

        Raises Unavailable.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout((ages.L / 2).total_seconds()):
                    await self._wait(repository, tags, stack)
            except TimeoutError:
                raise Unavailable(
                    f"too many push to the same tag of {repository}: repeat the push",
                    seconds=_AGAIN_SECONDS,
                ) from None
            yield

    async def _wait(self, repository: str, tags: Iterable[str], stack: AsyncExitStack) -> None:
        for tag in sorted(tags):
            line = self._lines.setdefault((repository, tag), asyncio.Lock())
            await stack.enter_async_context(line)
