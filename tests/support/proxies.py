"""A proxy of the tests, as a manner of a receiver: it leads wherever it is told to."""

import select
import socket
import ssl
from contextlib import suppress

from tests.support.receivers import PATIENCE_SECONDS, Connection, Manner

_PIECE = 64 * 1024


def leads_to(port: int, connect_status: int = 200) -> Manner:
    """Lead to this port of 127.0.0.1, whatever the request names; tunnels may be refused."""

    def manner(connection: Connection) -> None:
        request = connection.read()
        if request.method == "CONNECT":
            connection.send(b"HTTP/1.1 %d Said By The Proxy\r\n\r\n" % connect_status)
            if connect_status == 200:
                _tunnel(connection, port)
        else:
            _forward(connection, port, request.body)

    return manner


def _tunnel(connection: Connection, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as other:
        ways = {connection.socket: other, other: connection.socket}
        while True:
            for ready in select.select(list(ways), [], [], PATIENCE_SECONDS)[0]:
                data = ready.recv(_PIECE)
                if not data:
                    return
                while isinstance(ready, ssl.SSLSocket) and ready.pending():
                    data += ready.recv(_PIECE)
                ways[ready].sendall(data)


def _forward(connection: Connection, port: int, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as other:
        line = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        other.sendall(line.encode() + body)
        with suppress(OSError):
            while data := other.recv(_PIECE):
                connection.send(data)
