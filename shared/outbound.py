"""Outbound: the only way to addresses that users gave.

A host's name is looked up once for each posting, all that it leads to is judged, and the connection
goes to one of those addresses: a name that leads elsewhere a moment later gains nothing. Names are
looked up in threads of their own, since nobody can call that off: a name whose servers are silent
holds one of them, however many wait for it.

A connection serves one posting. No redirect is followed, no proxy nor password is taken from the
environment, and little more is read than is kept. Where a proxy is named, it looks names up and
judges what they lead to; what is written as an address is judged here all the same.

What is raised shows scheme, host and port, and nothing that the other side has sent.
"""

import asyncio
import fcntl
import logging
import os
import socket
import ssl
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, override
from urllib.parse import unquote

import httpcore

from shared.model.outbound.egress import SETTING, Address, AddressInvalid, Allowed, IpAddress
from shared.model.outbound.posting import (
    ANSWER_BYTES,
    HEADERS_BYTES,
    Forbidden,
    NoReply,
    Posting,
    Reply,
)

_READ_BYTES = 64 * 1024
"""How much is read of what a receiver sends: interim answers, headers, body."""

_CHECK_SECONDS = 5
_MOST_TRIED = 4
_LOOKUP_THREADS = 32
_REASON_LENGTH = 100
_OWN_HEADERS = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)

_log = logging.getLogger(__name__)

type Lookup = Callable[[str], Iterable[str]]
"""Gives the addresses that a host's name leads to, and blocks meanwhile; raises OSError."""


