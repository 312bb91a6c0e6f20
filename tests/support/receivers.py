"""Receivers of webhooks: real servers on a loopback address, each with a manner of its own.

A manner is a function that is given a connection: it reads what it likes of the request and sends
what it likes. A receiver runs in threads, so that it serves tests with and without an event loop,
and hosts in other processes. It counts connections, and keeps what it was sent, in order.
"""

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

from tests.support.waiting import until

PATIENCE_SECONDS = 60
"""No manner goes on for longer, whatever the other side does."""

_PIECE = 64 * 1024
_HEAD_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came; the names of its headers are in small letters.

    `is_whole`: all of the body came that its length announced.
    """

    at: float
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


class Gone(Exception):
    """The other side has gone, or the receiver is closed."""


@dataclass(slots=True)
class Connection:
    """One connection to a receiver; `number` counts from 0."""

    number: int
    receiver: "Receiver"
    socket: socket.socket
    _rest: bytes = b""
    _head: tuple[str, str, Mapping[str, str]] = field(default=("", "", {}))

    def send(self, *pieces: bytes) -> None:
        """Send these bytes."""
        if self.receiver.is_closed:
            raise Gone
        for piece in pieces:
            self.socket.sendall(piece)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer."""
        self.send(head(status, {"Content-Length": str(len(body)), **headers}), body)

    def read_head(self) -> None:
        """Read the request's line and headers."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._more()
            assert len(self._rest) < _HEAD_BYTES
        text, _, self._rest = self._rest.partition(b"\r\n\r\n")
        line, *lines = text.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        pairs = [each.partition(":") for each in lines]
        self._head = (method, target, {name.lower(): value.strip() for name, _, value in pairs})

    def read(self, most: int | None = None) -> Received:
        """Read the request, of its body so many bytes at the most, and keep it."""
        self.read_head()
        method, target, headers = self._head
        length = int(headers.get("content-length", 0))
        wanted = length if most is None else min(most, length)
        with suppress(Gone, OSError):
            while len(self._rest) < wanted:
                self._rest += self._more()
        body, self._rest = self._rest[:wanted], self._rest[wanted:]
        is_whole = len(body) == length
        got = Received(time.time(), method, target, headers, body, is_whole)
        self.receiver.received.append(got)
        return got

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the receiver is closed."""
        if self.receiver.closing.wait(seconds):
            raise Gone

    def reset(self) -> None:
        """Break off at once, with a reset in place of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def end(self) -> None:
        """Send no more, and drop what comes, so that what was sent arrives."""
        self.socket.shutdown(socket.SHUT_WR)
        while self.socket.recv(_PIECE):
            pass

    def _more(self) -> bytes:
        data = self.socket.recv(_PIECE)
        if not data:
            raise Gone
        return data


type Manner = Callable[[Connection], None]


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Give the first lines of an answer."""
    known = status in HTTPStatus
    phrase = HTTPStatus(status).phrase if known else "Unheard Of"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {it}" for name, it in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answers(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Manner:
    """Take the whole request and answer: what a receiver should do, if `status` is 2xx."""

    def manner(connection: Connection) -> None:
        connection.read()
        connection.answer(status, headers or {}, body)

    return manner


def redirects(location: str, status: int = 302) -> Manner:
    """Answer that what is wanted is elsewhere."""
    return answers(status, headers={"Location": location})


def is_busy(retry_after: str = "", status: int = 429) -> Manner:
    """Answer that it is too much, and when to come again, if that is said."""
    return answers(status, headers={"Retry-After": retry_after} if retry_after else {})


def in_turn(*manners: Manner) -> Manner:
    """Have a manner for each connection in turn; the last one stays."""
    left = itertools.chain(manners, itertools.repeat(manners[-1]))
    lock = threading.Lock()

    def manner(connection: Connection) -> None:
        with lock:
            this = next(left)
        this(connection)

    return manner


def is_slow(seconds: float, then: Manner | None = None) -> Manner:
    """Take the whole request, and answer late."""

    def manner(connection: Connection) -> None:
        connection.read()
        connection.wait(seconds)
        connection.answer(200, {}, b"") if then is None else then(connection)

    return manner


def is_silent(connection: Connection) -> None:
    """Take the whole request, and never answer."""
    connection.read()
    connection.wait(PATIENCE_SECONDS)


def reads_nothing(connection: Connection) -> None:
    """Accept the connection, and neither read nor answer."""
    connection.wait(PATIENCE_SECONDS)


def breaks_off_at_once(connection: Connection) -> None:
    """Break off before anything is read."""
    connection.reset()


