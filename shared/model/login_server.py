"""Login servers: the names that a registry goes by, each a host and perhaps a port."""

import re
from ipaddress import ip_address

_LONGEST = 253 + len(":65535")
_NAME = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_ADDRESS = r"\[[0-9a-f:.]{2,45}\]"
_SHAPE = re.compile(rf"(?:({_NAME})\.?|({_ADDRESS}))(:\d{{1,5}})?", re.ASCII | re.IGNORECASE)
_PORT = re.compile(r":\d+$", re.ASCII)


def read_login_server(text: str) -> str | None:
    """Read a login server, in small letters and without a last dot; None where it is malformed."""
    found = _SHAPE.fullmatch(text) if len(text) <= _LONGEST else None
    return "".join(filter(None, found.groups())).lower() if found else None


def host_of(login_server: str) -> str:
    """Give a login server's host, without the port."""
    return _PORT.sub("", login_server)


def is_loopback(login_server: str) -> bool:
    """Tell whether this is a name of one's own machine: `localhost`, below it, or an address."""
    host = host_of(login_server)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return False
