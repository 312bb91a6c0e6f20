"""Reading: manifests, blobs, lists, referrers."""

import hashlib
import json
from typing import Any

import pytest

from tests.support.app import Site
from tests.support.images import OCI, artifact, blob, image, index_of

IMAGE = image(1, layers=1, size=10)
BLOB = blob(b"0123456789")
BLOB_PATH = f"/v2/a/blobs/{BLOB.digest}"


@pytest.mark.parametrize("reference", ["latest", IMAGE.digest])
async def test_a_manifest_is_read_as_it_was_pushed(site: Site, reference: str) -> None:
    await site.push("team/app", IMAGE, "latest")
    for method in ("GET", "HEAD"):
        answer = await site.call(method, f"/v2/team/app/manifests/{reference}")
        assert answer.status_code == 200
        assert answer.content == (IMAGE.manifest.content if method == "GET" else b"")
        assert answer.headers["Content-Type"] == IMAGE.manifest.media_type
        assert answer.headers["Content-Length"] == str(IMAGE.manifest.size)
        assert answer.headers["Docker-Content-Digest"] == IMAGE.digest
        assert answer.headers["ETag"] == f'"{IMAGE.digest}"'


async def test_a_manifest_that_the_client_has_is_not_sent_again(site: Site) -> None:
    await site.push("a", IMAGE, "latest")
    headers = {"If-None-Match": f'"{IMAGE.digest}"'}
    answer = await site.call("GET", "/v2/a/manifests/latest", headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_push_names_what_it_stored(site: Site) -> None:
    await site.push("a", IMAGE)
    put = {"headers": {"Content-Type": IMAGE.manifest.media_type}}
    by_tag = await site.call("PUT", "/v2/a/manifests/v1", content=IMAGE.manifest.content, **put)
    assert by_tag.headers["Location"] == f"/v2/a/manifests/{IMAGE.digest}"
    assert by_tag.headers["Docker-Content-Digest"] == IMAGE.digest
    assert "OCI-Tag" not in by_tag.headers
    path = f"/v2/a/manifests/{IMAGE.digest}?tag=v2&tag=v3"
    by_digest = await site.call("PUT", path, content=IMAGE.manifest.content, **put)
    assert by_digest.headers["OCI-Tag"] == "v2, v3"
    listed = await site.call("GET", "/v2/a/tags/list")
    assert listed.json() == {"name": "a", "tags": ["v1", "v2", "v3"]}


async def test_an_index_is_pushed_after_its_images(site: Site) -> None:
    index = index_of([IMAGE])
    await site.push("a", IMAGE)
    await site.push_manifest("a", index.manifest, "multi")
    assert (await site.call("GET", "/v2/a/manifests/multi")).content == index.manifest.content


async def test_a_manifest_may_have_a_sha512_digest(site: Site) -> None:
    await site.push("a", IMAGE)
    digest = "sha512:" + hashlib.sha512(IMAGE.manifest.content).hexdigest()
    answer = await site.call(
        "PUT",
        f"/v2/a/manifests/{digest}",
        headers={"Content-Type": IMAGE.manifest.media_type},
        content=IMAGE.manifest.content,
    )
    assert answer.headers["Docker-Content-Digest"] == digest
    assert (await site.call("GET", f"/v2/a/manifests/{digest}")).content == IMAGE.manifest.content


async def test_an_upload_tells_how_far_it_is(site: Site) -> None:
    step = await site.call("PATCH", await site.start("a"), content=BLOB.content[:4])
    assert (step.status_code, step.headers["Range"]) == (202, "0-3")
    answer = await site.call("GET", step.headers["Location"])
    assert (answer.status_code, answer.headers["Range"]) == (204, "0-3")
    assert answer.headers["Docker-Upload-UUID"] in answer.headers["Location"]
    last = f"{answer.headers['Location']}&digest={BLOB.digest}"
    assert (await site.call("PUT", last, content=BLOB.content[4:])).status_code == 201
    assert (await site.call("GET", BLOB_PATH)).content == BLOB.content


PARTS = [
    (None, 200, BLOB.content, None),
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=0-4194303", 206, BLOB.content, "bytes 0-9/10"),
    ("bytes=8-", 206, b"89", "bytes 8-9/10"),
    ("bytes=-2", 206, b"89", "bytes 8-9/10"),
    ("lines=0-3", 200, BLOB.content, None),
]


@pytest.mark.parametrize(("wanted", "status", "body", "place"), PARTS)
async def test_a_blob_is_read_whole_or_in_part(
    site: Site, wanted: str | None, status: int, body: bytes, place: str | None
) -> None:
    await site.push_blob("a", BLOB)
    answer = await site.call("GET", BLOB_PATH, headers={"Range": wanted} if wanted else {})
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("Content-Range") == place
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["Docker-Content-Digest"] == BLOB.digest


async def test_an_empty_blob_is_a_blob(site: Site) -> None:
    empty = blob(b"")
    await site.push_blob("a", empty)
    answer = await site.call("GET", f"/v2/a/blobs/{empty.digest}")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_head_tells_that_a_blob_is_there(site: Site) -> None:
    await site.push_blob("a", BLOB)
    answer = await site.call("HEAD", BLOB_PATH)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "10")
    assert (await site.call("HEAD", BLOB_PATH.replace("/a/", "/b/"))).status_code == 404


