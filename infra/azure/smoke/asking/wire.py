"""The wire: requests to the registry as httpx sends them, or byte by byte where it would refuse.

No redirection is followed and no answer is held beyond `MOST`, nor unpacked: what is asked of a
registry here has small answers, and packed ones grow without end. `connect` leads to another
address than the login server's name says, as before its DNS record is there; the name stays in
`Host`, and in TLS.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import orjson

from infra.azure.smoke.findings import Differs
from shared.model.login_server import host_of, is_loopback

MOST = 8 << 20
"""How many bytes of an answer are read."""

PATIENCE = 30.0
"""For how many seconds containerd waits for an answer, and with it whoever promises one."""

_CONNECT_SECONDS = 15
_SHOWN = 200

type Content = bytes | AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Server:
    """A login server, and how it is reached."""

    name: str
    is_plain: bool = False
    connect: str = ""

    @property
    def scheme(self) -> str:
        """Give the scheme in which it is asked."""
        return "http" if self.is_plain else "https"

    @property
    def realm(self) -> str:
        """Give where its challenges have to send clients."""
        scheme = "http" if self.is_plain and is_loopback(self.name) else "https"
        return f"{scheme}://{self.name}/oauth2/token"

    @property
    def base(self) -> httpx.URL:
        """Give the address to which requests go."""
        return httpx.URL(f"{self.scheme}://{self.connect or self.name}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered with; `seconds` passed until its headers were there.

    `login` is what it said of who asked.
    """

    asked: str
    status: int
    headers: httpx.Headers
    body: bytes
    seconds: float
    login: str = field(default="", repr=False)

    def header(self, name: str) -> str:
        """Give a header, or nothing."""
        return str(self.headers.get(name, ""))

    def json(self) -> Any:
        """Read the body as a JSON object; raises Differs."""
        try:
            read = orjson.loads(self.body)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise Differs(f"{self.asked}: {self.status} without a JSON object: {self.shown}")
        return read

    @property
    def shown(self) -> str:
        """Give the begin of the body for a message, without the login if it repeats that."""
        text = self.body.decode(errors="replace")
        text = text.replace(self.login, "***") if self.login else text
        return text[:_SHOWN] or "an empty body"

    @property
    def code(self) -> str:
        """Give the code of the specification's error that it holds, or nothing."""
        with suppress(ValueError, LookupError, TypeError):
            return str(orjson.loads(self.body)["errors"][0]["code"])
        return ""

    def expect(self, *statuses: int, code: str = "") -> Self:
        """Go on if it has one of these statuses, and the code; raises Differs."""
        if self.status not in statuses or self.code != (code or self.code):
            wanted = " or ".join(map(str, statuses)) + (f" {code}" if code else "")
            raise Differs(f"{self.asked}: {self.status} in place of {wanted}: {self.shown}")
        return self


class Wire:
    """Asks a login server, with nobody's credentials."""

    def __init__(self, server: Server, patience: float = PATIENCE) -> None:
        self.server = server
        self.patience = patience
        self._tls = _tls()
        self._client = httpx.AsyncClient(verify=self._tls)

    async def __aenter__(self) -> Self:
        """Open it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str | httpx.URL,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        patience: float | None = None,
    ) -> Answer:
        """Send a request, and read the answer; of a path, or of what a `Location` says."""
        url = self._url(path)
        request = self._client.build_request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **self._host(url), **(headers or {})},
            content=content,
            extensions=self._extensions(url, patience),
        )
        began = time.monotonic()
        answer = await self._client.send(request, stream=True)
        seconds = time.monotonic() - began
        try:
            body = await _read(answer, patience or self.patience) if method != "HEAD" else b""
        finally:
            await answer.aclose()
        asked = f"{method} {httpx.URL(path).path}"
        login = request.headers.get("Authorization", "").partition(" ")[2]
        return Answer(asked, answer.status_code, answer.headers, body, seconds, login)

    def is_own(self, url: str | httpx.URL) -> bool:
        """Tell whether an address is one of this server."""
        return self._is_base(self._url(url))

    def origin(self, url: str | httpx.URL) -> str:
        """Give scheme, host and port of an address."""
        named = self._url(url)
        return f"{named.scheme}://{named.netloc.decode()}"

    def _is_base(self, url: httpx.URL) -> bool:
        base = self.server.base
        return (url.scheme, url.netloc) == (base.scheme, base.netloc)

    def _url(self, path: str | httpx.URL) -> httpx.URL:
        url = self.server.base.join(path)
        named = httpx.URL(f"{self.server.scheme}://{self.server.name}")
        if (url.scheme, url.netloc) == (named.scheme, named.netloc):
            base = self.server.base
            return url.copy_with(host=base.host, port=base.port)
        return url

    def _host(self, url: httpx.URL) -> Mapping[str, str]:
        return {"Host": self.server.name} if self._is_base(url) else {}

    def _extensions(self, url: httpx.URL, patience: float | None) -> dict[str, Any]:
        waits = patience or self.patience
        limits = httpx.Timeout(waits, connect=_CONNECT_SECONDS).as_dict()
        own = {"sni_hostname": host_of(self.server.name)} if self._is_base(url) else {}
        return {"timeout": limits, **own}

    async def send_raw(self, *lines: bytes) -> bytes:
        """Send a request as it stands, and give the first line of the answer, if there is one.

        Raises TimeoutError.
        """
        async with self.raw(*lines) as (reader, _):
            with suppress(ConnectionError, ValueError):
                return await asyncio.wait_for(reader.readline(), self.patience)
        return b""

    @asynccontextmanager
    async def raw(
        self, *lines: bytes
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Send the lines of a request on a connection of its own, and break it off in the end."""
        reader, writer = await self._connection()
        try:
            own = b"Host: " + self.server.name.encode(), b"Connection: close"
            writer.write(b"\r\n".join((*lines, *own, b"", b"")))
            await writer.drain()
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        base, is_plain = self.server.base, self.server.is_plain
        opening = asyncio.open_connection(
            base.host,
            base.port or (80 if is_plain else 443),
            ssl=None if is_plain else self._tls,
            server_hostname=None if is_plain else host_of(self.server.name),
        )
        try:
            return await asyncio.wait_for(opening, _CONNECT_SECONDS)
        except TimeoutError:
            raise ConnectionError(f"{base.host} cannot be connected to") from None


def _tls() -> ssl.SSLContext:
    """Trust whom this machine trusts (or SSL_CERT_FILE), and as strictly as the clients in Go."""
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def _read(answer: httpx.Response, seconds: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > MOST:
                    raise Differs(f"an answer of over {MOST} bytes to {answer.request.url.path}")
    except TimeoutError:
        raise httpx.ReadTimeout(f"it does not end within {seconds:g} s") from None
    return bytes(body)
