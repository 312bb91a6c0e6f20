"""Attempts: how far one posting came, what came back, and what is said of it if nothing did."""

import logging
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpcore

from shared.model.outbound.egress import Address, IpAddress
from shared.model.outbound.posting import ANSWER_BYTES, HEADERS_BYTES, NoReply, Reply

READ_BYTES = 64 * 1024
"""How much is read of what a receiver sends: TLS, interim answers, headers, body."""

_REASON_LENGTH = 100

_log = logging.getLogger(__name__)


class TooMuch(httpcore.ReadError):
    """No more is read of what the other side sends."""


class Attempt:
    """One posting on its way: how far it came, and what came back."""

    def __init__(self, address: Address, seconds: float, *, is_proxied: bool) -> None:
        self.address = address
        self.seconds = seconds
        self.is_proxied = is_proxied
        self.ips: Sequence[IpAddress] = ()
        self.is_connected = False
        self.is_sent = False
        self.is_taken = False
        self.left = READ_BYTES
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
            case TooMuch():
                return f"{self.address} sent {READ_BYTES // 1024} KiB, and that was no answer yet"
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