@pytest.mark.parametrize("settings", [{"BLOB_REDIRECTS": "true"}], indirect=True)
async def test_a_blob_is_read_from_where_it_lies(site: Site) -> None:
    await site.push_blob("a", BLOB)
    answer = await site.call("GET", BLOB_PATH)
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith("memory:///")
    assert answer.headers["Cache-Control"] == "no-store"
    tail = await site.call("GET", BLOB_PATH, headers={"Range": "bytes=-2"})
    assert (tail.status_code, tail.content) == (206, b"89")


async def test_a_deleted_blob_is_gone(site: Site) -> None:
    await site.push_blob("a", BLOB)
    answer = await site.call("DELETE", BLOB_PATH)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (202, BLOB.digest)
    assert (await site.call("GET", BLOB_PATH)).status_code == 404


async def pages(site: Site, path: str, key: str) -> list[list[str]]:
    found = []
    while path:
        answer = await site.call("GET", path)
        found.append(answer.json()[key])
        path = answer.links.get("next", {}).get("url", "")
        assert path.startswith("/v2/") or not path
    return found


async def test_lists_come_in_pages_that_link_to_the_next(site: Site) -> None:
    for name in ("b", "a/b", "a", "a-b"):
        await site.push(name, IMAGE)
    assert await pages(site, "/v2/_catalog?n=2", "repositories") == [["a", "a-b"], ["a/b", "b"]]
    assert await pages(site, "/v2/_catalog?n=3&last=a", "repositories") == [["a-b", "a/b", "b"]]
    assert await pages(site, "/v2/_catalog?n=0", "repositories") == [[]]
    for tag in ("v2", "v1", "v10"):
        await site.push_manifest("a/b", IMAGE.manifest, tag)
    assert await pages(site, "/v2/a/b/tags/list?n=2", "tags") == [["v1", "v10"], ["v2"]]


async def test_an_empty_registry_has_an_empty_catalog(site: Site) -> None:
    assert (await site.call("GET", "/v2/_catalog")).content == b'{"repositories":[]}\n'


async def test_referrers_are_an_index_in_pages(site: Site) -> None:
    await site.push("a", IMAGE)
    signatures = [artifact("a/sig", b"%d" % number, IMAGE.manifest) for number in range(3)]
    bill = artifact("a/sbom", b"bill", IMAGE.manifest)
    for each in (*signatures, bill):
        await site.push("a", each)
    path = f"/v2/a/referrers/{IMAGE.digest}"
    answer = await site.call("GET", path)
    assert answer.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    assert "OCI-Filters-Applied" not in answer.headers
    assert {entry["digest"] for entry in answer.json()["manifests"]} == {
        each.digest for each in (*signatures, bill)
    }
    filtered = await site.call("GET", f"{path}?artifactType=a/sbom")
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["artifactType"] for entry in filtered.json()["manifests"]] == ["a/sbom"]
    found = await pages(site, f"{path}?n=2&artifactType=a/sig", "manifests")
    assert [len(page) for page in found] == [2, 1]


async def test_a_bare_plus_in_a_filter_is_a_plus(site: Site) -> None:
    await site.push("a", IMAGE)
    for number in range(3):
        bill = artifact("application/spdx+json", b"%d" % number, IMAGE.manifest)
        await site.push("a", bill)
    path = f"/v2/a/referrers/{IMAGE.digest}?n=2&artifactType=application/spdx+json"
    assert [len(page) for page in await pages(site, path, "manifests")] == [2, 1]


