"""A proxy before a registry that spoils one thing, as what stands before a deployment may."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from tests.support.hosts import free_port
from tests.support.waiting import until

_OWN = {"transfer-encoding", "connection", "date", "server"}


@dataclass(slots=True)
class Asked:
    """A request on its way to the registry; the names of its headers are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(slots=True)
class Answered:
    """An answer on its way back."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


type Ask = Callable[[Asked], Awaitable[Answered]]
type Fault = Callable[[Asked, Ask], Awaitable[Answered]]
"""Answers a request, by asking the registry or without."""


@dataclass(slots=True)
class Proxy:
    """Forwards to a registry through a fault; bodies that take too long are cut off."""

    target: str
    fault: Fault
    body_seconds: float | None = None
    _client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        for moment in ("startup", "shutdown"):
            await receive()
            if moment == "shutdown":
                await self._client.aclose()
            await send({"type": f"lifespan.{moment}.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        query = scope["query_string"].decode()
        target = scope["raw_path"].decode() + (f"?{query}" if query else "")
        try:
            async with asyncio.timeout(self.body_seconds):
                body = await request.body()
        except ClientDisconnect:
            return
        except TimeoutError:
            answer = Answered(504)
        else:
            asked = Asked(request.method, target, dict(request.headers), body)
            answer = await self.fault(asked, self._ask)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _ask(self, asked: Asked) -> Answered:
        headers = {name: value for name, value in asked.headers.items() if name not in _OWN}
        headers.pop("expect", None)
        url = asked.target if "://" in asked.target else self.target + asked.target
        answer = await self._client.request(asked.method, url, headers=headers, content=asked.body)
        kept = {name: value for name, value in answer.headers.items() if name not in _OWN}
        return Answered(answer.status_code, kept, answer.content)


@contextmanager
def spoiled(
    target: str,
    fault: Fault,
    body_seconds: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Serve the proxy on a port of the loopback address."""
    port = free_port()
    app = Proxy(target, fault, body_seconds)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        lifespan="on",
        log_config=None,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield port
    finally:
        server.should_exit = True
        thread.join()
