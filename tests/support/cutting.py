"""A relay before a host that ends a request in the middle of a large body, as an ingress does.

It counts bytes where an ingress counts seconds: at an even pace that is the same, and quicker. What
was handed on up to then the host has seen, as it has behind an ingress.
"""

import dataclasses
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import override

from tests.support.hosts import Registry
from tests.support.wiretap import PIECE, Asked, Reader, copy

ANSWER = (
    b"HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n"
    b"Connection: close\r\n\r\nupstream request timeout"
)
_AT_ONCE = struct.pack("ii", 1, 0)
_ANSWER_SECONDS = 1


@dataclass
class Ingress:
    """Which requests are cut off, with which last words, and what was asked up to now."""

    registry: Registry
    most: int
    cuts: int
    answer: bytes
    asked: list[Asked] = field(default_factory=list)
    cut: list[Asked] = field(default_factory=list)

    @property
    def bodies(self) -> list[Asked]:
        """Give the requests that brought a good part of what passes."""
        return [each for each in self.asked if each.size > self.most // 4]

    def cuts_off(self, asked: Asked) -> bool:
        """Tell whether a request ends here."""
        if asked.size <= self.most or len(self.cut) == self.cuts:
            return False
        self.cut.append(asked)
        return True

    def part(self, client: socket.socket) -> None:
        """Say the last words to a client, and let it hear them: who still sends may miss them."""
        with suppress(OSError):
            client.sendall(self.answer)
            client.settimeout(_ANSWER_SECONDS)
            while self.answer and client.recv(PIECE):
                pass


class _Cutting(Reader):
    """Notes that a request has brought too much."""

    def __init__(self, ingress: Ingress) -> None:
        super().__init__(ingress.asked)
        self._ingress = ingress
        self.is_over = False

    @override
    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self.is_over = self.is_over or self._ingress.cuts_off(self._asked)


@contextmanager
def cut_off(registry: Registry, most: int, cuts: int, answer: bytes = b"") -> Iterator[Ingress]:
    """Give a registry at another port, where so many requests with more than `most` are cut off."""
    upstream = ("127.0.0.1", int(registry.login_server.rpartition(":")[2]))

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reader = _Cutting(ingress)
            with socket.create_connection(upstream) as there, suppress(OSError):
                threading.Thread(target=copy, args=(there, self.request), daemon=True).start()
                while not reader.is_over and (data := self.request.recv(PIECE)):
                    reader.feed(data)
                    there.sendall(data)
                if reader.is_over:
                    ingress.part(self.request)
                    for end in (there, self.request):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Relay) as server:
        name = registry.login_server.partition(":")[0]
        here = dataclasses.replace(registry, login_server=f"{name}:{server.server_address[1]}")
        ingress = Ingress(here, most, cuts, answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield ingress
        finally:
            server.shutdown()
            thread.join()
