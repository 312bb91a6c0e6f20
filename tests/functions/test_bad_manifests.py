"""Manifests that are not as they should be: the status and code, and nothing left behind."""

import json
from typing import Any

import httpx
import pytest

from tests.support.app import Site
from tests.support.images import OCI, Blob, blob, digest_of, image

IMAGE = image(1, layers=1, size=10)
LARGEST = 4 * 1024 * 1024


async def put(
    site: Site, content: bytes, media_type: str = OCI.manifest, reference: str = "latest"
) -> httpx.Response:
    headers = {"Content-Type": media_type} if media_type else {}
    path = f"/v2/a/manifests/{reference}"
    return await site.call("PUT", path, headers=headers, content=content)


async def refused(
    site: Site, status: int, code: str, content: bytes, *arguments: Any
) -> httpx.Response:
    kept = site.memory.kept()
    answer = await put(site, content, *arguments)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["code"] == code
    assert site.memory.kept() == kept
    assert site.memory.keys("outbox|") == []
    return answer


def padded(size: int) -> bytes:
    """Make a manifest of so many bytes."""
    fields = {**json.loads(IMAGE.manifest.content), "annotations": {"pad": ""}}
    missing = size - len(json.dumps(fields))
    return json.dumps({**fields, "annotations": {"pad": "x" * missing}}).encode()


async def test_a_manifest_of_four_mebibytes_is_taken(site: Site) -> None:
    for content in IMAGE.blobs:
        await site.push_blob("a", content)
    body = padded(LARGEST)
    assert len(body) == LARGEST
    assert (await put(site, body)).status_code == 201
    assert (await site.call("GET", "/v2/a/manifests/latest")).content == body


@pytest.mark.parametrize("size", [LARGEST + 1, 5 * 1024 * 1024, 20 * 1024 * 1024])
async def test_a_larger_one_is_refused(site: Site, size: int) -> None:
    for content in IMAGE.blobs:
        await site.push_blob("a", content)
    await refused(site, 413, "SIZE_INVALID", padded(size))


NOT_MANIFESTS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b"{} {}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 100_000,
    b'{"schemaVersion": 1}',
    b'{"schemaVersion": 2}',
    b'{"schemaVersion": 2, "config": {}, "layers": []}',
    b'{"schemaVersion": 2, "mediaType": "x/y"}',
    b'{"schemaVersion": 2, "mediaType": 7}',
]


@pytest.mark.parametrize("content", NOT_MANIFESTS, ids=range(len(NOT_MANIFESTS)))
async def test_what_is_no_manifest_is_refused(site: Site, content: bytes) -> None:
    await refused(site, 400, "MANIFEST_INVALID", content)


@pytest.mark.parametrize("media_type", ["a\u00e4/b", "x" * 256, "application/json"])
async def test_a_media_type_that_does_not_fit_is_refused(site: Site, media_type: str) -> None:
    content = IMAGE.manifest.content
    headers = {"Content-Type": media_type.encode("latin-1")}
    answer = await site.call("PUT", "/v2/a/manifests/x", headers=headers, content=content)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "MANIFEST_INVALID"


@pytest.mark.parametrize("length", [256, 40_000, 300_000])
async def test_an_artifact_type_that_no_list_could_filter_by_is_refused(
    site: Site, length: int
) -> None:
    content = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "a/b",
            "artifactType": "x" * length,
            "subject": IMAGE.manifest.descriptor(),
        }
    ).encode()
    answer = await site.call("PUT", "/v2/a/manifests/x", content=content)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "MANIFEST_INVALID"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        (digest_of(b"another"), "DIGEST_INVALID"),
        ("sha256:x", "DIGEST_INVALID"),
        ("md5:" + "0" * 32, "DIGEST_INVALID"),
        (".hidden", "TAG_INVALID"),
        ("x" * 129, "TAG_INVALID"),
        ("a%20b", "TAG_INVALID"),
        (f"{IMAGE.digest}?tag=.x", "TAG_INVALID"),
    ],
)
async def test_a_reference_that_does_not_fit_is_refused(
    site: Site, reference: str, code: str
) -> None:
    for content in IMAGE.blobs:
        await site.push_blob("a", content)
    await refused(site, 400, code, IMAGE.manifest.content, OCI.manifest, reference)


@pytest.mark.parametrize("name", ["A", "a%20b", "a//b", "-a", "a:b", "x" * 257, "a/_b", "%C3%A4"])
async def test_a_name_that_is_none_is_refused(site: Site, name: str) -> None:
    for method, rest in (("PUT", "manifests/x"), ("POST", "blobs/uploads/"), ("GET", "tags/list")):
        answer = await site.call(method, f"/v2/{name}/{rest}", content=b"x")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "NAME_INVALID"
    assert site.memory.kept() == {}


def naming(*contents: Blob) -> bytes:
    described = [content.descriptor() for content in contents]
    fields = {"schemaVersion": 2, "config": described[0], "layers": described[1:]}
    return json.dumps(fields).encode()


async def test_a_manifest_naming_missing_blobs_names_all_of_them(site: Site) -> None:
    contents = [blob(b"%d" % number) for number in range(200)]
    for content in contents[::50]:
        await site.push_blob("a", content)
    answer = await refused(site, 404, "MANIFEST_BLOB_UNKNOWN", naming(*contents))
    named = {entry["detail"]["digest"] for entry in answer.json()["errors"]}
    assert named == {it.digest for place, it in enumerate(contents) if place % 50}


@pytest.mark.parametrize("settings", [{"SPARSE_MANIFESTS": "true"}], indirect=True)
async def test_a_sparse_manifest_is_taken_where_it_may_be(site: Site) -> None:
    assert (await put(site, naming(blob(b"away")))).status_code == 201


async def test_a_media_type_cannot_smuggle_a_header_to_those_who_pull(site: Site) -> None:
    for content in IMAGE.blobs:
        await site.push_blob("a", content)
    fields = {**json.loads(IMAGE.manifest.content), "mediaType": "a/b\r\nX-Evil: 1"}
    await refused(site, 400, "MANIFEST_INVALID", json.dumps(fields).encode(), "")
