"""Requests: what the registry reads of one, parsed once."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from shared.auth.gate import Credentials
from shared.errors import ManifestTooLarge, RouteUnknown, SizeInvalid
from shared.model.digest import Digest
from shared.model.names import Reference, RepositoryName, parse_reference, parse_repository
from shared.wire.routes import Route

_HOST = re.compile(r"[a-z0-9._-]{1,255}(:\d{1,5})?|\[[0-9a-f:.]{2,45}\](:\d{1,5})?", re.ASCII)

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

    def header(self, name: str) -> str:
        """Give a header's value; empty where there is none."""
        return self.request.headers.get(name, "")

    def query(self, name: str) -> str:
        """Give a query parameter's value; empty where there is none."""
        return self.request.query_params.get(name, "")

    def stream(self) -> AsyncIterator[bytes]:
        """Give the body in pieces, as they arrive."""
        return self.request.stream()

    async def body(self, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises ManifestTooLarge."""
        body, size = bytearray(), 0
        async for piece in self.stream():
            size += len(piece)
            if size <= limit:
                body += piece
            elif size > _DRAINED * limit:
                break
        if size > limit:
            raise ManifestTooLarge(f"a manifest may have at most {limit} bytes")
        return bytes(body)


def host(request: Request) -> str:
    """Give the login server that was asked for: a host, and a port if it is not the usual one."""
    asked = request.headers.get("host", "").lower()
    if not _HOST.fullmatch(asked):
        raise RouteUnknown("the Host header is missing or malformed")
    return asked


def credentials(request: Request) -> Credentials:
    """Give what a request says of its caller."""
    return Credentials(
        authorization=request.headers.get("authorization", ""),
        host=host(request),
        scheme=request.scope["scheme"],  # `url` raises where the query is not UTF-8
    )


def content_length(request: Request) -> int | None:
    """Give the announced length of the body in bytes; raises SizeInvalid."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LENGTH_DIGITS):
        raise SizeInvalid(f"Content-Length {text[:50]!r} is not a number")
    return int(text)
