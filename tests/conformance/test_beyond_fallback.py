"""The fallback tags of clients that do not know the referrers API, kept in step with that API.

Such a client pushes a referrer, reads the index under the tag `sha256-…` of the subject, adds a
descriptor to it where that is not there yet, and pushes it. The registry lists each referrer by its
own subject, and brings the index in step with that a moment later.
"""

import pytest

from tests.conformance.data import SBOM, SIGNATURE, DataSet
from tests.conformance.repository import Repository, located
from tests.conformance.requirements import shows
from tests.support.images import OCI, Blob, Json, document
from tests.support.waiting import until
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)


def fallback_tag(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def digests(descriptors: list[Json]) -> set[object]:
    return {one["digest"] for one in descriptors}


class OldClient:
    """A client that keeps the list of referrers itself, with a condition on the tag."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def listed(self, subject: str) -> list[Json]:
        found = self._repository.ask("GET", f"manifests/{fallback_tag(subject)}")
        return list(found.json()["manifests"]) if found.status_code == 200 else []

    def keep(self, subject: str, descriptors: list[Json], etag: str = "") -> int:
        fields = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": descriptors}
        headers = {"If-Match": etag} if etag else {}
        index = document(fields, OCI.index)
        return self._repository.push_manifest(index, fallback_tag(subject), headers).status_code

    def attach(self, data: DataSet, referrer: Blob, **shown: object) -> None:
        subject = next(one for one in data.manifests if one is not referrer)
        self._repository.push(data)
        listed = self.listed(subject.digest)
        if referrer.digest not in digests(listed):
            assert self.keep(subject.digest, [*listed, referrer.descriptor(**shown)]) == 201


@shows("fallback-1", "fallback-2", "enable-1")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_tag_and_api_list_the_same(repository: Repository, algorithm: str) -> None:
    old = OldClient(repository)
    subject = DataSet(algorithm=algorithm).index([], annotations={"a": "subject"})
    for kind in (SBOM, SIGNATURE):
        data = DataSet(manifests=[subject])
        referrer = data.artifact(kind, subject=subject.descriptor())
        old.attach(data, referrer, artifactType=kind)
    by_tag = old.listed(subject.digest)
    by_api = repository.referrers(subject.digest)
    assert len(by_api) == 2
    assert sorted(map(str, by_tag)) == sorted(map(str, by_api))
    assert fallback_tag(subject.digest) in repository.tags()


@shows("enable-1")
def test_what_the_tag_lists_without_a_subject_is_no_referrer_and_stays(
    repository: Repository,
) -> None:
    data = DataSet()
    subject, stranger = data.image(), data.artifact()
    referrer = data.artifact(SBOM, subject=subject.descriptor())
    old = OldClient(repository)
    old.attach(data, stranger, artifactType=SBOM)
    until(lambda: digests(old.listed(subject.digest)) == {stranger.digest, referrer.digest})
    assert digests(repository.referrers(subject.digest)) == {referrer.digest}


@shows("enable-1", "enable-2")
def test_a_referrer_of_a_newer_client_comes_under_the_tag(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    known = data.artifact(SBOM, subject=subject.descriptor())
    old = OldClient(repository)
    old.attach(data, known, artifactType=SBOM)
    newer = data.artifact(SIGNATURE, subject=subject.descriptor())
    repository.push(data)
    by_api = repository.referrers(subject.digest)
    assert digests(by_api) == {known.digest, newer.digest}
    until(lambda: len(old.listed(subject.digest)) == 2)
    assert sorted(map(str, old.listed(subject.digest))) == sorted(map(str, by_api))


@shows("fallback-2", "delete-2")
def test_a_deleted_referrer_goes_from_the_api_and_from_under_the_tag(
    repository: Repository,
) -> None:
    data = DataSet()
    subject = data.image()
    referrer = data.artifact(subject=subject.descriptor())
    old = OldClient(repository)
    old.attach(data, referrer, artifactType=SBOM)
    assert repository.status(f"manifests/{referrer.digest}", "DELETE") == 202
    assert repository.referrers(subject.digest) == []
    until(lambda: old.listed(subject.digest) == [])


@shows("fallback-2", "delete-1")
def test_without_its_tag_the_api_lists_the_same(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    referrer = data.artifact(subject=subject.descriptor())
    OldClient(repository).attach(data, referrer, artifactType=SBOM)
    assert repository.status(f"manifests/{fallback_tag(subject.digest)}", "DELETE") == 202
    assert digests(repository.referrers(subject.digest)) == {referrer.digest}


@shows("fallback-3")
def test_of_two_old_clients_the_later_must_read_again(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    first = data.artifact(SBOM, subject=subject.descriptor())
    second = data.artifact(SIGNATURE, subject=subject.descriptor())
    old = OldClient(repository)
    repository.push(data)
    both = [first.descriptor(), second.descriptor()]
    assert old.keep(subject.digest, both) == 201
    etag = repository.ask("HEAD", f"manifests/{fallback_tag(subject.digest)}").headers["ETag"]
    assert old.keep(subject.digest, [*reversed(both)], etag) == 201
    assert old.keep(subject.digest, [second.descriptor()], etag) == 412
    assert old.listed(subject.digest) == [*reversed(both)]


@shows("fallback-1")
def test_a_tag_of_the_schema_is_none_of_ours_to_make(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    located(Repository.push_manifest(repository, data.index([], subject=subject.descriptor())), 201)
    assert repository.status(f"manifests/{fallback_tag(subject.digest)}") == 404
