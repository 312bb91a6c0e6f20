"""Names: what the names of hosts lead to, looked up in threads of their own."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address

from shared.model.outbound.egress import Address, IpAddress
from shared.model.outbound.posting import NoReply

_LOOKUP_THREADS = 32

type Lookup = Callable[[str], Iterable[str]]
"""Gives the addresses that a host's name leads to, and blocks meanwhile; raises OSError."""


def look_up(host: str) -> Iterable[str]:
    """Ask the system what a host's name leads to."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(each[4][0]) for each in found)


class Names:
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
