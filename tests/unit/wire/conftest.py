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
    *,
    scheme: str = "https",
    more: Iterable[tuple[str, str]] = (),
) -> Request:
    """Make a request; `path` without /v2/ is what the host gives as the parameter `path`.

    Headers that are empty are left out; `more` are sent as they are.
    """
    sent = {"host": "reg.example", **{k.lower(): v for k, v in (headers or {}).items()}}
    pairs = [*((name, value) for name, value in sent.items() if value), *more]
    scope: Scope = {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "path": path,
        "query_string": query.encode(),
        "path_params": {"path": path.removeprefix("/v2/")},
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in pairs],
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
