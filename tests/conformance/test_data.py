"""Every kind of content: pushed, listed, pulled, deleted."""

import pytest

from tests.conformance.data import DATA, DataSet
from tests.conformance.repository import Repository, located
from tests.conformance.requirements import shows
from tests.support.images import Blob


@shows("all-1", "all-2", "all-3", "pull-5", "pull-8", "manifest-2", "manifest-3")
@shows("subject-1", "enable-2", "referrers-5", "referrers-6", "referrers-7", "referrers-8")
@pytest.mark.parametrize("name", DATA)
def test_content_is_pushed_listed_pulled_and_deleted(name: str, repository: Repository) -> None:
    data = DATA[name]()
    push(repository, data)
    assert repository.tags() == sorted(data.tags) if data.tags else True
    for reference, manifest in references(data).items():
        check_manifest(repository, reference, manifest)
    for blob in data.blobs:
        check_blob(repository, blob)
    for subject, descriptors in data.referrers.items():
        assert by_digest(repository.referrers(subject)) == by_digest(descriptors)
    delete(repository, data)


def push(repository: Repository, data: DataSet) -> None:
    for blob in data.blobs:
        repository.push_blob(blob.content, blob.digest)
    for reference, manifest in references(data).items():
        answer = repository.push_manifest(manifest, reference)
        at = located(answer, 201)
        assert answer.headers["Docker-Content-Digest"] == manifest.digest
        assert repository.http.get(at).content == manifest.content
        subject = [one for one, listed in data.referrers.items() if refers(listed, manifest)]
        assert answer.headers.get("OCI-Subject") == (subject[0] if subject else None)


def check_manifest(repository: Repository, reference: str, manifest: Blob) -> None:
    head = repository.ask("HEAD", f"manifests/{reference}")
    answer = repository.ask("GET", f"manifests/{reference}")
    for each in (head, answer):
        assert each.status_code == 200
        assert each.headers["Docker-Content-Digest"] == manifest.digest
        assert each.headers["Content-Type"] == manifest.media_type
        assert int(each.headers["Content-Length"]) == manifest.size
    assert answer.content == manifest.content


def check_blob(repository: Repository, blob: Blob) -> None:
    head = repository.ask("HEAD", f"blobs/{blob.digest}")
    answer = repository.ask("GET", f"blobs/{blob.digest}")
    for each in (head, answer):
        assert each.status_code == 200
        assert each.headers["Docker-Content-Digest"] == blob.digest
        assert int(each.headers["Content-Length"]) == blob.size
    assert answer.content == blob.content


def delete(repository: Repository, data: DataSet) -> None:
    manifests = [manifest.digest for manifest in reversed(data.manifests)]
    blobs = dict.fromkeys(blob.digest for blob in data.blobs)
    paths = [f"manifests/{name}" for name in (*data.tags, *manifests)]
    for path in (*paths, *(f"blobs/{digest}" for digest in blobs)):
        assert repository.status(path, "DELETE") == 202
        assert repository.status(path) == 404
    for subject in data.referrers:
        assert repository.referrers(subject) == []


def references(data: DataSet) -> dict[str, Blob]:
    return {manifest.digest: manifest for manifest in data.manifests} | data.tags


def refers(listed: list[dict[str, object]], manifest: Blob) -> bool:
    return any(descriptor["digest"] == manifest.digest for descriptor in listed)


def by_digest(descriptors: list[dict[str, object]]) -> dict[object, dict[str, object]]:
    return {descriptor["digest"]: descriptor for descriptor in descriptors}
