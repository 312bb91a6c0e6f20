"""The entrance: what a request passes before the app, or instead of it."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.devhost.stopping import Stopping
from infra.host.connections import IS_SPARE
from infra.host.health import LIVE, READY, Health
from infra.host.proxies import Proxies

HEADERS_BYTES = 32 * 1024
HEADERS = 100
TARGET_BYTES = 8 * 1024
"""What Kestrel takes of a head."""

_CLOSE = {"Connection": "close"}


class Entrance:
    """Answers probes, sends away what is too much, and hears what proxies say."""

    def __init__(
        self,
        app: ASGIApp,
        health: Health,
        proxies: Proxies,
        leaving: Stopping,
        probed: Sequence[int] = (),
    ) -> None:
        """Stand before the app; on the ports `probed` nothing but probes is answered."""
        self._app, self._health, self._proxies = app, health, proxies
        self._leaving, self._probed = leaving, probed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the last of its connection, where the host is about to end."""
        if self._leaving.is_set():
            send = _last(send)
        await self._chosen(scope)(scope, receive, send)

    def _chosen(self, scope: Scope) -> ASGIApp:
        if refusal := _refusal(scope):
            return Response(status_code=refusal, headers=_CLOSE)
        if scope["path"] in {LIVE, READY}:
            return self._health
        if scope["server"][1] in self._probed:
            return Response(status_code=404, headers=_CLOSE)
        if scope["state"][IS_SPARE]:
            return Response(status_code=503, headers={**_CLOSE, "Retry-After": "1"})
        self._proxies.apply(scope)
        return self._app


def _refusal(scope: Scope) -> int | None:
    headers = scope["headers"]
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES:
        return 414
    size = sum(len(name) + len(value) for name, value in headers)
    return 431 if size > HEADERS_BYTES or len(headers) > HEADERS else None


def _last(send: Send) -> Send:
    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], (b"connection", b"close")]
            message = {**message, "headers": headers}
        await send(message)

    return closing
