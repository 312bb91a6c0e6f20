"""Answers to the byte: what is recorded here is what clients have seen so far."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response
from starlette.types import Message

from shared.errors import DigestInvalid, ManifestBlobUnknown, RangeInvalid, TooManyRequests
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.wire import response

DIGEST = Digest.of(b"")
JSON = "application/json; charset=utf-8"


def shape(answer: Response) -> tuple[int, dict[str, str], bytes]:
    return answer.status_code, dict(answer.headers), bytes(answer.body)


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


ANSWERS: list[tuple[Response, int, dict[str, str], bytes]] = [
    (
        response.json({"a": [1, "ä"]}),
        200,
        {"content-length": "15", "content-type": JSON},
        '{"a":[1,"ä"]}\n'.encode(),
    ),
    (
        response.page({"tags": ["a"]}, "/v2/a/tags/list?last=a&n=1&orderby="),
        200,
        {
            "content-length": "15",
            "content-type": JSON,
            "link": '</v2/a/tags/list?last=a&n=1&orderby=>; rel="next"',
        },
        b'{"tags":["a"]}\n',
    ),
    (
        response.page({"tags": []}, "", {"Content-Type": "x/y"}),
        200,
        {"content-length": "12", "content-type": "x/y"},
        b'{"tags":[]}\n',
    ),
    (
        response.content(DIGEST, "a/b", 4, b"body"),
        200,
        {
            "docker-content-digest": str(DIGEST),
            "content-length": "4",
            "content-type": "a/b",
            "etag": f'"{DIGEST}"',
            "content-security-policy": "sandbox",
        },
        b"body",
    ),
    (
        response.blob(DIGEST, 7),
        200,
        {
            "docker-content-digest": str(DIGEST),
            "content-length": "7",
            "content-type": "application/octet-stream",
            "etag": f'"{DIGEST}"',
            "content-security-policy": "sandbox",
            "accept-ranges": "bytes",
        },
        b"",
    ),
    (
        response.unchanged(DIGEST),
        304,
        {"docker-content-digest": str(DIGEST), "etag": f'"{DIGEST}"'},
        b"",
    ),
    (
        response.deleted(DIGEST),
        202,
        {"docker-content-digest": str(DIGEST), "content-length": "0"},
        b"",
    ),
    (
        response.redirect("https://store/x?sig=y", DIGEST),
        307,
        {
            "location": "https://store/x?sig=y",
            "docker-content-digest": str(DIGEST),
            "cache-control": "no-store",
            "content-length": "0",
        },
        b"",
    ),
    (
        response.created("/v2/a/blobs/x", DIGEST),
        201,
        {
            "location": "/v2/a/blobs/x",
            "docker-content-digest": str(DIGEST),
            "content-length": "0",
        },
        b"",
    ),
    (
        response.created("/x", DIGEST, subject=DIGEST, tags=[Tag("a"), Tag("b")]),
        201,
        {
            "location": "/x",
            "docker-content-digest": str(DIGEST),
            "oci-subject": str(DIGEST),
            "oci-tag": "a, b",
            "content-length": "0",
        },
        b"",
    ),
    (
        response.upload(202, "/v2/a/blobs/uploads/u?_state=t", "u", 10),
        202,
        {
            "location": "/v2/a/blobs/uploads/u?_state=t",
            "range": "0-9",
            "docker-upload-uuid": "u",
            "content-length": "0",
        },
        b"",
    ),
    (response.empty(204), 204, {}, b""),
    (response.options(["GET", "HEAD"]), 204, {"allow": "GET, HEAD"}, b""),
    (
        response.token({"access_token": "x"}),
        200,
        {
            "cache-control": "no-store",
            "pragma": "no-cache",
            "content-length": "21",
            "content-type": JSON,
        },
        b'{"access_token":"x"}\n',
    ),
]


@pytest.mark.parametrize(("answer", "status", "headers", "body"), ANSWERS)
def test_an_answer_to_the_byte(
    answer: Response, status: int, headers: dict[str, str], body: bytes
) -> None:
    assert shape(answer) == (status, headers, body)


@pytest.mark.parametrize(("offset", "text"), [(0, "0-0"), (1, "0-0"), (2, "0-1"), (10, "0-9")])
def test_the_place_of_an_upload(offset: int, text: str) -> None:
    assert response.upload_range(offset) == text


async def test_a_blob_goes_out_whole_or_in_part() -> None:
    whole = response.blob_stream(DIGEST, 7, range(7), stream(b"one", b"four"), is_part=False)
    assert (whole.status_code, whole.headers["content-length"]) == (200, "7")
    assert "content-range" not in whole.headers
    assert whole.headers["content-security-policy"] == "sandbox"
    part = response.blob_stream(DIGEST, 7, range(3, 5), stream(b"fo"), is_part=True)
    assert part.status_code == 206
    assert part.headers["content-range"] == "bytes 3-4/7"
    assert part.headers["content-length"] == "2"


def missing(digest: bytes) -> bytes:
    return (
        b'{"code":"MANIFEST_BLOB_UNKNOWN","message":"manifest references a manifest or blob unknown'
        b' to registry: push it first","detail":{"digest":"%s"}}' % digest
    )


ENVELOPES = [
    (
        DigestInvalid("so"),
        400,
        {},
        b'{"errors":[{"code":"DIGEST_INVALID","message":"so"}]}\n',
    ),
    (
        ManifestBlobUnknown(["sha256:1", "sha256:2"]),
        404,
        {},
        b'{"errors":[%s,%s]}\n' % (missing(b"sha256:1"), missing(b"sha256:2")),
    ),
    (
        RangeInvalid("so", offset=4),
        416,
        {"range": "0-3"},
        b'{"errors":[{"code":"RANGE_INVALID","message":"so"}]}\n',
    ),
    (
        RangeInvalid("so", size=4),
        416,
        {"content-range": "bytes */4"},
        b'{"errors":[{"code":"RANGE_INVALID","message":"so"}]}\n',
    ),
    (
        TooManyRequests("so", seconds=3),
        429,
        {"retry-after": "3"},
        b'{"errors":[{"code":"TOOMANYREQUESTS","message":"so"}]}\n',
    ),
]


@pytest.mark.parametrize(("error", "status", "headers", "body"), ENVELOPES)
def test_an_envelope_to_the_byte(
    error: DigestInvalid, status: int, headers: dict[str, str], body: bytes
) -> None:
    usual = {"content-length": str(len(body)), "content-type": JSON}
    assert shape(response.failure(error)) == (status, {**headers, **usual}, body)


async def test_a_reader_who_stalls_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "STALLED_SECONDS", 0.01)
    answer = response.blob_stream(DIGEST, 2, range(2), stream(b"a", b"b"), is_part=False)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    async def receive() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async with asyncio.timeout(5):
        await answer({"type": "http"}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
