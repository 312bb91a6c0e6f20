"""Egress: where to the registry may connect because a user named the address.

An address is judged by what it leads to: one that carries an IPv4 address inside of an IPv6 one is
that IPv4 address. Of IPv6 only what is handed out to networks of the world is open.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

type IpAddress = IPv4Address | IPv6Address

SETTING = "REGISTRY_OUTBOUND_ALLOW"
"""The setting that opens what is closed."""

_KINDS = {
    "loopback": ("127.0.0.0/8", "::1"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "shared": ("100.64.0.0/10",),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "platform's own": ("168.63.129.16",),
    "reserved": (
        *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    ),
}
_CLOSED = [(ip_network(text), kind) for kind, texts in _KINDS.items() for text in texts]
_HANDED_OUT = IPv6Network("2000::/3")
_CARRIERS = tuple(
    IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_ISATAP = (0x00005EFE, 0x02005EFE)

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_URL = re.compile(
    r"(https?)://(?:([^/?#@\\]*)@)?(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?"
    r"([/?][^#]*)?(?:#.*)?",
    re.ASCII | re.IGNORECASE,
)
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535


class AddressInvalid(ValueError):
    """An address is malformed; says what it must be, and nothing of what it is."""


@dataclass(frozen=True, slots=True)
class Address:
    """A web address in its parts; `target` is what stands in the request's first line.

    The host is in small letters, without a last dot or brackets.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    user_info: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read it; raises AddressInvalid."""
        found = _URL.fullmatch(url) if _VISIBLE.fullmatch(url) else None
        if found is None:
            raise AddressInvalid(
                "an address must be http:// or https://, a host's name or address, perhaps :PORT,"
                " and a path, all in visible ASCII characters (others as %20 and xn--…)"
            )
        scheme, user_info, host, port, rest = (each or "" for each in found.groups())
        number = int(port or _PORTS[scheme.lower()])
        if not 0 < number <= _HIGHEST_PORT:
            raise AddressInvalid(f"an address's port must be 1 to {_HIGHEST_PORT}")
        target = rest if rest.startswith("/") else f"/{rest}"
        return cls(scheme.lower(), read_host(host.strip("[]")), number, target, user_info)

    @property
    def ip(self) -> IpAddress | None:
        """Give the host where it is written as an address; None for a name."""
        return _ip(self.host)

    @property
    def authority(self) -> str:
        """Give the host, and the port where it is not the usual one, as a request names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Give what may be shown to anybody."""
        return f"{self.scheme}://{self.authority}"


def read_host(text: str) -> str:
    """Read a host's name or address as resolvers do that know one spelling alone.

    Raises AddressInvalid: 2130706433 and 0x7f.1 are addresses to some programs, and names to none.
    """
    host = text.lower().removesuffix(".")
    if ip := _ip(host):
        return str(ip)
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise AddressInvalid(
            "an address's host must be a name, four decimal numbers with dots between, or an IPv6"
            " address in brackets and without a zone"
        )
    return host


def _ip(text: str) -> IpAddress | None:
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def meant_by(ip: IpAddress) -> IpAddress:
    """Give the address that one leads to: the IPv4 address that it carries, if it does."""
    if isinstance(ip, IPv4Address):
        return ip
    last = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if (int(ip) >> 32) & 0xFFFF_FFFF in _ISATAP and closed(last):
        return last
    is_carrier = any(ip in network for network in _CARRIERS) and int(ip) > 1
    return last if is_carrier else ip


def closed(ip: IpAddress) -> str:
    """Say of which kind a closed address is; nothing of one that is open to all."""
    ip = meant_by(ip)
    kind = next((kind for network, kind in _CLOSED if ip in network), "")
    is_handed_out = isinstance(ip, IPv4Address) or ip in _HANDED_OUT
    return kind or ("" if is_handed_out else "reserved")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is opened although it is closed: names, exactly as written, and networks."""

    names: frozenset[str] = frozenset()
    networks: Sequence[IPv4Network | IPv6Network] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Read names and networks with commas between; raises ValueError that says which is bad."""
        names: set[str] = set()
        networks: list[IPv4Network | IPv6Network] = []
        for item in filter(None, (each.strip() for each in text.split(","))):
            if "/" in item or _ip(item):
                networks.append(_network(item))
            else:
                names.add(_name(item))
        return cls(frozenset(names), tuple(networks))

    def names_host(self, host: str) -> bool:
        """Tell whether a host's name is among them, wherever it leads."""
        return host in self.names

    def refusal(self, ip: IpAddress) -> str:
        """Say of which kind an address is that is not allowed; nothing of one that is."""
        both = (ip, meant_by(ip))
        is_named = any(each in network for network in self.networks for each in both)
        return "" if is_named else closed(ip)


def _network(item: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(item)
    except ValueError as error:
        raise ValueError(f"{item!r} is not a network such as 10.1.0.0/16: {error}") from None


def _name(item: str) -> str:
    try:
        return read_host(item)
    except AddressInvalid:
        raise ValueError(
            f"{item!r} is neither a host's name, whole and without a port, nor an address or a"
            " network such as 10.1.0.0/16"
        ) from None
