"""uvicorn as the host runs it: signals stay the host's, its start and its end can be awaited."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class WebServer(uvicorn.Server):
    """A web server that leaves the signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready, self.has_ended = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.is_ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, and say so."""
        await super().shutdown(sockets)
        self.has_ended.set()
