"""Uploads that are not as they should be: the status and code, and nothing left behind."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.app import Site
from tests.support.images import blob, digest_of

CONTENT = b"0123456789"
DIGEST = digest_of(CONTENT)
WRONG = digest_of(b"something else")


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["code"] == code


async def finish(site: Site, location: str, digest: str = DIGEST, **options: Any) -> httpx.Response:
    return await site.call("PUT", f"{location}&digest={digest}", **options)


async def test_a_wrong_digest_is_refused_and_the_upload_goes_on(site: Site) -> None:
    location = await site.start("a")
    refused(await finish(site, location, WRONG, content=CONTENT), 400, "DIGEST_INVALID")
    assert site.memory.kept() == {}
    assert (await site.call("HEAD", f"/v2/a/blobs/{WRONG}")).status_code == 404
    assert (await finish(site, location, content=CONTENT)).status_code == 201


async def test_a_wrong_digest_of_a_blob_sent_at_once_is_refused(site: Site) -> None:
    path = f"/v2/a/blobs/uploads/?digest={WRONG}"
    refused(await site.call("POST", path, content=CONTENT), 400, "DIGEST_INVALID")
    assert site.memory.kept() == {}


@pytest.mark.parametrize("digest", ["", "x", "sha256:x", f"{DIGEST}0", "md5:0", "%00"])
async def test_what_is_no_digest_is_refused(site: Site, digest: str) -> None:
    location = await site.start("a")
    refused(await finish(site, location, digest, content=CONTENT), 400, "DIGEST_INVALID")
    assert site.memory.kept() == {}


@pytest.mark.parametrize("length", [9, 11])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_body_of_another_length_is_refused_and_the_upload_goes_on(
    site: Site, length: int, method: str
) -> None:
    location = await site.start("a")
    headers = {"Content-Length": str(length)}
    answer = await site.call(
        method, f"{location}&digest={DIGEST}", headers=headers, content=CONTENT
    )
    refused(answer, 400, "SIZE_INVALID")
    assert site.memory.kept() == {}
    assert (await finish(site, location, content=CONTENT)).status_code == 201


MISPLACED = [
    ("1-10", 416, "RANGE_INVALID"),
    ("0-8", 400, "SIZE_INVALID"),
    ("0-10", 400, "SIZE_INVALID"),
    ("9-0", 400, "BLOB_UPLOAD_INVALID"),
    ("x", 400, "BLOB_UPLOAD_INVALID"),
    ("bytes */10", 400, "BLOB_UPLOAD_INVALID"),
]


@pytest.mark.parametrize(("place", "status", "code"), MISPLACED)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_misplaced_part_is_refused_and_the_upload_goes_on(
    site: Site, place: str, status: int, code: str, method: str
) -> None:
    location = await site.start("a")
    answer = await site.call(
        method,
        f"{location}&digest={DIGEST}",
        headers={"Content-Range": place},
        content=CONTENT,
    )
    refused(answer, status, code)
    assert site.memory.kept() == {}
    headers = {"Content-Range": "0-9"}
    assert (await finish(site, location, content=CONTENT, headers=headers)).status_code == 201


async def test_a_misplaced_part_is_told_where_the_upload_goes_on(site: Site) -> None:
    location = await site.start("a")
    step = await site.call("PATCH", location, content=CONTENT[:4])
    headers = {"Content-Range": "0-3"}
    answer = await site.call("PATCH", step.headers["Location"], headers=headers, content=b"0123")
    refused(answer, 416, "RANGE_INVALID")
    assert answer.headers["Range"] == "0-3"
    again = answer.headers["Location"]
    assert (await finish(site, again, content=CONTENT[4:])).status_code == 201


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/team/app/blobs/uploads/x",
        "/v2/team%2Fapp/blobs/uploads/x",
        "/v2/team%252fapp/blobs/uploads/x",
        "/v2/team/app/blobs/uploads/\u65e5\u672c",
        "/v2/team/app/blobs/uploads/x%0DX:%20y",
    ],
)
async def test_it_is_told_in_one_spelling_however_it_spelt_the_path(
    site: Site, method: str, path: str
) -> None:
    location = await site.start("team/app")
    query = location.partition("?")[2]
    answer = await site.call(
        method,
        f"{path}?{query}&digest={DIGEST}&more=%2B",
        headers={"Content-Range": "5-9"},
        content=b"x" * 5,
    )
    refused(answer, 416, "RANGE_INVALID")
    assert answer.headers["Location"] == location
    assert (await finish(site, location, content=CONTENT)).status_code == 201


async def test_a_misplaced_whole_blob_is_told_where_to_begin(site: Site) -> None:
    path = f"/v2/a/blobs/uploads/?digest={DIGEST}"
    headers = {"Content-Range": "5-9"}
    answer = await site.call("POST", path, headers=headers, content=CONTENT[5:])
    refused(answer, 416, "RANGE_INVALID")
    assert (await finish(site, answer.headers["Location"], content=CONTENT)).status_code == 201


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
class TestSessions:
    """A session that is not this caller's, here and now is unknown to every operation."""

    async def check(self, site: Site, method: str, location: str, **options: Any) -> None:
        content = CONTENT if method in {"PATCH", "PUT"} else None
        path = f"{location}&digest={DIGEST}"
        answer = await site.call(method, path, content=content, **options)
        refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")
        assert site.memory.kept() == {}

    @pytest.mark.parametrize("state", ["", "x", "A" * 200, "%00", "%F0%9F%98%80", "=", "A" * 3_000])
    async def test_forged(self, site: Site, method: str, state: str) -> None:
        await self.check(site, method, f"/v2/a/blobs/uploads/x?_state={state}")

    async def test_altered(self, site: Site, method: str) -> None:
        location = await site.start("a")
        flipped = "B" if location[-9] == "A" else "A"
        await self.check(site, method, location[:-9] + flipped + location[-8:])

    async def test_expired(self, site: Site, method: str) -> None:
        location = await site.start("a")
        site.clock.move(days=7, seconds=1)
        await self.check(site, method, location)

    async def test_of_another_repository(self, site: Site, method: str) -> None:
        location = await site.start("a")
        await self.check(site, method, location.replace("/v2/a/", "/v2/b/"))

    @pytest.mark.parametrize("settings", [{"ANONYMOUS_ACCESS": "all"}], indirect=True)
    async def test_of_another_caller(self, site: Site, method: str) -> None:
        await self.check(site, method, await site.start("a"), auth=None)