def breaks_off_before_the_body(connection: Connection) -> None:
    """Break off when the headers have come."""
    connection.read(0)
    connection.reset()


def breaks_off_after_the_body(connection: Connection) -> None:
    """Take the whole request, and break off in place of an answer."""
    connection.read()
    connection.reset()


def hangs_up(connection: Connection) -> None:
    """Take the whole request, and end the connection in order, without an answer."""
    connection.read()


def breaks_off_in_the_answer(connection: Connection) -> None:
    """Announce more of an answer's body than comes."""
    connection.read()
    connection.send(head(200, {"Content-Length": "100"}), b"ten bytes.")
    connection.reset()


def answers_before_the_body(status: int) -> Manner:
    """Answer when the headers have come, and end the connection: the body is not read."""

    def manner(connection: Connection) -> None:
        connection.read(0)
        connection.answer(status, {"Connection": "close"}, b"")
        connection.end()

    return manner


def drips(seconds: float = 0.05, then: bytes = b"") -> Manner:
    """Take the whole request, and send the answer byte by byte; its body goes on for ever."""

    def manner(connection: Connection) -> None:
        connection.read()
        data = then or head(200, {"Content-Length": "1000000"})
        for number in itertools.count():
            connection.send(data[number : number + 1] or b".")
            connection.wait(seconds)

    return manner


def floods(first: bytes, again: bytes, *, most: int = 64 << 20) -> Manner:
    """Take the whole request, and send the same again and again: `most` bytes, about."""

    def manner(connection: Connection) -> None:
        connection.read()
        connection.send(first)
        many = again * (_PIECE // len(again) + 1)
        for _ in range(most // len(many) + 1):
            connection.send(many)
            connection.receiver.flooded += len(many)

    return manner


def floods_interim_answers(status: int = 103) -> Manner:
    """Send one interim answer (1xx) after the other."""
    return floods(b"", head(status, {"Link": "</style.css>; rel=preload"}))


def floods_headers() -> Manner:
    """Send one header after the other."""
    return floods(b"HTTP/1.1 200 OK\r\n", b"X-Header: and another one\r\n")


def floods_a_header() -> Manner:
    """Send one header that has no end."""
    return floods(b"HTTP/1.1 200 OK\r\nX-Header: ", b"and on, ")


def floods_the_body() -> Manner:
    """Send a body that has no end."""
    return floods(head(200, {}), b"and on, ")


def floods_chunks() -> Manner:
    """Send a body that has no end, in chunks of one byte each with a long extension."""
    return floods(head(200, {"Transfer-Encoding": "chunked"}), b"1;" + b"x" * 100 + b"\r\nx\r\n")


def says(data: bytes) -> Manner:
    """Take the whole request, and send these bytes in place of an answer."""

    def manner(connection: Connection) -> None:
        connection.read()
        connection.send(data)

    return manner


class Receiver:
    """A receiver that listens while it is entered; its manner may be replaced meanwhile."""

    def __init__(
        self,
        manner: Manner | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.manner = manner or answers()
        self.received: list[Received] = []
        self.connections = 0
        self.flooded = 0
        self.closing = threading.Event()
        self._tls = tls
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._address = f"[{address}]" if ":" in address else address
        self._listener = socket.create_server((address, port), family=family, backlog=512)
        self.port: int = self._listener.getsockname()[1]

    @property
    def is_closed(self) -> bool:
        """Tell whether it is to end."""
        return self.closing.is_set()

    def url(self, path: str = "/", host: str = "") -> str:
        """Give an address of it, under a name that leads here, if one is given."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host or self._address}:{self.port}{path}"

    def wait_for(self, count: int, seconds: float = 10) -> Sequence[Received]:
        """Wait until so many requests have come; give all."""
        until(lambda: len(self.received) >= count, seconds)
        return self.received

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while not self.is_closed:
                accepted, _ = self._listener.accept()
                self._start(self._serve, accepted, self.connections)
                self.connections += 1

    def _serve(self, accepted: socket.socket, number: int) -> None:
        accepted.settimeout(PATIENCE_SECONDS)
        self._open.add(accepted)
        try:
            with suppress(Gone, OSError), self._secured(accepted) as secured:
                self._open.add(secured)
                self.manner(Connection(number, self, secured))
                self._open.discard(secured)
        finally:
            self._open.discard(accepted)
            accepted.close()

    def _secured(self, accepted: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted


def nobody_listens() -> str:
    """Give an address where a connection is refused."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"