def look_up(host: str) -> Iterable[str]:
    """Ask the system what a host's name leads to."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(each[4][0]) for each in found)


class Outbound:
    """Posts to receivers, over a proxy if one is named."""

    def __init__(self, allowed: Allowed, proxy: str = "", lookup: Lookup = look_up) -> None:
        for name in ("httpx", "httpcore"):  # what they log tells addresses
            logging.getLogger(name).setLevel(logging.WARNING)
        self._allowed = allowed
        self._proxy = _proxy_at(proxy) if proxy else None
        self._names = _Names(lookup)

    async def post(self, posting: Posting) -> Reply:
        """Post, and give the answer, whatever its status; raises NoReply."""
        attempt = _Attempt(_read(posting.url), posting.seconds, is_proxied=self._proxy is not None)
        failure: NoReply | None = None
        try:
            async with asyncio.timeout(posting.seconds):
                await self._send(posting, attempt)
        except (TimeoutError, httpcore.TimeoutException):
            failure = attempt.late()
        except Exception as error:  # noqa: BLE001 - whatever the other side brings about
            failure = error if isinstance(error, NoReply) else NoReply(attempt.why(error))
        if attempt.reply is None:
            raise failure or NoReply(f"{attempt.address} gave no answer")
        return attempt.reply

    async def check(self, url: str) -> None:
        """Raise Forbidden for what may not be posted to; a name that is not known now may be."""
        address = _read(url)
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._judged(address)
        except Forbidden:
            raise
        except (NoReply, TimeoutError):
            return

    async def _send(self, posting: Posting, attempt: "_Attempt") -> None:
        address = attempt.address
        context = _trust(posting.ca, address) if address.scheme == "https" else None
        attempt.ips = await self._judged(address)
        async with httpcore.AsyncConnectionPool(
            context, self._proxy, max_connections=1, network_backend=_Network(attempt)
        ) as connections:
            response = await connections.handle_async_request(_request(posting, attempt))
            try:
                await attempt.read(response)
            finally:
                await response.aclose()

    async def _judged(self, address: Address) -> Sequence[IpAddress]:
        """Give what a host leads to, where all of it is allowed; raises NoReply."""
        if address.ip is not None:
            ips: Sequence[IpAddress] = (address.ip,)
        elif self._proxy is not None:
            ips = ()
        else:
            ips = await self._names.find(address)
        if not self._allowed.names_host(address.host):
            for ip in ips:
                self._judge(address, ip)
        return ips

    def _judge(self, address: Address, ip: IpAddress) -> None:
        if kind := self._allowed.refusal(ip):
            verb = "is" if address.ip else "leads to"
            raise Forbidden(
                f"{address} {verb} a {kind} address, where nothing may be posted to;"
                f" to allow it, name {address.host} or its network in {SETTING}"
            )


def _read(url: str) -> Address:
    try:
        return Address.parse(url)
    except AddressInvalid as error:
        raise Forbidden(str(error)) from None


def _proxy_at(url: str) -> httpcore.Proxy:
    address = Address.parse(url)
    user, _, password = (unquote(part).encode() for part in address.user_info.partition(":"))
    return httpcore.Proxy(
        httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target="/"),
        auth=(user, password) if user else None,
        ssl_context=_trust("", address) if address.scheme == "https" else None,
    )


def _trust(ca: str, address: Address) -> ssl.SSLContext:
    try:
        return _context(ca)
    except (ssl.SSLError, ValueError):
        why = f"the certificates that {address} is to be known by cannot be read"
        raise NoReply(why) from None


@lru_cache(maxsize=64)
def _context(ca: str) -> ssl.SSLContext:
    """Trust these certificates, or the system's where there are none.

    A file of them may hold remarks in any language; authorities made at home may lack niceties.
    """
    given = ca.encode("ascii", "ignore").decode() + "\n" if ca else None
    context = ssl.create_default_context(cadata=given)
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


def _request(posting: Posting, attempt: "_Attempt") -> httpcore.Request:
    address = attempt.address
    given = posting.headers.items()
    own = {"Host": address.authority, "Content-Length": str(len(posting.body))}
    headers = [
        *own.items(),
        ("Connection", "close"),
        *((name, value) for name, value in given if name.lower() not in _OWN_HEADERS),
    ]
    is_bracketed = ":" in address.host and attempt.is_proxied
    host = f"[{address.host}]" if is_bracketed else address.host
    return httpcore.Request(
        "POST",
        httpcore.URL(scheme=address.scheme, host=host, port=address.port, target=address.target),
        headers=[(name.encode(), value.encode()) for name, value in headers],
        content=posting.body,
        extensions={"trace": attempt.trace},
    )


class _Attempt:
    """One posting on its way: how far it came, and what came back."""

    def __init__(self, address: Address, seconds: float, *, is_proxied: bool) -> None:
        self.address = address
        self.seconds = seconds
        self.is_proxied = is_proxied
        self.ips: Sequence[IpAddress] = ()
        self.is_connected = False
        self.is_sent = False
        self.is_taken = False
        self.left = _READ_BYTES
        self.reply: Reply | None = None

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Note what httpcore tells; a proxy is sent a request of its own before ours."""
        if name == "http11.send_request_body.started":
            self.is_connected = info["request"].method == b"POST"
        elif name == "http11.send_request_body.complete":
            self.is_sent = self.is_connected

    async def read(self, response: httpcore.Response) -> None:
        """Keep an answer, and of its body what comes until there is enough."""
        said = response.extensions
        self.reply = Reply(
            response.status,
            said["reason_phrase"].decode("latin-1")[:_REASON_LENGTH],
            said["http_version"].decode("latin-1").removeprefix("HTTP/"),
            _kept(response.headers),
            b"",
        )
        body = b""
        async for piece in response.aiter_stream():
            body = (body + piece)[:ANSWER_BYTES]
            self.reply = replace(self.reply, body=body)
            if len(body) == ANSWER_BYTES:
                self.left = 0

    def late(self) -> NoReply:
        """Say what had not happened when the time was over."""
        span, way = f"within {self.seconds:g} s", self._way
        if self.is_sent:
            return NoReply(f"{self.address} did not answer {span}{way}", took_all=self.is_taken)
        if self.is_connected:
            return NoReply(f"{self.address} did not take the whole request {span}{way}")
        return NoReply(f"no connection to {self.address} {span}{way}")

    def why(self, error: Exception) -> str:
        """Say what went wrong, in words of ours alone."""
        match error:
            case httpcore.ProxyError():
                status = str(error).partition(" ")[0]
                return f"no way to {self.address}: the proxy answered {status}"
            case _TooMuch():
                return f"{self.address} sent {_READ_BYTES // 1024} KiB, and that was no answer yet"
            case httpcore.LocalProtocolError():
                return f"a header for {self.address} has characters that HTTP does not allow"
            case httpcore.RemoteProtocolError():
                return f"{self.address} hung up, or what it sent is not HTTP{self._way}"
            case httpcore.ConnectError() | ssl.SSLError():
                return self._unconnected(error)
            case _ if not isinstance(error, (httpcore.NetworkError, OSError)):
                _log.warning("a connection to %s ended by %s", self.address, type(error).__name__)
        when = "before it answered" if self.is_sent else "before it had the whole request"
        return f"{self.address} broke off {when}{self._way}"

    @property
    def _way(self) -> str:
        return ", over the proxy" if self.is_proxied else ""

    def _unconnected(self, error: Exception) -> str:
        for cause in _causes(error):
            match cause:
                case ssl.SSLCertVerificationError():
                    why = cause.verify_message
                    return f"{self.address} has no certificate that is trusted: {why}{self._way}"
                case ssl.SSLError():
                    return f"no TLS with {self.address}: {cause.reason}{self._way}"
                case OSError(errno=int(number)):
                    return f"no connection to {self.address}: {os.strerror(number)}{self._way}"
        return f"no connection to {self.address}{self._way}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__  # the pool of connections drops __cause__