async def test_links_write_names_and_digests_as_they_are(site: Site) -> None:
    await site.push("team/app", IMAGE, "v1")
    for number in range(2):
        await site.push("team/app", artifact("a/sig", b"%d" % number, IMAGE.manifest), f"s{number}")
    for path in ("tags/list", f"referrers/{IMAGE.digest}"):
        for name in ("team/app", "team%2Fapp"):
            answer = await site.call("GET", f"/v2/{name}/{path}?n=1")
            following = answer.links["next"]["url"]
            assert following.startswith(f"/v2/team/app/{path}?")


SPELT = [
    ("team%2Fapp/manifests/v1", 200, ""),
    ("team%2fapp/manifests/v1", 200, ""),
    ("team%2Fapp%2Fmanifests%2Fv1", 404, "UNSUPPORTED"),
    ("team%252Fapp/manifests/v1", 200, ""),
    ("team%25252Fapp/manifests/v1", 400, "NAME_INVALID"),
    (f"team/app/manifests/{IMAGE.digest.replace(':', '%3A')}", 200, ""),
    ("team/app/manifests/%76%31", 200, ""),
    ("team/app/manifests/%2576%2531", 400, "TAG_INVALID"),
    ("t%2565am/app/manifests/v1", 400, "NAME_INVALID"),
]


@pytest.mark.parametrize(("path", "status", "code"), SPELT)
async def test_a_path_is_decoded_once(site: Site, path: str, status: int, code: str) -> None:
    await site.push("team/app", IMAGE, "v1")
    answer = await site.call("GET", f"/v2/{path}")
    assert answer.status_code == status
    assert status == 200 or answer.json()["errors"][0]["code"] == code


@pytest.mark.parametrize("media_type", [OCI.manifest.upper(), OCI.manifest.title()])
async def test_a_known_type_is_known_in_any_case(site: Site, media_type: str) -> None:
    for content in IMAGE.blobs:
        await site.push_blob("a", content)
    answer = await site.call(
        "PUT",
        "/v2/a/manifests/v1",
        headers={"Content-Type": media_type},
        content=IMAGE.manifest.content,
    )
    assert answer.status_code == 201
    answer = await site.call("DELETE", f"/v2/a/blobs/{IMAGE.config.digest}")
    assert answer.status_code == 405


@pytest.mark.parametrize(
    "nothing",
    [
        {"layers": None},
        {"layers": None, "annotations": None, "subject": None, "blobs": None},
        {"annotations": {"a": None}},
        {},
    ],
)
async def test_a_manifest_as_go_writes_it_is_taken(site: Site, nothing: dict[str, Any]) -> None:
    await site.push_blob("a", IMAGE.config)
    fields = {"schemaVersion": 2, "mediaType": OCI.manifest, "config": IMAGE.config.descriptor()}
    content = blob(json.dumps({**fields, **nothing}).encode(), OCI.manifest)
    await site.push_manifest("a", content, "v1")
    assert (await site.call("GET", "/v2/a/manifests/v1")).content == content.content
    for list_of_none in ({"manifests": None}, {}):
        fields = {"schemaVersion": 2, "mediaType": OCI.index, **list_of_none}
        index = blob(json.dumps(fields).encode(), OCI.index)
        await site.push_manifest("a", index, "v1")


async def test_a_subject_is_named_in_the_answer(site: Site) -> None:
    signature = artifact("a/sig", b"1", IMAGE.manifest)
    for content in signature.blobs:
        await site.push_blob("a", content)
    answer = await site.call(
        "PUT",
        "/v2/a/manifests/sig",
        headers={"Content-Type": signature.manifest.media_type},
        content=signature.manifest.content,
    )
    assert answer.headers["OCI-Subject"] == IMAGE.digest


async def test_a_subject_that_nobody_names_has_no_referrers(site: Site) -> None:
    answer = await site.call("GET", f"/v2/never/seen/referrers/{IMAGE.digest}")
    assert (answer.status_code, json.loads(answer.content)["manifests"]) == (200, [])


async def test_a_repository_leaves_the_catalog_with_its_last_manifest(site: Site) -> None:
    await site.push("a", IMAGE, "latest")
    await site.deliver()
    assert (await site.call("GET", "/v2/_catalog")).json() == {"repositories": ["a"]}
    assert (await site.call("DELETE", "/v2/a/manifests/latest")).status_code == 202
    await site.deliver()
    assert (await site.call("GET", "/v2/_catalog")).json() == {"repositories": ["a"]}
    assert (await site.call("DELETE", f"/v2/a/manifests/{IMAGE.digest}")).status_code == 202
    await site.deliver()
    assert (await site.call("GET", "/v2/_catalog")).json() == {"repositories": []}
    assert (await site.call("GET", "/v2/a/tags/list")).status_code == 404
