"""The fallback tags of clients that do not know the referrers API, beside that API.

Such a client pushes a referrer, reads the index under the tag `sha256-…` of the subject, adds a
descriptor to it, and pushes it. The registry keeps the index as any other, and lists each referrer
by its own subject; so the two agree as long as what the tag lists was pushed.
"""

import pytest

from tests.conformance.data import SBOM, SIGNATURE, DataSet
from tests.conformance.repository import Repository, located
from tests.conformance.requirements import shows
from tests.support.images import OCI, Blob, Json, document
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)


def fallback_tag(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


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
        descriptors = [*self.listed(subject.digest), referrer.descriptor(**shown)]
        assert self.keep(subject.digest, descriptors) == 201


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
def test_what_the_tag_lists_without_a_subject_is_no_referrer(repository: Repository) -> None:
    data = DataSet()
    subject, stranger = data.image(), data.artifact()
    OldClient(repository).attach(data, stranger, artifactType=SBOM)
    assert repository.referrers(subject.digest) == []


@shows("enable-1", "enable-2")
def test_a_referrer_that_the_tag_does_not_list_is_in_the_api(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    known = data.artifact(SBOM, subject=subject.descriptor())
    old = OldClient(repository)
    old.attach(data, known, artifactType=SBOM)
    newer = data.artifact(SIGNATURE, subject=subject.descriptor())
    repository.push(data)
    assert {one["digest"] for one in old.listed(subject.digest)} == {known.digest}
    found = {one["digest"] for one in repository.referrers(subject.digest)}
    assert found == {known.digest, newer.digest}


@shows("fallback-2", "delete-2")
def test_a_deleted_referrer_is_out_of_the_api_whatever_the_tag_lists(
    repository: Repository,
) -> None:
    data = DataSet()
    subject = data.image()
    referrer = data.artifact(subject=subject.descriptor())
    old = OldClient(repository)
    old.attach(data, referrer, artifactType=SBOM)
    assert repository.status(f"manifests/{referrer.digest}", "DELETE") == 202
    assert repository.referrers(subject.digest) == []
    assert len(old.listed(subject.digest)) == 1
    assert old.keep(subject.digest, []) == 201
    assert old.listed(subject.digest) == []


@shows("fallback-2", "delete-1")
def test_without_its_tag_the_api_lists_the_same(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    referrer = data.artifact(subject=subject.descriptor())
    OldClient(repository).attach(data, referrer, artifactType=SBOM)
    assert repository.status(f"manifests/{fallback_tag(subject.digest)}", "DELETE") == 202
    assert [one["digest"] for one in repository.referrers(subject.digest)] == [referrer.digest]


@shows("fallback-3")
def test_of_two_old_clients_the_later_must_read_again(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    first = data.artifact(SBOM, subject=subject.descriptor())
    second = data.artifact(SIGNATURE, subject=subject.descriptor())
    old = OldClient(repository)
    old.attach(data, first, artifactType=SBOM)
    etag = repository.ask("HEAD", f"manifests/{fallback_tag(subject.digest)}").headers["ETag"]
    both = [first.descriptor(), second.descriptor()]
    assert old.keep(subject.digest, both, etag) == 201
    assert old.keep(subject.digest, [second.descriptor()], etag) == 412
    assert len(old.listed(subject.digest)) == 2


@shows("fallback-1")
def test_a_tag_of_the_schema_is_none_of_ours_to_make(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    located(Repository.push_manifest(repository, data.index([], subject=subject.descriptor())), 201)
    assert repository.status(f"manifests/{fallback_tag(subject.digest)}") == 404