def _kept(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Give what is kept of an answer's headers: the first ones, each cut."""
    kept: dict[str, str] = {}
    left = HEADERS_BYTES
    for name, value in headers:
        left -= len(name) + min(len(value), HEADERS_BYTES // 4)
        if left < 0:
            break
        word, text = name.decode("latin-1"), value[: HEADERS_BYTES // 4].decode("latin-1")
        kept[word] = f"{kept[word]}, {text}" if word in kept else text
    return kept


class _Names:
    """Looks names up, each once at a time."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "names")
        self._under_way: dict[str, Future[Sequence[IpAddress]]] = {}

    async def find(self, address: Address) -> Sequence[IpAddress]:
        """Give all that a host's name leads to; raises NoReply."""
        asked = self._under_way.get(address.host)
        if asked is None or asked.done():
            asked = self._threads.submit(self._ask, address.host)
            self._under_way[address.host] = asked
            asked.add_done_callback(lambda _: self._under_way.pop(address.host, None))
        if found := await asyncio.shield(asyncio.wrap_future(asked)):
            return found
        raise NoReply(f"no address is known of the host of {address}")

    def _ask(self, host: str) -> Sequence[IpAddress]:
        with suppress(OSError, UnicodeError):
            return [ip_address(text.partition("%")[0]) for text in self._lookup(host)]
        return ()


class _TooMuch(httpcore.ReadError):
    """No more is read of what the other side sends."""


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were judged, or to the proxy."""

    def __init__(self, attempt: _Attempt) -> None:
        self._attempt = attempt
        self._network = httpcore.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        attempt = self._attempt
        hosts = [host] if attempt.is_proxied else [str(ip) for ip in attempt.ips[:_MOST_TRIED]]
        failure: Exception = httpcore.ConnectError()
        for each in hosts:
            try:
                share = attempt.seconds / len(hosts)
                stream = await self._network.connect_tcp(each, port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, attempt)
        raise failure


@dataclass(frozen=True, slots=True)
class _Stream(httpcore.AsyncNetworkStream):
    """A connection of which no more is read than an attempt has left."""

    stream: httpcore.AsyncNetworkStream
    attempt: _Attempt

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        attempt = self.attempt
        if attempt.left <= 0:
            raise _TooMuch
        try:
            data = await self.stream.read(min(max_bytes, attempt.left), timeout)
        except asyncio.CancelledError:  # the time is over, and the connection still open
            attempt.is_taken = attempt.is_sent and not self._is_waiting()
            raise
        attempt.left -= len(data)
        return data

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self.stream.write(buffer, timeout)

    @override
    async def aclose(self) -> None:
        await self.stream.aclose()

    @override
    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        secured = await self.stream.start_tls(ssl_context, server_hostname, timeout)
        return _Stream(secured, self.attempt)

    @override
    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)

    def _is_waiting(self) -> bool:
        """Tell whether bytes still wait here that the other side has not confirmed."""
        with suppress(OSError):
            number = self.get_extra_info("socket").fileno()
            return any(fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
        return False
