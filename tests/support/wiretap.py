"""A relay before a host, which writes down what clients ask of it."""

import dataclasses
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httptools

from tests.support.hosts import Registry

PIECE = 1 << 16


@dataclass
class Asked:
    """A request as it went over the wire."""

    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    size: int = 0

    @property
    def path(self) -> str:
        """Give the target without its query."""
        return self.target.partition("?")[0]

    @property
    def has_length(self) -> bool:
        """Tell whether the client said how long the body is."""
        return "content-length" in self.headers


class Reader:
    """Reads the requests of one connection."""

    def __init__(self, record: list[Asked]) -> None:
        self._record = record
        self._parser = httptools.HttpRequestParser(self)
        self._asked = Asked()
        self._is_http = True

    def feed(self, data: bytes) -> None:
        """Read on; what is no HTTP, as of a client that tries TLS first, is passed over."""
        if self._is_http:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                self._is_http = False

    def on_message_begin(self) -> None:
        """Begin with a new request."""
        self._asked = Asked()

    def on_url(self, url: bytes) -> None:
        """Read what is asked for."""
        self._asked.target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header."""
        self._asked.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        """Write the request down, before it is answered."""
        self._asked.method = self._parser.get_method().decode()
        self._record.append(self._asked)

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body."""
        self._asked.size += len(body)


def copy(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes, until it ends."""
    with suppress(OSError):
        while data := source.recv(PIECE):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def tapped(registry: Registry) -> Iterator[tuple[Registry, list[Asked]]]:
    """Give a registry at another port, and the list of what is asked there."""
    record: list[Asked] = []
    upstream = ("127.0.0.1", int(registry.login_server.rpartition(":")[2]))

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reader = Reader(record)
            with socket.create_connection(upstream) as there, suppress(OSError):
                threading.Thread(target=copy, args=(there, self.request), daemon=True).start()
                while data := self.request.recv(PIECE):
                    reader.feed(data)
                    there.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        name = registry.login_server.partition(":")[0]
        try:
            here = f"{name}:{server.server_address[1]}"
            yield dataclasses.replace(registry, login_server=here), record
        finally:
            server.shutdown()
            thread.join()
