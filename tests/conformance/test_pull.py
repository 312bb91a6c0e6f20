"""Pulling manifests and blobs, and asking whether they are there."""

import secrets

import pytest

from tests.conformance.data import UNKNOWN, DataSet, digest_of, image, unknown_digest
from tests.conformance.repository import Repository, codes, located
from tests.conformance.requirements import shows
from tests.support.images import OCI

ALGORITHMS = ["sha256", "sha512"]


@shows("pull-3", "pull-4", "pull-5", "pull-6")
@pytest.mark.parametrize("is_by_tag", [True, False])
def test_a_manifest_is_pulled_as_it_was_pushed(repository: Repository, is_by_tag: bool) -> None:
    data = image()
    repository.push(data)
    manifest = data.manifests[0]
    answer = repository.ask("GET", f"manifests/{'image' if is_by_tag else manifest.digest}")
    assert answer.status_code == 200
    assert answer.content == manifest.content
    assert answer.headers["Docker-Content-Digest"] == manifest.digest
    assert answer.headers["Content-Type"] == OCI.manifest


@shows("pull-7", "head-4")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["missing", *UNKNOWN])
def test_a_missing_manifest_is_not_found(
    repository: Repository, method: str, reference: str
) -> None:
    repository.push(image())
    answer = repository.ask(method, f"manifests/{reference}")
    assert answer.status_code == 404
    assert method == "HEAD" or codes(answer) == ["MANIFEST_UNKNOWN"]


@shows("manifest-9")
@pytest.mark.parametrize("rest", ["manifests/latest", f"manifests/{UNKNOWN[0]}"])
def test_a_missing_repository_is_not_found(repository: Repository, rest: str) -> None:
    assert repository.ask("GET", rest).status_code == 404


@shows("pull-8", "pull-9", "pull-10")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 2, 100_000])
def test_a_blob_is_pulled_as_it_was_pushed(
    repository: Repository, algorithm: str, size: int
) -> None:
    content = secrets.token_bytes(size)
    digest = repository.push_blob(content, digest_of(content, algorithm))
    answer = repository.ask("GET", f"blobs/{digest}")
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["Docker-Content-Digest"] == digest_of(answer.content, algorithm)


@shows("pull-11", "head-4")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_missing_blob_is_not_found(repository: Repository, method: str, algorithm: str) -> None:
    repository.push(image())
    answer = repository.ask(method, f"blobs/{unknown_digest(algorithm)}")
    assert answer.status_code == 404
    assert method == "HEAD" or codes(answer) == ["BLOB_UNKNOWN"]


@shows("pull-11")
def test_a_blob_of_another_repository_is_not_found(repository: Repository) -> None:
    digest = repository.other().push_blob(secrets.token_bytes(32))
    assert repository.ask("GET", f"blobs/{digest}").status_code == 404


@shows("head-1", "head-2", "head-3")
def test_a_head_tells_digest_and_size(repository: Repository) -> None:
    data = image()
    repository.push(data)
    manifest, blob = data.manifests[0], data.blobs[0]
    for rest, named in (
        ("manifests/image", manifest),
        (f"manifests/{manifest.digest}", manifest),
        (f"blobs/{blob.digest}", blob),
    ):
        answer = repository.ask("HEAD", rest)
        assert answer.status_code == 200
        assert answer.headers["Docker-Content-Digest"] == named.digest
        assert answer.headers["Content-Length"] == str(named.size)
        assert answer.content == b""


@shows("pull-12")
@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("500-1499", (500, 1500)),
        ("500-", (500, 2048)),
        ("-500", (1548, 2048)),
        ("2000-5000", (2000, 2048)),
    ],
)
def test_a_part_of_a_blob_is_pulled(
    repository: Repository, asked: str, part: tuple[int, int]
) -> None:
    content = secrets.token_bytes(2048)
    digest = repository.push_blob(content)
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.content == content[slice(*part)]
    assert answer.headers["Content-Range"] == f"bytes {part[0]}-{part[1] - 1}/2048"


@shows("pull-12")
@pytest.mark.parametrize("asked", ["500-0", "5000-10000", "2048-"])
def test_a_part_outside_of_the_blob_is_refused(repository: Repository, asked: str) -> None:
    digest = repository.push_blob(secrets.token_bytes(2048))
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 416


@shows("pull-1")
@pytest.mark.parametrize(
    "name", ["a", "0", "a.b", "a_b", "a__b", "a-b", "a---b/c.d/e__f", "a" * 229]
)
def test_names_of_the_grammar_are_taken(repository: Repository, name: str) -> None:
    named = Repository(
        repository.http,
        f"{repository.name}/{name}"[:229] if len(name) > 9 else f"{repository.name}/{name}",
    )
    content = secrets.token_bytes(8)
    assert named.status(f"blobs/{named.push_blob(content)}") == 200


@shows("pull-1")
@pytest.mark.parametrize("name", ["A", "a..b", "a___b", "-a", "a-", "a//b", "a/", "_a", "a b", "ä"])
def test_other_names_are_refused(repository: Repository, name: str) -> None:
    named = Repository(repository.http, f"conformance/{name}")
    assert named.start().status_code in {400, 404}
    assert named.ask("GET", "manifests/latest").status_code in {400, 404}


@shows("pull-2")
@pytest.mark.parametrize("tag", ["a", "_", "A.b-c_d", "v1.2.3", "0" * 128])
def test_tags_of_the_grammar_are_taken(repository: Repository, tag: str) -> None:
    repository.push_manifest_of_nothing(tag)
    assert repository.tags() == [tag]


@shows("pull-2")
@pytest.mark.parametrize("tag", [".a", "-a", "a" * 129, "a b", "a+b", "ä", "a!"])
def test_other_tags_are_refused(repository: Repository, tag: str) -> None:
    data = DataSet()
    manifest = data.index([])
    located(repository.push_manifest(manifest), 201)
    assert repository.push_manifest(manifest, tag).status_code in {400, 404}
    assert repository.tags() == []
