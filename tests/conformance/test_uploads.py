"""Pushing blobs at once, mounting and cancelling them."""

import secrets
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conformance.conftest import hosted
from tests.conformance.data import digest_of, unknown_digest
from tests.conformance.repository import Repository, codes, located
from tests.conformance.requirements import shows
from tests.support.ways import Way, client

ALGORITHMS = ["sha256", "sha512"]
INVALID = [
    "sha256:baddigeststring",
    "sha256:" + "0" * 63,
    "sha256:" + "G" * 64,
    "md5:" + "0" * 32,
    "nothing",
    "",
]


@shows("push-4", "push-5")
def test_an_upload_starts_with_a_session(repository: Repository) -> None:
    paths = {urlsplit(repository.location()).path for _ in range(2)}
    assert len(paths) == 2
    for path in paths:
        assert path.startswith(repository.path("blobs/uploads/"))
        assert uuid.UUID(path.rpartition("/")[2]).version == 4


@shows("push-6")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 512])
def test_a_blob_is_pushed_with_post_and_put(
    repository: Repository, algorithm: str, size: int
) -> None:
    content = secrets.token_bytes(size)
    digest = digest_of(content, algorithm)
    answer = repository.finish(repository.location(), digest, content)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert repository.http.get(located(answer, 201)).content == content


@shows("push-7")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 512])
def test_a_blob_is_pushed_with_a_single_post(
    repository: Repository, algorithm: str, size: int
) -> None:
    content = secrets.token_bytes(size)
    digest = digest_of(content, algorithm)
    answer = repository.ask("POST", "blobs/uploads/", params={"digest": digest}, content=content)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert repository.http.get(located(answer, 201)).content == content


@shows("push-3", "push-8")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_wrong_digest_is_refused_and_nothing_is_stored(
    repository: Repository, algorithm: str
) -> None:
    content, wrong = secrets.token_bytes(512), unknown_digest(algorithm)
    post = repository.ask("POST", "blobs/uploads/", params={"digest": wrong}, content=content)
    put = repository.finish(repository.location(), wrong, content)
    location = located(repository.append(repository.location(), content), 202)
    streamed = repository.finish(location, wrong)
    for answer in (post, put, streamed):
        assert answer.status_code == 400
        assert codes(answer) == ["DIGEST_INVALID"]
    assert repository.status(f"blobs/{wrong}") == 404
    assert repository.status(f"blobs/{digest_of(content, algorithm)}") == 404


@shows("push-3")
@pytest.mark.parametrize("digest", INVALID)
def test_an_invalid_digest_is_refused(repository: Repository, digest: str) -> None:
    assert repository.finish(repository.location(), digest, b"content").status_code == 400
    if digest:
        post = repository.ask("POST", "blobs/uploads/", params={"digest": digest}, content=b"a")
        assert post.status_code == 400
        assert codes(post) == ["DIGEST_INVALID"]
        assert repository.start(mount=digest).status_code == 400


@shows("cancel-1")
def test_an_upload_is_cancelled(repository: Repository) -> None:
    location = located(repository.append(repository.location(), b"some"), 202)
    assert repository.http.delete(location).status_code == 204
    assert repository.http.get(location).status_code == 404
    assert repository.finish(location, digest_of(b"some", "sha256")).status_code == 404
    assert repository.http.delete(location).status_code == 404


@shows("mount-1")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_is_mounted_from_another_repository(repository: Repository, algorithm: str) -> None:
    content, source = secrets.token_bytes(512), repository.other()
    digest = source.push_blob(content, digest_of(content, algorithm))
    answer = repository.start(mount=digest, **{"from": source.name})
    assert answer.headers["Docker-Content-Digest"] == digest
    assert repository.http.get(located(answer, 201)).content == content
    assert source.status(f"blobs/{digest}", "DELETE") == 202
    assert repository.status(f"blobs/{digest}") == 200


@shows("mount-2")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_is_mounted_from_wherever_it_is(repository: Repository, algorithm: str) -> None:
    content = secrets.token_bytes(512)
    digest = repository.other().push_blob(content, digest_of(content, algorithm))
    assert repository.http.get(located(repository.start(mount=digest), 201)).content == content


@shows("mount-3")
@pytest.mark.parametrize("has_source", [True, False])
def test_a_mount_of_what_is_not_there_becomes_an_upload(
    repository: Repository, has_source: bool
) -> None:
    content = secrets.token_bytes(512)
    digest = digest_of(content, "sha256")
    source = {"from": repository.other().name} if has_source else {}
    answer = repository.finish(repository.location(mount=digest, **source), digest, content)
    assert repository.http.get(located(answer, 201)).content == content


@shows("cancel-2")
@pytest.mark.parametrize("way", [Way.BASIC], indirect=True)
def test_unfinished_uploads_end(way: Way, settings: dict[str, str], logs: Path) -> None:
    with (
        hosted({**settings, "REGISTRY_UPLOAD_SECONDS": "1"}, logs) as registry,
        client(way, registry) as http,
    ):
        location = Repository(http).location()
        assert http.get(location).status_code == 204
        time.sleep(2.1)
        assert http.get(location).status_code == 404
        assert codes(http.patch(location, content=b"late")) == ["BLOB_UPLOAD_UNKNOWN"]
