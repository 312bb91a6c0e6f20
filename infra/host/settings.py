"""What the host is told of where it runs; the registry's own settings are `shared.settings`'."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self

from infra.devhost.settings import ENVIRONMENT, StartError
from infra.host.proxies import Network
from shared.settings import PLANES

PLANE = "REGISTRY_PLANE"

_WIDEST = {4: 8, 6: 32}
"""The shortest prefix of a network that may be trusted, by the version of IP."""

_DRAIN = re.compile(r"[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The plane to serve, the proxies to believe, and how long the end may take."""

    plane: str
    proxies: tuple[Network, ...]
    drain_seconds: int

    @classmethod
    def read(cls, env: Mapping[str, str] = ENVIRONMENT) -> Self:
        """Read the settings; raises StartError."""
        plane = env.get(PLANE) or PLANES[0]
        if plane not in PLANES:
            raise StartError(f"{PLANE}={plane!r} must be one of {', '.join(PLANES)}")
        proxies = _networks(env.get("REGISTRY_TRUSTED_PROXIES", ""))
        return cls(plane, proxies, _drain(env.get("REGISTRY_DRAIN_SECONDS") or "30"))

    @property
    def notice_seconds(self) -> float:
        """For how long requests are still taken once the host is not ready any more."""
        return self.drain_seconds / 6

    @property
    def serving_seconds(self) -> float:
        """When a running request is cut off: what is cut off has time to put itself in order."""
        return self.drain_seconds * 0.8

    @property
    def running_seconds(self) -> float:
        """When a function that no client waits for is cut off."""
        return self.drain_seconds * 0.9


def _drain(text: str) -> int:
    if not _DRAIN.fullmatch(text):
        raise StartError(
            f"REGISTRY_DRAIN_SECONDS={text!r} must be a whole number of seconds, 1 to 9999"
        )
    return int(text)


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError:
        raise StartError(
            f"REGISTRY_TRUSTED_PROXIES: {text!r} is neither an address"
            " nor a network such as 10.1.0.0/16"
        ) from None
    widest = _WIDEST[network.version]
    if network.prefixlen < widest:
        raise StartError(
            f"REGISTRY_TRUSTED_PROXIES: {text!r} would let strangers say who they are and which"
            f" registry they ask: name the proxies' own network, /{widest} or smaller"
        )
    return network