async def test_a_cancelled_upload_cannot_be_finished(site: Site) -> None:
    location = await site.start("a")
    step = await site.call("PATCH", location, content=CONTENT)
    assert (await site.call("DELETE", step.headers["Location"])).status_code == 204
    refused(await finish(site, step.headers["Location"]), 404, "BLOB_UPLOAD_UNKNOWN")
    for method in ("GET", "DELETE"):
        answer = await site.call(method, step.headers["Location"])
        refused(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    assert (await site.call("HEAD", f"/v2/a/blobs/{DIGEST}")).status_code == 404


async def test_a_client_that_goes_leaves_nothing_and_may_come_back(site: Site) -> None:
    location = await site.start("a")
    sent = iter([{"type": "http.request", "body": b"01234", "more_body": True}])

    async def receive() -> dict[str, object]:
        return next(sent, {"type": "http.disconnect"})

    answers: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        answers.append(message)

    request = site.client.build_request("PATCH", location, headers={"Content-Length": "10"})
    authorization = (await site.bearer("repository:a:pull,push"))["Authorization"]
    scope = {
        "type": "http",
        "method": "PATCH",
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "headers": [
            (b"host", b"registry.test"),
            (b"content-length", b"10"),
            (b"authorization", authorization.encode()),
        ],
    }
    await site.app(scope, receive, send)
    assert answers[0]["status"] == 400
    assert site.memory.kept() == {}
    assert (await finish(site, location, content=CONTENT)).status_code == 201


async def test_an_upload_of_many_pieces_keeps_its_url_short(site: Site) -> None:
    location = await site.start("team/app")
    for number in range(60):
        step = await site.call("PATCH", location, content=b"%03d" % number)
        location = step.headers["Location"]
        assert len(location) < 2_000
        assert location.startswith("/v2/team/app/blobs/uploads/")
    whole = b"".join(b"%03d" % number for number in range(60))
    assert (await finish(site, location, digest_of(whole))).status_code == 201
    answer = await site.call("GET", f"/v2/team/app/blobs/{digest_of(whole)}")
    assert answer.content == whole


async def test_a_body_without_a_length_is_taken(site: Site) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield CONTENT[:3]
        yield CONTENT[3:]

    location = await site.start("a")
    assert (await finish(site, location, content=chunks())).status_code == 201
    assert blob(CONTENT).digest == DIGEST
