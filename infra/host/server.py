"""The server: takes requests in, and leaves in order."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp

from infra.devhost.http.web_server import WebServer
from infra.devhost.stopping import Stopping
from infra.host import connections
from infra.host.pace import IDLE_SECONDS
from infra.host.settings import Surroundings


class Server:
    """An app on a socket, until some time after the host is to end.

    At first it is not ready any more, but still takes requests, since whoever sends them learns of
    it late; then the socket is closed, and what runs may end.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        surroundings: Surroundings,
        leaving: Stopping,
    ) -> None:
        self._listening, self._leaving, self._surroundings = listening, leaving, surroundings
        grace = surroundings.serving_seconds - surroundings.notice_seconds
        config = uvicorn.Config(
            app,
            http=connections.Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(IDLE_SECONDS),
            timeout_graceful_shutdown=max(1, round(grace)),
        )
        self._server = WebServer(config)
        self.is_ready = self._server.is_ready

    async def run(self, stopping: Stopping) -> None:
        """Serve until the host is to end, and what runs then to its end, within limits."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(connections.watch(self._server.server_state))
            serving = group.create_task(self._server.serve([self._listening]))
            await stopping.wait()
            self._leaving.set()
            await asyncio.sleep(self._surroundings.notice_seconds)
            self._server.should_exit = True
            await asyncio.wait([serving])
            watching.cancel()
