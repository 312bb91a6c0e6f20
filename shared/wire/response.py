"""Responses: the one place that writes statuses and headers, and the envelope of errors."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Send

from shared.errors import RangeInvalid, RegistryError
from shared.model.digest import Digest
from shared.model.names import Tag

STALLED_SECONDS = 60.0
"""How long a client may take nothing of a blob that it reads through the registry."""

_JSON = "application/json; charset=utf-8"
_OCTETS = "application/octet-stream"

_SANDBOX = {"Content-Security-Policy": "sandbox"}
"""No browser is to run what somebody pushed: it has the type that they gave it."""


def json(body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    """Answer 200 with JSON and a newline, as ACR does."""
    return Response(orjson.dumps(body) + b"\n", headers=headers, media_type=_JSON)


def token(issued: Mapping[str, object]) -> Response:
    """Answer with a token, which no cache may keep (RFC 6749, 5.1)."""
    return json(issued, {"Cache-Control": "no-store", "Pragma": "no-cache"})


def options(methods: Sequence[str]) -> Response:
    """Answer 204: these are the methods that the path takes (RFC 9110, 9.3.7)."""
    return Response(status_code=204, headers={"Allow": ", ".join(methods)})


def page(
    body: Mapping[str, object], following: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a page of a list; `following` is the link to the next one, or empty."""
    link = {"Link": f'<{following}>; rel="next"'} if following else {}
    return json(body, {**(headers or {}), **link})


def content(digest: Digest, media_type: str, size: int, body: bytes = b"") -> Response:
    """Answer 200 with content under its digest; with no body, to a HEAD."""
    headers = {
        "Docker-Content-Digest": str(digest),
        "Content-Length": str(size),
        "Content-Type": media_type,
        "ETag": f'"{digest}"',
        **_SANDBOX,
    }
    return Response(body, headers=headers)


def blob(digest: Digest, size: int) -> Response:
    """Answer a HEAD of a blob."""
    response = content(digest, _OCTETS, size)
    response.headers["Accept-Ranges"] = "bytes"
    return response


def blob_stream(
    digest: Digest, size: int, part: range, body: AsyncIterator[bytes], *, is_part: bool
) -> Response:
    """Answer with a blob's bytes: 200 with all of them, or 206 with a part."""
    headers = {
        "Docker-Content-Digest": str(digest),
        "Content-Length": str(len(part)),
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        **_SANDBOX,
    }
    if is_part:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return _Stream(body, 206 if is_part else 200, headers, _OCTETS)


class _Stream(StreamingResponse):
    """A body that ends where its reader stalls: they hold a place that others wait for."""

    async def stream_response(self, send: Send) -> None:
        """Send the body, or as much of it as the client takes without a stop."""

        async def in_time(message: Message) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)

        with suppress(TimeoutError):  # the server hangs up on an answer that is not whole
            await super().stream_response(in_time)


def unchanged(digest: Digest) -> Response:
    """Answer 304: the client has this content already."""
    headers = {"Docker-Content-Digest": str(digest), "ETag": f'"{digest}"'}
    return Response(status_code=304, headers=headers)


def deleted(digest: Digest) -> Response:
    """Answer 202: content is gone from the repository (rule 9)."""
    return Response(status_code=202, headers={"Docker-Content-Digest": str(digest)})


def redirect(url: str, digest: Digest) -> Response:
    """Answer 307 to where a blob's bytes are; clients repeat the request there."""
    return Response(
        status_code=307,
        headers={
            "Location": url,
            "Docker-Content-Digest": str(digest),
            "Cache-Control": "no-store",
        },
    )


def created(
    location: str, digest: Digest, *, subject: Digest | None = None, tags: Sequence[Tag] = ()
) -> Response:
    """Answer 201: content is stored, and pullable at `location`."""
    headers = {"Location": location, "Docker-Content-Digest": str(digest)}
    if subject:
        headers["OCI-Subject"] = str(subject)
    if tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return Response(status_code=201, headers=headers)


def upload(status: int, location: str, upload_id: str, offset: int) -> Response:
    """Answer 202 or 204: an upload is at `offset`, and goes on at `location`."""
    return Response(
        status_code=status,
        headers={
            "Location": location,
            "Range": upload_range(offset),
            "Docker-Upload-UUID": upload_id,
        },
    )


def upload_range(offset: int) -> str:
    """Give the place of an upload's last byte, as `0-END`; `0-0` where there is none."""
    return f"0-{max(offset - 1, 0)}"


def empty(status: int) -> Response:
    """Answer with a status alone."""
    return Response(status_code=status)


def failure(error: RegistryError) -> Response:
    """Answer with the envelope of an error."""
    headers = dict(error.headers)
    if isinstance(error, RangeInvalid) and error.offset is not None:
        headers["Range"] = upload_range(error.offset)
    if isinstance(error, RangeInvalid) and error.size is not None:
        headers["Content-Range"] = f"bytes */{error.size}"
    body = orjson.dumps({"errors": error.entries()}) + b"\n"
    return Response(body, error.status, headers, _JSON)
