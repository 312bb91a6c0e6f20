"""What listens for a host: started together, and stopped together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from infra.devhost.settings import StartError
from infra.devhost.stopping import Stopping

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Waits for what triggers a function."""

    async def run(self, stopping: Stopping) -> None:
        """Listen until the host is to end, and let what runs then end."""


class Face(Listener, Protocol):
    """A listener that takes HTTP requests in."""

    is_ready: asyncio.Event


@asynccontextmanager
async def running(face: Face, listeners: Sequence[Listener], seconds: float) -> AsyncIterator[None]:
    """Run them all; at the end nothing new is begun, and what runs has so many seconds."""
    stopping = Stopping()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(each.run(stopping)) for each in (*listeners, face)}
            try:
                await face.is_ready.wait()
                yield
            finally:
                stopping.set()
                _, unfinished = await asyncio.wait(tasks, timeout=seconds)
                for task in unfinished:
                    _log.warning("A function did not end within %g s and is cut off.", seconds)
                    task.cancel()
    except BaseExceptionGroup as group:
        raise _told(group) from None


def _told(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give what is to be told of several failures: why the host cannot go on, if that is known."""
    for error in group.exceptions:
        told = _told(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(told, StartError):
            return told
    return group
