"""A client that sends a byte now and then, so each read is soon over, the request never."""

import socket
import time
from contextlib import suppress

_SECONDS = 10
_PAUSE = 0.05


def dripped(port: int, first: str) -> float:
    """Send what comes first, then drip until the other side has enough; tell after how long."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(first.encode())
        connection.settimeout(_PAUSE)
        while time.monotonic() - began < _SECONDS and _is_open(connection):
            pass
    return time.monotonic() - began


def _is_open(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        with suppress(TimeoutError):
            return bool(connection.recv(1))
    except ConnectionError:
        return False
    return True
