"""Listing tags and referrers."""

import random
import string

import pytest

from tests.conformance.data import NOTE, SBOM, SIGNATURE, DataSet, image, unknown_digest
from tests.conformance.repository import Repository, answered, codes, next_page
from tests.conformance.requirements import shows
from tests.support.images import OCI

TAGS = ["1", "10", "2", "A", "Z", "_x", "a", "a-b", "a.b", "ab", "z"]


@pytest.fixture
def tagged(repository: Repository) -> Repository:
    """A repository with all TAGS."""
    manifest = DataSet().index([])
    shuffled = random.sample(TAGS, len(TAGS))
    assert repository.push_manifest(manifest, tag=shuffled).status_code == 201
    return repository


@shows("tags-1", "tags-2", "tags-3")
def test_tags_are_listed_in_order(tagged: Repository) -> None:
    answer = tagged.ask("GET", "tags/list")
    assert answered(answer) == {"name": tagged.name, "tags": TAGS}
    assert answer.headers["Content-Type"].startswith("application/json")


@shows("tags-1")
def test_a_repository_may_be_without_tags(repository: Repository) -> None:
    assert repository.push_manifest(DataSet().index([])).status_code == 201
    assert repository.tags() == []


@shows("tags-4", "tags-5", "tags-2")
@pytest.mark.parametrize("n", [1, 4, 10, 11, 12])
def test_tags_are_listed_by_pages(tagged: Repository, n: int) -> None:
    found: list[str] = []
    path: str | None = tagged.path(f"tags/list?n={n}")
    while path:
        answer = tagged.http.get(path)
        page = answered(answer)["tags"]
        path = next_page(answer)
        assert len(page) == min(n, len(TAGS) - len(found))
        found += page
    assert found == TAGS


@shows("tags-6")
def test_no_tags_are_asked_for(tagged: Repository) -> None:
    answer = tagged.ask("GET", "tags/list?n=0")
    assert answered(answer)["tags"] == []
    assert "Link" not in answer.headers


@shows("tags-7", "tags-2")
@pytest.mark.parametrize("last", ["1", "A", "a-b", "z", "B", string.ascii_letters, "~"])
def test_tags_are_listed_after_another(tagged: Repository, last: str) -> None:
    following = [tag for tag in TAGS if tag > last]
    assert tagged.tags(n=2, last=last) == following[:2]


@shows("tags-8")
def test_tags_are_listed_after_another_to_the_end(tagged: Repository) -> None:
    assert tagged.tags(last="a-b") == ["a.b", "ab", "z"]


@shows("referrers-1", "referrers-2", "referrers-4", "referrers-9")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("has_content", [True, False])
def test_a_subject_may_be_without_referrers(
    repository: Repository, algorithm: str, has_content: bool
) -> None:
    if has_content:
        repository.push(image())
    answer = repository.ask("GET", f"referrers/{unknown_digest(algorithm)}")
    assert answered(answer) == {"schemaVersion": 2, "mediaType": OCI.index, "manifests": []}
    assert answer.headers["Content-Type"] == OCI.index


@shows("referrers-3")
@pytest.mark.parametrize(
    "digest", ["sha256:baddigeststring", "latest", "sha256:" + "A" * 64, "md5:0"]
)
def test_an_invalid_subject_is_refused(repository: Repository, digest: str) -> None:
    answer = repository.ask("GET", f"referrers/{digest}")
    assert answer.status_code == 400
    assert codes(answer) == ["DIGEST_INVALID"]


@shows("referrers-5", "referrers-6", "referrers-7", "referrers-8")
def test_referrers_are_described(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    link = subject.descriptor()
    config = data.image(subject=link)
    empty = data.image(subject=link, artifactType="")
    artifact = data.artifact(subject=link, annotations=NOTE)
    index = data.index([], subject=link, annotations=NOTE)
    kind = data.index([], subject=link, artifactType=SIGNATURE)
    repository.push(data)
    found = {one["digest"]: one for one in repository.referrers(subject.digest)}
    assert found == {
        config.digest: config.descriptor(artifactType=OCI.config),
        empty.digest: empty.descriptor(artifactType=OCI.config),
        artifact.digest: artifact.descriptor(artifactType=SBOM, annotations=NOTE),
        index.digest: index.descriptor(annotations=NOTE),
        kind.digest: kind.descriptor(artifactType=SIGNATURE),
    }


@shows("referrers-11", "referrers-12")
def test_referrers_are_filtered(repository: Repository) -> None:
    data = DataSet()
    subject = data.image()
    sbom = data.artifact(SBOM, subject=subject.descriptor())
    data.artifact(SIGNATURE, subject=subject.descriptor())
    repository.push(data)
    path = f"referrers/{subject.digest}"
    answer = repository.ask("GET", path, params={"artifactType": SBOM})
    assert [one["digest"] for one in answered(answer)["manifests"]] == [sbom.digest]
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    none = repository.ask("GET", path, params={"artifactType": "application/none"})
    assert answered(none)["manifests"] == []
    assert "OCI-Filters-Applied" not in repository.ask("GET", path).headers


@shows("referrers-10")
@pytest.mark.parametrize("kind", ["", SBOM])
def test_referrers_are_listed_by_pages(repository: Repository, kind: str) -> None:
    data = DataSet()
    subject = data.image()
    for number in range(5):
        note = {"number": str(number)}
        data.index([], subject=subject.descriptor(), artifactType=SBOM, annotations=note)
    data.index([], subject=subject.descriptor(), artifactType=SIGNATURE)
    repository.push(data)
    sizes, found = [], set()
    path: str | None = repository.path(f"referrers/{subject.digest}?n=2&artifactType={kind}")
    while path:
        answer = repository.http.get(path)
        page = answered(answer)["manifests"]
        assert answer.headers["Content-Type"] == OCI.index
        assert answer.headers.get("OCI-Filters-Applied") == ("artifactType" if kind else None)
        path = next_page(answer)
        sizes.append(len(page))
        found |= {one["digest"] for one in page}
    assert sizes == ([2, 2, 1] if kind else [2, 2, 2])
    assert len(found) == sum(sizes)
