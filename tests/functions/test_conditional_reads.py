"""Reads on a condition, and reads of a part, whether a blob is streamed or redirected to."""

from collections.abc import Mapping

import pytest

from tests.support.app import Site
from tests.support.images import blob, digest_of, image

IMAGE = image(1, layers=1, size=10)
BLOB = blob(b"0123456789")
BLOB_PATH = f"/v2/a/blobs/{BLOB.digest}"
OTHER = f'"{digest_of(b"something else")}"'
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
REDIRECTED = [{"BLOB_REDIRECTS": "false"}, {"BLOB_REDIRECTS": "true"}]

CONTENTS = {
    "/v2/a/manifests/latest": IMAGE.digest,
    f"/v2/a/manifests/{IMAGE.digest}": IMAGE.digest,
    BLOB_PATH: BLOB.digest,
}
CONDITIONS: list[tuple[Mapping[str, str], int]] = [
    ({"If-None-Match": "{0}"}, 304),
    ({"If-None-Match": "W/{0}"}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": OTHER + ", {0}"}, 304),
    ({"If-None-Match": "{0}", "If-Modified-Since": DATE}, 304),
    ({"If-None-Match": "{0}", "Range": "bytes=99-"}, 304),
    ({"If-Match": "{0}", "If-None-Match": "{0}"}, 304),
    ({"If-Match": OTHER}, 412),
    ({"If-Match": "W/{0}"}, 412),
    ({"If-Match": OTHER, "If-None-Match": "{0}"}, 412),
    ({"If-Match": "{0}"}, 200),
    ({"If-Match": OTHER + ", {0}"}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": "*", "If-Unmodified-Since": DATE}, 200),
    ({"If-Modified-Since": DATE}, 200),
    ({"If-Unmodified-Since": DATE}, 200),
]


@pytest.fixture(autouse=True)
async def pushed(site: Site) -> None:
    await site.push("a", IMAGE, "latest")
    await site.push_blob("a", BLOB)


@pytest.mark.parametrize("settings", REDIRECTED, indirect=True)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", CONTENTS)
@pytest.mark.parametrize(("conditions", "status"), CONDITIONS)
async def test_a_read_on_a_condition(
    site: Site, method: str, path: str, conditions: Mapping[str, str], status: int
) -> None:
    etag = f'"{CONTENTS[path]}"'
    headers = {name: value.format(etag) for name, value in conditions.items()}
    answer = await site.call(method, path, headers=headers)
    assert answer.status_code == status
    if status != 412:
        assert answer.headers["ETag"] == etag
        assert answer.headers["Docker-Content-Digest"] == CONTENTS[path]
    if method == "HEAD" or status == 304:
        assert answer.content == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_not_there_is_404_on_any_condition(site: Site, method: str) -> None:
    for path in ("manifests/none", f"blobs/{digest_of(b'none')}"):
        for name in ("If-Match", "If-None-Match"):
            answer = await site.call(method, f"/v2/a/{path}", headers={name: "*"})
            assert answer.status_code == 404


@pytest.mark.parametrize("settings", REDIRECTED, indirect=True)
@pytest.mark.parametrize(
    ("if_range", "status", "body"),
    [
        (f'"{BLOB.digest}"', 206, b"234"),
        (f'W/"{BLOB.digest}"', 200, BLOB.content),
        (BLOB.digest, 200, BLOB.content),
        (OTHER, 200, BLOB.content),
        (DATE, 200, BLOB.content),
    ],
)
async def test_a_part_of_other_content_is_not_sent(
    site: Site, if_range: str, status: int, body: bytes
) -> None:
    headers = {"Range": "bytes=2-4", "If-Range": if_range}
    answer = await site.call("GET", BLOB_PATH, headers=headers)
    assert (answer.status_code, answer.content) == (status, body)


@pytest.mark.parametrize("settings", REDIRECTED[1:], indirect=True)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Range": "bytes=0-3"},
        {"Range": "bytes=2-"},
        {"If-None-Match": OTHER},
    ],
)
async def test_what_storage_answers_alike_is_redirected(
    site: Site, headers: Mapping[str, str]
) -> None:
    assert (await site.call("GET", BLOB_PATH, headers=headers)).status_code == 307


@pytest.mark.parametrize("settings", REDIRECTED, indirect=True)
@pytest.mark.parametrize(
    "wanted",
    ["bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=-", "bytes", "0-1", "", "Bytes=0-1"],
)
async def test_a_range_that_is_not_understood_is_passed_over(site: Site, wanted: str) -> None:
    answer = await site.call("GET", BLOB_PATH, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, BLOB.content)


@pytest.mark.parametrize("settings", REDIRECTED, indirect=True)
async def test_a_range_outside_is_refused_here(site: Site) -> None:
    answer = await site.call("GET", BLOB_PATH, headers={"Range": "bytes=10-"})
    assert answer.status_code == 416


@pytest.mark.parametrize("settings", REDIRECTED, indirect=True)
async def test_what_was_pushed_runs_in_no_browser(site: Site) -> None:
    page = b"<script>alert(1)</script>"
    headers = {"Content-Type": "text/html"}
    answer = await site.call("PUT", "/v2/a/manifests/page", headers=headers, content=page)
    assert answer.status_code == 201
    for path, sent in (("/v2/a/manifests/page", {}), (BLOB_PATH, {"If-Match": "*"})):
        for method in ("GET", "HEAD"):
            answer = await site.call(method, path, headers=sent)
            assert answer.headers["Content-Security-Policy"] == "sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer = await site.call("GET", "/v2/a/manifests/page")
    assert (answer.content, answer.headers["Content-Type"]) == (page, "text/html")
