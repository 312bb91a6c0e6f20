"""Requests: what the registry reads of one, parsed once.

The name asked for is `X-Forwarded-Host` where there is one, else `Host`: behind the Functions host
`Host` is the worker's address. Either is a client's word, and decides only which registry is meant
and what its challenge and its tokens call it. Who hands the request over decides what is in them:

    handed over by             X-Forwarded-Host          Host                 scheme
    Functions host             the name asked for; set   the worker's own     set by the host
      and `func start`         over a client's own       address
    the same, older            a client's own            the name asked for   set by the host
    the dev host               dropped                   the name asked for   a client's own
    the host in a container    dropped                   the name asked for,  http, or what a
                                                         or what a trusted    trusted proxy says
                                                         proxy says it is

So the scheme is not to be relied on. Clients send passwords to the realm of a challenge; it is
https, but for a name of one's own machine that was not asked for by https.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from shared.auth.gate import Credentials
from shared.errors import HostInvalid, ManifestTooLarge, SizeInvalid
from shared.events import Cause
from shared.model.digest import Digest
from shared.model.login_server import is_loopback, read_login_server
from shared.model.names import Reference, RepositoryName, parse_reference, parse_repository
from shared.services.turns.turns import paced
from shared.wire.routes import Route

_LENGTH_DIGITS = 18

_DRAINED = 4
"""A body over its limit is read on for this many limits, so that the client reads our answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a repository; `rest` is what its route names there, not yet read."""

    request: Request
    repository: RepositoryName
    rest: str

    @classmethod
    def read(cls, request: Request, route: Route) -> Self:
        """Read the repository's name out of the path; raises NameInvalid."""
        name, rest = route.read(request.path_params["path"])
        return cls(request, parse_repository(name), rest)

    @property
    def reference(self) -> Reference:
        """The tag or digest that the path names; raises TagInvalid or DigestInvalid."""
        return parse_reference(self.rest)

    @property
    def digest(self) -> Digest:
        """The digest that the path names; raises DigestInvalid."""
        return Digest.parse(self.rest)

    @property
    def credentials(self) -> Credentials:
        """What the request says of its caller."""
        return credentials(self.request)

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters; empty where there is none."""
        return self.header("content-type").partition(";")[0].strip()

    @property
    def is_head(self) -> bool:
        """Whether the answer goes out without its body."""
        return self.request.method == "HEAD"

    def cause(self, by: str, login_server: str) -> Cause:
        """Say who asks for a change, and how; `login_server` is the canonical one, if there is."""
        return Cause(
            by=by,
            request_id=getattr(self.request.state, "correlation", ""),
            host=login_server or host(self.request),
            method=self.request.method,
            user_agent=self.header("user-agent"),
        )

    def header(self, name: str) -> str:
        """Give a header's value, its lines put together; empty where there is none."""
        return ", ".join(self.request.headers.getlist(name))

    def has(self, name: str) -> bool:
        """Tell whether there is such a header, be it empty."""
        return name in self.request.headers

    def query(self, name: str) -> str:
        """Give a query parameter's value; empty where there is none."""
        return self.request.query_params.get(name, "")

    def stream(self) -> AsyncIterator[bytes]:
        """Give the body in pieces, as they arrive."""
        return self.request.stream()

    async def body(self, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises ManifestTooLarge, TooManyRequests."""
        body, size = bytearray(), 0
        async with aclosing(paced(self.stream())) as pieces:
            async for piece in pieces:
                size += len(piece)
                if size <= limit:
                    body += piece
                elif size > _DRAINED * limit:
                    break
        if size > limit:
            raise ManifestTooLarge(f"a manifest may have at most {limit} bytes")
        return bytes(body)


def host(request: Request) -> str:
    """Give the login server that was asked for; raises HostInvalid."""
    name = "X-Forwarded-Host" if "X-Forwarded-Host" in request.headers else "Host"
    asked = read_login_server(_joined(request, name))
    if asked is None:
        raise HostInvalid(
            f"the header {name} must be a host, and a port if it is not the usual one"
        )
    return asked


def authorization(request: Request) -> str:
    """Give the header that says who is asking; empty where there is none."""
    return _joined(request, "Authorization").strip()


def credentials(request: Request) -> Credentials:
    """Give what a request says of its caller."""
    asked = host(request)
    is_plain = is_loopback(asked) and request.scope["scheme"] != "https"
    return Credentials(authorization(request), asked, "http" if is_plain else "https")


def content_length(request: Request) -> int | None:
    """Give the announced length of the body in bytes; raises SizeInvalid."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LENGTH_DIGITS):
        raise SizeInvalid(f"Content-Length {text[:50]!r} is not a number")
    return int(text)


def _joined(request: Request, name: str) -> str:
    """Give a header's values as one, so that several are malformed where one is expected."""
    return ", ".join(request.headers.getlist(name))
