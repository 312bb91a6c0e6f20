"""Proxies: whose word is taken for the name asked for, the scheme and the client's address.

What a trusted proxy says becomes `Host`, scheme and client of the request. The app gets no header
with which a proxy, or whoever plays one, says such things.

`Forwarded` (RFC 7239) is not read: most proxies hand on the one that a client wrote. Who trusts a
proxy that sends nothing else is told so.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

type Network = IPv4Network | IPv6Network
type _Address = IPv4Address | IPv6Address

_READ = (b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for")
_SAID = (b"x-forwarded-", b"forwarded")
_SCHEMES = {b"http": "http", b"https": "https"}
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+", re.ASCII)
_log = logging.getLogger(__name__)


class Proxies:
    """The networks in which trusted proxies are; each sets X-Forwarded-Host, -Proto and -For.

    Where one of these headers has several values, the last is the word of the proxy next to us.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._has_told = False

    def apply(self, scope: Scope) -> None:
        """Put what a trusted proxy says in its place, and drop what anybody else says."""
        headers = scope["headers"]
        scope["headers"] = [pair for pair in headers if not pair[0].startswith(_SAID)]
        peer = _address(scope["client"][0]) if scope["client"] else None
        if peer is None or not self._trusts(peer):
            return
        self._tell(peer, headers)
        if host := _last(headers, b"x-forwarded-host"):
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", host), *others]
        if scheme := _SCHEMES.get(_last(headers, b"x-forwarded-proto").lower()):
            scope["scheme"] = scheme
        scope["client"] = (str(self._client(peer, headers)), 0)

    def _client(self, peer: _Address, headers: list[tuple[bytes, bytes]]) -> _Address:
        """Give the first address, from the nearest on, that is no trusted proxy's."""
        client = peer
        for said in reversed(list(_values(headers, b"x-forwarded-for"))):
            if not self._trusts(client):
                break
            further = _address(_without_port(said.decode("latin-1")))
            if further is None:
                break
            client = further
        return client

    def _tell(self, peer: _Address, headers: list[tuple[bytes, bytes]]) -> None:
        """Say once that a trusted proxy says things in a way that is not read."""
        names = {name for name, _ in headers}
        if not self._has_told and b"forwarded" in names and names.isdisjoint(_READ):
            self._has_told = True
            _log.warning(
                "The trusted proxy %s sends Forwarded, which is not read: let it set"
                " X-Forwarded-Host, X-Forwarded-Proto and X-Forwarded-For.",
                peer,
            )

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str:
    """Give the address of `1.2.3.4:5678` or `[::1]:80`, as some proxies write a client's."""
    found = _WITH_PORT.fullmatch(text)
    return (found[1] or found[2]) if found else text


def _last(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next(reversed(list(_values(headers, name))), b"")


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> Iterator[bytes]:
    for key, value in headers:
        if key == name:
            yield from (part.strip() for part in value.split(b","))
