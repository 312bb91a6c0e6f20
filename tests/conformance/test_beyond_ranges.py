"""Parts of blobs, served by the registry and through the redirect, and parts that are pushed."""

import secrets

import httpx
import pytest

from tests.conformance.data import digest_of
from tests.conformance.repository import Repository, located
from tests.conformance.requirements import shows
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)

SIZE = 2048
PARTS = {
    "bytes=0-0": (0, 1),
    "bytes=0-": (0, SIZE),
    "bytes=5-9": (5, 10),
    "bytes=2047-": (2047, SIZE),
    "bytes=0-4194303": (0, SIZE),
    "bytes=-1": (2047, SIZE),
    "bytes=-9999": (0, SIZE),
}
OUTSIDE = ["bytes=2048-", "bytes=9999-10000", "bytes=-0", "bytes=9-5"]
NOT_UNDERSTOOD = ["bytes=0-1,5-9", "bytes=a-b", "bytes", "lines=1-2", "bytes=-"]


@shows("rfc-4")
@pytest.mark.parametrize("asked", PARTS)
def test_a_part_is_served(repository: Repository, asked: str) -> None:
    content = secrets.token_bytes(SIZE)
    digest = repository.push_blob(content)
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": asked})
    check_part(answer, content, *PARTS[asked])
    assert answer.headers["Docker-Content-Digest"] == digest


@shows("rfc-6")
@pytest.mark.parametrize("asked", OUTSIDE)
def test_a_part_outside_is_refused(repository: Repository, asked: str) -> None:
    digest = repository.push_blob(secrets.token_bytes(SIZE))
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@shows("rfc-6", "rfc-9")
@pytest.mark.parametrize("asked", OUTSIDE)
def test_a_part_outside_is_refused_instead_of_redirected(
    plain_repository: Repository, way: Way, asked: str
) -> None:
    digest = plain_repository.push_blob(secrets.token_bytes(SIZE))
    answer = plain_repository.ask("GET", f"blobs/{digest}", headers={"Range": asked})
    assert answer.status_code == 416


@shows("rfc-5")
@pytest.mark.parametrize("asked", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_passed_over(repository: Repository, asked: str) -> None:
    content = secrets.token_bytes(SIZE)
    digest = repository.push_blob(content)
    answer = repository.ask("GET", f"blobs/{digest}", headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == content


@shows("rfc-8")
def test_a_head_tells_that_ranges_are_served(repository: Repository) -> None:
    digest = repository.push_blob(secrets.token_bytes(SIZE))
    answer = repository.ask("HEAD", f"blobs/{digest}")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(SIZE)


@shows("rfc-9")
def test_a_blob_is_redirected_to(plain_repository: Repository, way: Way) -> None:
    content = secrets.token_bytes(SIZE)
    digest = plain_repository.push_blob(content)
    answer = plain_repository.ask("GET", f"blobs/{digest}")
    assert answer.status_code == 307
    assert answer.headers["Docker-Content-Digest"] == digest
    assert httpx.get(answer.headers["Location"]).content == content


@shows("rfc-9", "rfc-4")
@pytest.mark.parametrize("asked", PARTS)
def test_a_part_is_served_through_the_redirect(
    plain_repository: Repository, way: Way, asked: str
) -> None:
    content = secrets.token_bytes(SIZE)
    digest = plain_repository.push_blob(content)
    headers = {"Range": asked}
    answer = plain_repository.ask("GET", f"blobs/{digest}", headers=headers)
    if answer.status_code == 307:
        answer = httpx.get(answer.headers["Location"], headers=headers)
    check_part(answer, content, *PARTS[asked])


@shows("rfc-9")
def test_a_head_is_not_redirected(plain_repository: Repository, way: Way) -> None:
    digest = plain_repository.push_blob(secrets.token_bytes(SIZE))
    answer = plain_repository.ask("HEAD", f"blobs/{digest}")
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(SIZE)


@shows("chunk-3", "chunk-4")
@pytest.mark.parametrize(
    "form", ["{0}-{1}", "bytes {0}-{1}/*", "bytes {0}-{1}/2048", "bytes={0}-{1}"]
)
def test_content_range_is_read_in_every_form(repository: Repository, form: str) -> None:
    content = secrets.token_bytes(SIZE)
    location = repository.location()
    for start in (0, 1024):
        part = form.format(start, start + 1023)
        location = located(repository.append(location, content[start : start + 1024], part), 202)
    answer = repository.finish(location, digest_of(content, "sha256"))
    assert repository.http.get(located(answer, 201)).content == content


@shows("acr-4", "acr-7")
def test_a_misplaced_part_is_told_where_to_go_on(repository: Repository) -> None:
    first = repository.start()
    second = repository.append(first.headers["Location"], b"0123456789", "0-9")
    wrong = repository.append(second.headers["Location"], b"abc", "20-22")
    for answer in (first, second, wrong):
        assert answer.headers["Location"].startswith(repository.path("blobs/uploads/"))
    assert wrong.status_code == 416
    assert wrong.headers["Range"] == second.headers["Range"] == "0-9"
    digest = digest_of(b"0123456789", "sha256")
    assert repository.finish(wrong.headers["Location"], digest).status_code == 201


def check_part(answer: httpx.Response, content: bytes, start: int, stop: int) -> None:
    assert answer.status_code == 206
    assert answer.content == content[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)
