"""Every answer that is not the one asked for is the specification's envelope, as JSON."""

import json
import uuid

import httpx
import pytest

from shared.storage import ports
from tests.support.app import Site
from tests.support.images import artifact, blob, digest_of, image

DIGEST = digest_of(b"not there")
ZEROES = "sha256:" + "0" * 64

ERRORS = [
    ("GET", "/v2/a/manifests/latest", {}, 404, "MANIFEST_UNKNOWN"),
    ("GET", f"/v2/a/manifests/{DIGEST}", {}, 404, "MANIFEST_UNKNOWN"),
    ("DELETE", "/v2/a/manifests/latest", {}, 404, "MANIFEST_UNKNOWN"),
    ("DELETE", f"/v2/a/manifests/{DIGEST}", {}, 404, "MANIFEST_UNKNOWN"),
    ("GET", f"/v2/a/blobs/{DIGEST}", {}, 404, "BLOB_UNKNOWN"),
    ("DELETE", f"/v2/a/blobs/{DIGEST}", {}, 404, "BLOB_UNKNOWN"),
    ("GET", "/v2/a/tags/list", {}, 404, "NAME_UNKNOWN"),
    ("GET", "/v2/a/tags/list?n=-1", {}, 400, "PAGINATION_NUMBER_INVALID"),
    ("GET", "/v2/_catalog?n=x", {}, 400, "PAGINATION_NUMBER_INVALID"),
    ("GET", "/v2/A/tags/list", {}, 400, "NAME_INVALID"),
    ("GET", "/v2/a//tags/list", {}, 400, "NAME_INVALID"),
    ("GET", "/v2/a/manifests/.x", {}, 400, "TAG_INVALID"),
    ("GET", f"/v2/a/manifests/{'x' * 129}", {}, 400, "TAG_INVALID"),
    ("GET", "/v2/a/manifests/sha256:x", {}, 400, "DIGEST_INVALID"),
    ("GET", "/v2/a/blobs/sha256:x", {}, 400, "DIGEST_INVALID"),
    ("GET", "/v2/a/blobs/no-digest", {}, 400, "DIGEST_INVALID"),
    ("DELETE", "/v2/a/blobs/uploads", {}, 400, "DIGEST_INVALID"),
    ("GET", "/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", {}, 400, "DIGEST_INVALID"),
    ("GET", "/v2/a/referrers/latest", {}, 400, "DIGEST_INVALID"),
    ("PUT", "/v2/a/manifests/latest", {"content": b"{"}, 400, "MANIFEST_INVALID"),
    ("PUT", "/v2/a/manifests/latest", {"content": b"{}"}, 400, "MANIFEST_INVALID"),
    ("POST", "/v2/a/blobs/uploads/?digest=x", {}, 400, "DIGEST_INVALID"),
    ("POST", "/v2/a/blobs/uploads/?mount=x&from=b", {}, 400, "DIGEST_INVALID"),
    ("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", {}, 400, "DIGEST_INVALID"),
    ("PATCH", "/v2/a/blobs/uploads/x", {}, 404, "BLOB_UPLOAD_UNKNOWN"),
    ("PUT", f"/v2/a/blobs/uploads/x?_state=y&digest={ZEROES}", {}, 404, "BLOB_UPLOAD_UNKNOWN"),
    ("GET", "/v2/a/blobs/uploads/x", {}, 404, "BLOB_UPLOAD_UNKNOWN"),
    ("DELETE", "/v2/a/blobs/uploads/x", {}, 404, "BLOB_UPLOAD_UNKNOWN"),
    ("GET", "/v2/a/x", {}, 404, "UNSUPPORTED"),
    ("POST", "/v2/a/tags/list", {}, 405, "UNSUPPORTED"),
    ("POST", "/v2/", {}, 405, "UNSUPPORTED"),
    ("PUT", "/oauth2/token", {}, 405, "UNSUPPORTED"),
    ("DELETE", "/acr/v1/a", {}, 501, "UNSUPPORTED"),
    ("DELETE", "/acr/v1/a", {"auth": None}, 401, "UNAUTHORIZED"),
    ("OPTIONS", "/v2/a/x", {"auth": None}, 401, "UNAUTHORIZED"),
    ("GET", "/v2/", {"auth": None}, 401, "UNAUTHORIZED"),
    ("GET", "/v2/", {"auth": ("registry", "wrong")}, 401, "UNAUTHORIZED"),
    ("GET", "/oauth2/token", {"auth": None}, 401, "UNAUTHORIZED"),
    ("GET", "/oauth2/token?service=x", {}, 401, "UNAUTHORIZED"),
    ("POST", "/oauth2/token", {}, 401, "UNAUTHORIZED"),
    ("POST", "/oauth2/token", {"content": b"x" * 65_537}, 400, "SIZE_INVALID"),
    (
        "GET",
        "/oauth2/token",
        {"auth": None, "headers": {"Authorization": "x"}},
        401,
        "UNAUTHORIZED",
    ),
    ("GET", "/v2/", {"headers": {"Host": "a b"}}, 400, "UNSUPPORTED"),
    ("GET", "/v2/", {"headers": {"Host": ""}}, 400, "UNSUPPORTED"),
    ("GET", "/v2/a/manifests/latest", {"headers": {"Host": "u@h"}}, 400, "UNSUPPORTED"),
    ("GET", "/oauth2/token", {"headers": {"Host": "a,b"}}, 400, "UNSUPPORTED"),
]


