"""Pushing manifests."""

import secrets

import pytest

from tests.conformance.data import UNKNOWN, DataSet, artifact, image, sparse
from tests.conformance.repository import Repository, codes, located
from tests.conformance.requirements import shows
from tests.support.images import OCI, Blob, document

MEGABYTE = 1_000_000


@shows("manifest-3", "manifest-4", "manifest-5")
def test_a_manifest_is_kept_to_the_byte(repository: Repository) -> None:
    data = DataSet()
    untidy = b'{ "schemaVersion" : 2,\n\t"manifests": [ ],  "x": 1.0e3, "x": "\\u00e4" }\n'
    manifest = data.named(untidy, OCI.index)
    for reference in (manifest.digest, "untidy"):
        answer = repository.push_manifest(manifest, reference)
        assert answer.headers["Docker-Content-Digest"] == manifest.digest
        assert repository.http.get(located(answer, 201)).content == manifest.content


@shows("manifest-1")
def test_parameters_of_the_content_type_are_ignored(repository: Repository) -> None:
    manifest = DataSet().index([])
    headers = {"Content-Type": f"{OCI.index}; charset=utf-8"}
    located(repository.push_manifest(manifest, "v1", headers), 201)
    assert repository.ask("GET", "manifests/v1").headers["Content-Type"] == OCI.index


@shows("manifest-5", "push-3")
@pytest.mark.parametrize("reference", [*UNKNOWN, "sha256:baddigeststring", "md5:00"])
def test_a_wrong_or_invalid_digest_is_refused(repository: Repository, reference: str) -> None:
    manifest = DataSet().index([])
    answer = repository.push_manifest(manifest, reference)
    assert answer.status_code == 400
    assert codes(answer) == ["DIGEST_INVALID"]
    assert repository.status(f"manifests/{manifest.digest}") == 404


@shows("manifest-6", "manifest-8")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_manifest_is_pushed_with_tags(repository: Repository, algorithm: str) -> None:
    manifest = DataSet(algorithm=algorithm).index([])
    tags = [f"1.{number}" for number in range(10)] + ["latest"]
    answer = repository.push_manifest(manifest, tag=tags)
    located(answer, 201)
    assert sorted(answer.headers["OCI-Tag"].replace(",", " ").split()) == sorted(tags)
    assert repository.tags() == sorted(tags)
    for tag in tags:
        head = repository.ask("HEAD", f"manifests/{tag}")
        assert head.headers["Docker-Content-Digest"] == manifest.digest


@shows("manifest-7")
def test_too_many_tags_are_refused_together(repository: Repository) -> None:
    manifest = DataSet().index([])
    answer = repository.push_manifest(manifest, tag=[f"t{number}" for number in range(60)])
    assert answer.status_code == 414
    assert repository.status(f"manifests/{manifest.digest}") == 404


@shows("manifest-8")
def test_an_invalid_tag_refuses_the_push(repository: Repository) -> None:
    manifest = DataSet().index([])
    assert repository.push_manifest(manifest, tag=["good", "b@d"]).status_code == 400
    assert repository.status(f"manifests/{manifest.digest}") == 404


@shows("manifest-10")
def test_a_manifest_over_the_limit_is_refused(repository: Repository) -> None:
    answer = repository.push_manifest(index_of_size(5 * MEGABYTE), "large")
    assert answer.status_code == 413


@shows("manifest-11")
def test_a_manifest_of_4_megabytes_is_taken(repository: Repository) -> None:
    manifest = index_of_size(4 * MEGABYTE)
    located(repository.push_manifest(manifest, "large"), 201)
    assert repository.ask("GET", "manifests/large").content == manifest.content


@shows("push-1", "subject-1")
@pytest.mark.parametrize("is_subject_first", [True, False])
def test_subject_and_referrer_are_pushed_in_either_order(
    repository: Repository, is_subject_first: bool
) -> None:
    subject = image()
    target = subject.manifests[0]
    link = DataSet()
    referrer = link.artifact(subject=target.descriptor())
    first, second = (subject, link) if is_subject_first else (link, subject)
    repository.push(first)
    repository.push(second)
    answer = repository.push_manifest(referrer)
    assert answer.headers["OCI-Subject"] == target.digest
    assert [one["digest"] for one in repository.referrers(target.digest)] == [referrer.digest]


@shows("subject-1")
def test_a_manifest_without_a_subject_names_none(repository: Repository) -> None:
    data = artifact()
    repository.push(data)
    assert "OCI-Subject" not in repository.push_manifest(data.manifests[0]).headers


@shows("push-2")
@pytest.mark.parametrize("what", [0, 1])
def test_a_manifest_of_missing_content_is_refused(plain_repository: Repository, what: int) -> None:
    data = sparse()
    broken = [data.manifests[0], data.manifests[2]][what]
    for blob in data.blobs:
        plain_repository.push_blob(blob.content, blob.digest)
    located(plain_repository.push_manifest(data.manifests[1]), 201)
    answer = plain_repository.push_manifest(broken)
    assert answer.status_code == 404
    assert set(codes(answer)) == {"MANIFEST_BLOB_UNKNOWN"}
    assert plain_repository.status(f"manifests/{broken.digest}") == 404


@shows("push-1")
def test_a_missing_subject_is_no_missing_content(plain_repository: Repository) -> None:
    data = DataSet()
    absent = data.named(secrets.token_bytes(9), OCI.manifest)
    data.artifact(subject=absent.descriptor())
    plain_repository.push(data)
    assert len(plain_repository.referrers(absent.digest)) == 1


def index_of_size(size: int) -> Blob:
    fields = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": [], "filler": ""}
    missing = size - document(fields, OCI.index).size
    return document({**fields, "filler": "A" * missing}, OCI.index)
