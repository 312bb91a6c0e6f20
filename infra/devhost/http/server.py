"""HTTP: an ASGI app over the routes, and uvicorn to carry it, in the loop that runs the rest."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.devhost.http.router import Router, decode_path, is_malformed
from infra.devhost.http.web_server import WebServer
from infra.devhost.invocations import Invoker
from infra.devhost.settings import StartError
from infra.devhost.stopping import Stopping
from infra.devhost.worker import Function

STOP_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than clients do, so that they never meet its end."""

_LOOPBACK = "127.0.0.1"
_SET_BY_THE_HOST = b"x-forwarded-host"
_WEBHOOK = "/runtime/webhooks/blobs"

type Webhook = Callable[[Request], Awaitable[Response]]


class Dispatcher:
    """Gives each request to the function whose route fits, or answers 404."""

    def __init__(
        self,
        router: Router[Function],
        invoker: Invoker,
        webhook: Webhook | None,
        custom_headers: Mapping[str, str],
        body_limit: int,
    ) -> None:
        self._router, self._invoker, self._webhook = router, invoker, webhook
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in custom_headers.items()
        ]
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if is_malformed(scope["raw_path"]):
            await Response(status_code=400, headers={"Connection": "close"})(scope, receive, send)
            return
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != _SET_BY_THE_HOST]
        body = _Body(scope, receive, self._body_limit)
        answer = _Answer(send, body, self._headers)
        path = decode_path(scope["raw_path"])
        found = self._router.find(scope["method"], path)
        if self._webhook and path == _WEBHOOK and scope["method"] == "POST":
            response = await self._webhook(Request(scope, body.receive))
            await response(scope, body.receive, answer.send)
        elif not found:
            await Response(status_code=404)(scope, body.receive, answer.send)
        elif not body.is_too_large:
            await self._invoker.http(*found, scope, body.receive, answer.send)
        if body.is_too_large:
            await answer.refuse()


class _Body:
    """Counts what the client sends; over the limit, the function sees its client go."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        length = dict(scope["headers"]).get(b"content-length", b"0")
        self.is_too_large = int(length) > limit
        self._taken = 0

    async def receive(self) -> Message:
        if self.is_too_large:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        self.is_too_large = self._taken > self._limit
        return {"type": "http.disconnect"} if self.is_too_large else message


class _Answer:
    """Adds host.json's headers, and turns the answer to too large a body into the host's 500."""

    def __init__(self, send: Send, body: _Body, headers: list[tuple[bytes, bytes]]) -> None:
        self._send, self._body, self._headers = send, body, headers
        self._has_started = False

    async def send(self, message: Message) -> None:
        if self._body.is_too_large and not self._has_started:
            return
        if message["type"] == "http.response.start":
            self._has_started = True
            present = {name.lower() for name, _ in message["headers"]}
            added = [header for header in self._headers if header[0] not in present]
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)

    async def refuse(self) -> None:
        if not self._has_started:
            headers = [(b"content-length", b"0"), (b"connection", b"close"), *self._headers]
            await self._send({"type": "http.response.start", "status": 500, "headers": headers})
            await self._send({"type": "http.response.body", "body": b""})


class Server:
    """An ASGI app on a socket, until the host is to end."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._server = WebServer(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                forwarded_allow_ips="127.0.0.1",
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self.is_ready = self._server.is_ready

    async def run(self, stopping: Stopping) -> None:
        """Serve until the host is to end; what runs then has STOP_SECONDS."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.serve([self._listening]))
            await stopping.wait()
            self._server.should_exit = True


def bind(port: int, address: str = _LOOPBACK) -> socket.socket:
    """Take the port (0: a free one) on an address: where none is named, on the loopback."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: 40 ms a request.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
        listening.listen(socket.SOMAXCONN)
    except (OSError, OverflowError) as error:
        listening.close()
        where = "" if address == _LOOPBACK else f" of {address}"
        why = error.strerror if isinstance(error, OSError) else "ports are 0 to 65535"
        raise StartError(f"port {port}{where} cannot be used: {why}") from error
    return listening
