"""The server: takes requests in, and leaves in order."""

import asyncio
import socket
from collections.abc import Mapping
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from infra.devhost.http.web_server import WebServer
from infra.devhost.stopping import Stopping
from infra.host import connections
from infra.host.house import House
from infra.host.pace import IDLE_SECONDS
from infra.host.settings import Surroundings


class Server:
    """An app on some sockets, each with its house, until some time after the host is to end.

    At first it is not ready any more, but still takes requests, since whoever sends them learns of
    it late; then the sockets are closed, and what runs may end.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: Mapping[socket.socket, House],
        surroundings: Surroundings,
        leaving: Stopping,
    ) -> None:
        self._sockets, self._leaving, self._surroundings = list(sockets), leaving, surroundings
        self._houses = {each.getsockname()[1]: house for each, house in sockets.items()}
        grace = surroundings.serving_seconds - surroundings.notice_seconds
        made = partial(connections.Connection, self._houses)
        config = uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", made),
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
            state = self._server.server_state
            watching = group.create_task(connections.watch(state, self._houses))
            serving = group.create_task(self._server.serve(self._sockets))
            await stopping.wait()
            self._leaving.set()
            await asyncio.sleep(self._surroundings.notice_seconds)
            self._server.should_exit = True
            await asyncio.wait([serving])
            watching.cancel()
