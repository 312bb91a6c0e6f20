"""A relay: hears a registry's webhook, and tells GitHub, Slack or Teams in their own words.

It keeps nothing. The registry has its answer when the other side has taken the letter, and not
before: so what the other side did not take is tried again by the registry, for a day. Nothing but
2xx of the other side is told as done; a 410 above all is not passed on, as the registry would
disable the webhook.

    python relay.py github --registry HOST --secret-file secret --to-file url --token-file token

Only of the registry with that login server is told: who may push could choose another host for an
image's name where the registry does not know its own.
"""

import argparse
import asyncio
import io
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

type Event = Mapping[str, Any]

_SECONDS = 8
"""How long the other side may take, all in all: less than the registry waits, 10 unless told."""

_REQUEST_SECONDS = 10
"""How long a request may take to be sent, all in all."""

_MOST_BYTES = 64 * 1024
_MOST_SHOWN = 200
_CARD = "application/vnd.microsoft.card.adaptive"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the registry is answered."""

    status: HTTPStatus
    words: str
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Relay:
    """Verifies what it is sent by `webhook`, and posts what `written` makes of a push to `url`.

    Of pushes to `registry` alone. `transport` is another than the network, for tests.
    """

    registry: str
    webhook: Webhook
    url: str
    headers: Mapping[str, str]
    written: Callable[[Event], Mapping[str, Any]]
    transport: httpx.AsyncBaseTransport | None = None

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Tell the other side of a push, and the registry whether it was told."""
        try:
            event = self.webhook.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError) as error:
            return Answer(HTTPStatus.UNAUTHORIZED, f"the signature is not right: {error}")
        if event["action"] != "push":
            return Answer(HTTPStatus.OK, f"{event['action']}: nobody is told")
        host = event["request"].get("host", "")
        if host.lower() != self.registry.lower():
            words = f"of {host!r}, not of {self.registry}: nobody is told"
            return Answer(HTTPStatus.OK, words)
        try:
            return asyncio.run(self._tell(event))
        except (httpx.HTTPError, TimeoutError) as error:
            return Answer(HTTPStatus.BAD_GATEWAY, f"not told: {type(error).__name__}")

    async def _tell(self, event: Event) -> Answer:
        """Tell the other side; raises httpx.HTTPError, and TimeoutError when its time is over."""
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(transport=self.transport, timeout=_SECONDS) as client,
            client.stream(
                "POST", self.url, headers=self.headers, json=self.written(event)
            ) as reply,
        ):
            return await _answered(reply)


async def _answered(reply: httpx.Response) -> Answer:
    if reply.is_success:
        return Answer(HTTPStatus.OK, "told")
    if reply.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        retry_after = reply.headers.get("Retry-After", "")
        return Answer(HTTPStatus.TOO_MANY_REQUESTS, "not told: too many", retry_after)
    return Answer(HTTPStatus.BAD_GATEWAY, f"not told: {reply.status_code} {await _begin(reply)}")


async def _begin(reply: httpx.Response) -> str:
    """Give the begin of what the other side says; no more of it is read."""
    begin = b""
    async for some in reply.aiter_raw():
        begin += some
        if len(begin) >= _MOST_SHOWN:
            break
    return begin[:_MOST_SHOWN].decode(errors="replace")


def for_github(event: Event) -> Mapping[str, Any]:
    """Write a repository dispatch: GitHub takes ten properties."""
    target = event["target"]
    name = f"{event['request']['host']}/{target['repository']}"
    return {
        "event_type": "image-pushed",
        "client_payload": {
            "id": event["id"],
            "timestamp": event["timestamp"],
            "repository": target["repository"],
            "tag": target.get("tag", ""),
            "digest": target["digest"],
            "image": f"{name}@{target['digest']}",
        },
    }


def for_slack(event: Event) -> Mapping[str, Any]:
    """Write a message of Slack, in which three letters have a meaning of their own."""
    text = _words(event)
    for letter, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, escaped)
    return {"text": text}


def for_teams(event: Event) -> Mapping[str, Any]:
    """Write a card of Teams."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": _words(event), "wrap": True}],
    }
    return {"type": "message", "attachments": [{"contentType": _CARD, "content": card}]}


def _words(event: Event) -> str:
    target = event["target"]
    tag = f":{target['tag']}" if target.get("tag") else ""
    name = f"{event['request']['host']}/{target['repository']}{tag}"
    return f"{name} was pushed at {event['timestamp'][:19]}Z as {target['digest']}"


WRITTEN: Mapping[str, Callable[[Event], Mapping[str, Any]]] = {
    "github": for_github,
    "slack": for_slack,
    "teams": for_teams,
}


def relay_of(to: str, url: str, secret: str, registry: str, token: str = "") -> Relay:
    """Put a relay together; the secret as the registry has it, `whsec_…` or any text."""
    key = secret if secret.startswith("whsec_") else secret.encode()
    headers = {"User-Agent": "registry-relay", "Accept-Encoding": "identity"}
    if token:
        headers |= {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    return Relay(registry, Webhook(key), url, headers, WRITTEN[to])


class Incoming(io.RawIOBase):
    """What a client sends: until its time is over, however it drips, and no more than is taken."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds
        self._bytes = 2 * _MOST_BYTES

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is there; nothing is after so many bytes, and TimeoutError after so long."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long to be sent")
        if not self._bytes:
            return 0
        self._connection.settimeout(left)
        read = self._connection.recv_into(buffer, min(len(buffer), self._bytes))
        self._bytes -= read
        return read


def server_of(relay: Relay, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Give a server that passes on what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def setup(self) -> None:
            super().setup()
            self.rfile = io.BufferedReader(Incoming(self.connection, _REQUEST_SECONDS))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdecimal() and int(length) <= _MOST_BYTES):
                self._say(Answer(HTTPStatus.CONTENT_TOO_LARGE, "too large, or of no length"))
                return
            self._say(relay.answer(dict(self.headers), self.rfile.read(int(length))))

        def _say(self, answer: Answer) -> None:
            self.log_message("%d %s", answer.status, answer.words)
            body = answer.words.encode()
            self.send_response_only(answer.status)
            self.send_header("Content-Length", str(len(body)))
            if answer.retry_after:
                self.send_header("Retry-After", answer.retry_after)
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(address, Handler)


def main() -> None:
    """Serve until the process is ended; secrets come from files, as clusters mount them."""
    parser = argparse.ArgumentParser(description="Pass a registry's pushes on.")
    parser.add_argument("to", choices=[*WRITTEN])
    parser.add_argument("--registry", required=True, metavar="HOST", help="its login server")
    parser.add_argument("--secret-file", type=Path, required=True, help="the webhook's secret")
    parser.add_argument("--to-file", type=Path, required=True, help="the address to post to")
    parser.add_argument("--token-file", type=Path, help="GitHub's token")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    url, secret = (path.read_text().strip() for path in (given.to_file, given.secret_file))
    token = given.token_file.read_text().strip() if given.token_file else ""
    print(json.dumps({"relay": given.to, "port": given.port}), flush=True)
    relay = relay_of(given.to, url, secret, given.registry, token)
    server_of(relay, ("", given.port)).serve_forever()


if __name__ == "__main__":
    main()
