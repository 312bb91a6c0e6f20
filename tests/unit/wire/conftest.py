"""Requests as the host hands them over."""

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.types import Message, Scope


def request(
    method: str = "GET",
    path: str = "/v2/",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: Iterable[bytes] = (),
) -> Request:
    """Make a request; `path` without /v2/ is what the host gives as the parameter `path`."""
    sent = {"host": "reg.example", **{k.lower(): v for k, v in (headers or {}).items()}}
    scope: Scope = {
        "type": "http",
        "method": method,
        "scheme": "https",
        "path": path,
        "query_string": query.encode(),
        "path_params": {"path": path.removeprefix("/v2/")},
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in sent.items() if v],
    }
    pieces = iter([*body, None])

    async def receive() -> Message:
        piece = next(pieces)
        if piece is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        if piece == b"gone":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": True}

    return Request(scope, receive)