def check_envelope(answer: httpx.Response, code: str) -> None:
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert uuid.UUID(answer.headers["X-Ms-Correlation-Request-Id"])
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.content.endswith(b"\n")
    document = json.loads(answer.content)
    assert list(document) == ["errors"]
    assert document["errors"]
    for entry in document["errors"]:
        assert set(entry) <= {"code", "message", "detail"}
        assert entry["code"] == code
        assert entry["message"]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), ERRORS)
async def test_an_error_is_an_envelope_and_leaves_nothing_behind(
    site: Site, method: str, path: str, options: dict[str, object], status: int, code: str
) -> None:
    answer = await site.call(method, path, **options)
    assert answer.status_code == status, answer.text
    check_envelope(answer, code)
    assert site.memory.kept() == {}
    assert site.memory.messages.sent == []


@pytest.mark.parametrize(
    "path",
    ["/v2/a/manifests/latest", f"/v2/a/blobs/{DIGEST}", "/v2/a/tags/list", "/v2/x/y"],
)
async def test_the_answer_to_a_head_has_a_status_alone(site: Site, path: str) -> None:
    answer = await site.call("HEAD", path)
    assert (answer.status_code, answer.content) == (404, b"")


async def test_storage_that_does_not_answer_is_503(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.call("GET", "/v2/")

    async def busy(*_: object) -> None:
        raise ports.Unavailable("busy", 3)

    monkeypatch.setattr(site.memory.rows, "get", busy)
    headers = {"Authorization": "Bearer x"}
    answer = await site.call("GET", "/v2/a/manifests/latest", auth=None, headers=headers)
    assert answer.status_code == 401  # a token is read without storage
    answer = await site.call("GET", "/v2/a/manifests/latest")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    check_envelope(answer, "UNAVAILABLE")


async def test_a_fault_of_ours_is_500(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(site.memory.rows, "get", broken)
    answer = await site.call("GET", "/v2/a/manifests/latest")
    assert answer.status_code == 500
    check_envelope(answer, "UNKNOWN")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_each_missing_digest_is_named(site: Site) -> None:
    pushed = image(1, layers=3, size=10)
    await site.push_blob("a", pushed.layers[1].blob)
    kept = site.memory.kept()
    answer = await site.call(
        "PUT",
        "/v2/a/manifests/latest",
        headers={"Content-Type": pushed.manifest.media_type},
        content=pushed.manifest.content,
    )
    assert answer.status_code == 404
    check_envelope(answer, "MANIFEST_BLOB_UNKNOWN")
    missing = [pushed.config, pushed.layers[0].blob, pushed.layers[2].blob]
    assert {entry["detail"]["digest"] for entry in answer.json()["errors"]} == {
        content.digest for content in missing
    }
    assert site.memory.kept() == kept


async def test_a_blob_in_use_is_not_deleted(site: Site) -> None:
    pushed = image(1, layers=1, size=10)
    await site.push("a", pushed)
    answer = await site.call("DELETE", f"/v2/a/blobs/{pushed.config.digest}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    check_envelope(answer, "UNSUPPORTED")


async def test_a_condition_that_does_not_hold_is_412(site: Site) -> None:
    one, two = artifact("a/b", b"1"), artifact("a/b", b"2")
    await site.push("a", one, "latest")
    await site.push("a", two)
    for headers in ({"If-None-Match": "*"}, {"If-Match": f'"{two.digest}"'}):
        answer = await site.call(
            "PUT",
            "/v2/a/manifests/latest",
            headers={"Content-Type": two.manifest.media_type, **headers},
            content=two.manifest.content,
        )
        assert answer.status_code == 412
        check_envelope(answer, "MANIFEST_INVALID")


async def test_a_read_of_other_content_than_it_names_is_412(site: Site) -> None:
    pushed = image(1, layers=1, size=10)
    await site.push("a", pushed, "latest")
    for path in ("manifests/latest", f"manifests/{pushed.digest}", f"blobs/{pushed.config.digest}"):
        headers = {"If-Match": f'"{DIGEST}"'}
        answer = await site.call("GET", f"/v2/a/{path}", headers=headers)
        assert answer.status_code == 412
        check_envelope(answer, "DIGEST_INVALID")
        assert "If-Match" in answer.text
        assert "tag" not in answer.text


async def test_too_many_tags_are_414(site: Site) -> None:
    pushed = artifact("a/b", b"1")
    await site.push("a", pushed)
    tags = "&".join(f"tag=v{number}" for number in range(31))
    answer = await site.call(
        "PUT",
        f"/v2/a/manifests/{pushed.digest}?{tags}",
        headers={"Content-Type": pushed.manifest.media_type},
        content=pushed.manifest.content,
    )
    assert answer.status_code == 414
    check_envelope(answer, "TAG_INVALID")


async def test_a_range_outside_of_a_blob_is_416(site: Site) -> None:
    content = blob(b"0123456789")
    await site.push_blob("a", content)
    headers = {"Range": "bytes=10-"}
    answer = await site.call("GET", f"/v2/a/blobs/{content.digest}", headers=headers)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")
    check_envelope(answer, "RANGE_INVALID")
