"""Connections: to the addresses that were judged alone, and no more is read of them than is left.

What is counted comes off the socket, below TLS: a receiver that talks TLS without end, and never
answers, is cut as any other.
"""

import asyncio
import fcntl
import ssl
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, override

import anyio
import httpcore
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from shared.outbound.attempts import Attempt, TooMuch

_MOST_TRIED = 4
_PIECE_BYTES = 64 * 1024
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class Network(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were judged, or to the proxy."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

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
                with _failing_as(httpcore.ConnectError, httpcore.ConnectTimeout):
                    with anyio.fail_after(attempt.seconds / len(hosts)):
                        stream = await anyio.connect_tcp(each, port)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(_Counted(stream, attempt), attempt)
        raise failure


@contextmanager
def _failing_as(broken: type[Exception], late: type[Exception]) -> Iterator[None]:
    """Raise what httpcore knows; what breaks TLS tells that by itself, once it is there."""
    try:
        yield
    except TimeoutError as error:
        raise late from error
    except _BROKEN as error:
        raise broken from error
    except OSError as error:
        if broken is not httpcore.ConnectError:
            raise
        raise broken from error


@dataclass(frozen=True, slots=True)
class _Counted(ByteStream):
    """What comes off a socket, of which no more is read than an attempt has left."""

    stream: ByteStream
    attempt: Attempt

    @override
    async def receive(self, max_bytes: int = _PIECE_BYTES) -> bytes:
        if self.attempt.left <= 0:
            raise TooMuch
        data = await self.stream.receive(min(max_bytes, self.attempt.left))
        self.attempt.left -= len(data)
        return data

    @override
    async def send(self, item: bytes) -> None:
        await self.stream.send(item)

    @override
    async def send_eof(self) -> None:
        await self.stream.send_eof()

    @override
    async def aclose(self) -> None:
        await self.stream.aclose()

    @property
    @override
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self.stream.extra_attributes


@dataclass(frozen=True, slots=True)
class _Stream(httpcore.AsyncNetworkStream):
    """A connection as httpcore knows them, with TLS or without."""

    stream: ByteStream
    attempt: Attempt

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        attempt = self.attempt
        if attempt.left <= 0:
            raise TooMuch
        try:
            with _failing_as(httpcore.ReadError, httpcore.ReadTimeout):
                return await self._received(max_bytes, timeout)
        except asyncio.CancelledError:  # the time is over, and the connection still open
            attempt.is_taken = attempt.is_sent and not self._is_waiting()
            raise

    async def _received(self, max_bytes: int, seconds: float | None) -> bytes:
        with suppress(anyio.EndOfStream), anyio.fail_after(seconds):
            return await self.stream.receive(max_bytes)
        return b""

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            with _failing_as(httpcore.WriteError, httpcore.WriteTimeout), anyio.fail_after(timeout):
                await self.stream.send(buffer)

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
        try:
            with (
                _failing_as(httpcore.ConnectError, httpcore.ConnectTimeout),
                anyio.fail_after(timeout),
            ):
                secured = await TLSStream.wrap(
                    self.stream,
                    ssl_context=ssl_context,
                    hostname=server_hostname,
                    standard_compatible=False,
                    server_side=False,
                )
        except Exception:
            await self.aclose()
            raise
        return _Stream(secured, self.attempt)

    @override
    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self.stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 - no Django
            case "socket":
                return self.stream.extra(SocketAttribute.raw_socket, None)  # noqa: S610 - no Django
        return None

    def _is_waiting(self) -> bool:
        """Tell whether bytes still wait here that the other side has not confirmed."""
        with suppress(OSError):
            number = self.get_extra_info("socket").fileno()
            return any(fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
        return False
