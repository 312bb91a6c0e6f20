"""Pushing blobs in parts."""

import secrets

import pytest

from tests.conformance.data import digest_of
from tests.conformance.repository import Repository, codes, located
from tests.conformance.requirements import shows

ALGORITHMS = ["sha256", "sha512"]
PART = 1000


@shows("chunk-2")
def test_the_shortest_part_is_announced(repository: Repository) -> None:
    assert int(repository.start().headers["OCI-Chunk-Min-Length"]) > 0


@shows("chunk-1", "chunk-3", "chunk-4", "chunk-6", "chunk-7")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("ends_with_put", [True, False])
def test_a_blob_is_pushed_in_parts(
    repository: Repository, algorithm: str, is_announced: bool, ends_with_put: bool
) -> None:
    content = secrets.token_bytes(3 * PART - 5)
    location = repository.location(**({"digest-algorithm": algorithm} if is_announced else {}))
    parts = [(0, PART), (PART, 2 * PART), (2 * PART, len(content))]
    for start, stop in parts[: 2 if ends_with_put else 3]:
        answer = repository.append(location, content[start:stop], f"{start}-{stop - 1}")
        location = located(answer, 202)
        assert answer.headers["Range"] == f"0-{stop - 1}"
    start, stop = parts[-1]
    digest = digest_of(content, algorithm)
    last = (content[start:stop], f"{start}-{stop - 1}") if ends_with_put else ()
    answer = repository.finish(location, digest, *last)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert repository.http.get(located(answer, 201)).content == content


@shows("chunk-3", "chunk-7")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_blob_is_streamed(repository: Repository, algorithm: str, size: int) -> None:
    pieces = [secrets.token_bytes(PART) for _ in range(size)]
    location = located(repository.append(repository.location(), pieces), 202)
    content = b"".join(pieces)
    answer = repository.finish(location, digest_of(content, algorithm))
    assert repository.http.get(located(answer, 201)).content == content


@shows("chunk-5", "chunk-9")
@pytest.mark.parametrize("start", [0, 1, PART - 1, PART + 1, 10 * PART])
def test_a_part_out_of_order_is_refused_and_the_upload_goes_on(
    repository: Repository, start: int
) -> None:
    content = secrets.token_bytes(2 * PART)
    location = located(repository.append(repository.location(), content[:PART], "0-999"), 202)
    wrong = repository.append(location, content[PART:], f"{start}-{start + PART - 1}")
    assert wrong.status_code == 416
    status = repository.http.get(location)
    assert status.headers["Range"] == f"0-{PART - 1}"
    location = located(status, 204)
    location = located(repository.append(location, content[PART:], "1000-1999"), 202)
    answer = repository.finish(location, digest_of(content, "sha256"))
    assert repository.http.get(located(answer, 201)).content == content


@shows("chunk-8", "chunk-9")
@pytest.mark.parametrize("start", [0, PART + 1])
def test_a_last_part_out_of_order_is_refused_and_the_upload_goes_on(
    repository: Repository, start: int
) -> None:
    content = secrets.token_bytes(2 * PART)
    digest = digest_of(content, "sha256")
    location = located(repository.append(repository.location(), content[:PART]), 202)
    wrong = repository.finish(location, digest, content[PART:], f"{start}-{start + PART - 1}")
    assert wrong.status_code == 416
    location = located(repository.http.get(location), 204)
    answer = repository.finish(location, digest, content[PART:], "1000-1999")
    assert repository.http.get(located(answer, 201)).content == content


@shows("chunk-5")
def test_a_first_part_must_begin_at_nought(repository: Repository) -> None:
    assert repository.append(repository.location(), b"abc", "1-3").status_code == 416


@shows("chunk-9")
def test_the_status_of_an_upload_is_told(repository: Repository) -> None:
    location = repository.location()
    fresh = repository.http.get(location)
    located(fresh, 204)
    assert fresh.headers["Range"] == "0-0"
    location = located(repository.append(location, b"0123456789"), 202)
    status = repository.http.get(location)
    assert status.status_code == 204
    assert status.headers["Range"] == "0-9"


@shows("chunk-9")
def test_a_finished_upload_is_unknown(repository: Repository) -> None:
    content = secrets.token_bytes(PART)
    location = located(repository.append(repository.location(), content), 202)
    located(repository.finish(location, digest_of(content, "sha256")), 201)
    status = repository.http.get(location)
    assert status.status_code == 404
    assert codes(status) == ["BLOB_UPLOAD_UNKNOWN"]


@shows("push-3")
@pytest.mark.parametrize("algorithm", ["md5", "sha1", "SHA256", "sha256:"])
def test_an_unknown_algorithm_is_refused(repository: Repository, algorithm: str) -> None:
    assert repository.start(**{"digest-algorithm": algorithm}).status_code == 400
