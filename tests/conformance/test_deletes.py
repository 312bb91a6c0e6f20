"""Deleting tags, manifests and blobs."""

import secrets

import pytest

from tests.conformance.data import UNKNOWN, DataSet, image, subject
from tests.conformance.repository import Repository, codes
from tests.conformance.requirements import shows


@shows("delete-1")
def test_a_tag_is_deleted_and_its_manifest_stays(repository: Repository) -> None:
    data = image()
    repository.push(data)
    assert repository.status("manifests/image", "DELETE") == 202
    assert repository.status("manifests/image", "GET") == 404
    assert repository.status(f"manifests/{data.manifests[0].digest}", "GET") == 200
    assert repository.tags() == []
    assert repository.status("manifests/image", "DELETE") == 404


@shows("delete-2", "delete-4")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_manifest_is_deleted_with_its_tags(repository: Repository, algorithm: str) -> None:
    data = DataSet(algorithm=algorithm)
    manifest, other = data.index([]), data.index([], annotations={"an": "other"})
    repository.push_manifest(other, "other")
    repository.push_manifest(manifest, tag=["v1", "v2"])
    assert repository.status(f"manifests/{manifest.digest}", "DELETE") == 202
    for reference in (manifest.digest, "v1", "v2"):
        assert repository.status(f"manifests/{reference}", "GET") == 404
        assert repository.status(f"manifests/{reference}", "DELETE") == 404
    assert repository.tags() == ["other"]


@shows("delete-2")
def test_a_deleted_referrer_is_listed_no_more(repository: Repository) -> None:
    data = subject()
    repository.push(data)
    ((target, descriptors),) = data.referrers.items()
    for place, descriptor in enumerate(descriptors):
        assert len(repository.referrers(target)) == len(descriptors) - place
        assert repository.status(f"manifests/{descriptor['digest']}", "DELETE") == 202
    assert repository.referrers(target) == []


@shows("delete-3")
@pytest.mark.parametrize(
    "rest", ["manifests/latest", f"manifests/{UNKNOWN[0]}", f"blobs/{UNKNOWN[0]}"]
)
def test_a_missing_repository_is_not_found(repository: Repository, rest: str) -> None:
    assert repository.status(rest, "DELETE") == 404


@shows("delete-5", "delete-6")
def test_a_blob_is_deleted_here_and_stays_elsewhere(repository: Repository) -> None:
    content, other = secrets.token_bytes(64), repository.other()
    digest = repository.push_blob(content)
    other.push_blob(content)
    assert repository.status(f"blobs/{digest}", "DELETE") == 202
    assert repository.status(f"blobs/{digest}", "GET") == 404
    assert repository.status(f"blobs/{digest}", "HEAD") == 404
    assert codes(repository.ask("DELETE", f"blobs/{digest}")) == ["BLOB_UNKNOWN"]
    assert other.ask("GET", f"blobs/{digest}").content == content


@shows("delete-2", "manifest-4")
def test_deleted_content_is_pushed_again(repository: Repository) -> None:
    data = image()
    for _ in range(2):
        repository.push(data)
        assert repository.tags() == ["image"]
        for name in (f"manifests/{data.manifests[0].digest}", f"blobs/{data.blobs[0].digest}"):
            assert repository.status(name, "GET") == 200
            assert repository.status(name, "DELETE") == 202
            assert repository.status(name, "GET") == 404
