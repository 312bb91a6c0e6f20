"""Conditions: ETag, If-None-Match, If-Match."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.data import UNKNOWN, DataSet
from tests.conformance.repository import Repository, located
from tests.conformance.requirements import shows
from tests.support.images import Blob
from tests.support.ways import Way

pytestmark = pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)


def manifest(name: str) -> Blob:
    return DataSet().index([], annotations={"name": name})


@shows("rfc-1", "rfc-8")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("condition", ['"{0}"', 'W/"{0}"', '"other", "{0}"', "*"])
def test_a_known_manifest_is_not_sent_again(
    repository: Repository, method: str, condition: str
) -> None:
    digest = repository.push_manifest_of_nothing("v1")
    headers = {"If-None-Match": condition.format(digest)}
    for reference in ("v1", digest):
        answer = repository.ask(method, f"manifests/{reference}", headers=headers)
        assert answer.status_code == 304
        assert answer.headers["ETag"] == f'"{digest}"'
        assert answer.content == b""


@shows("rfc-1")
def test_another_manifest_is_sent(repository: Repository) -> None:
    digest = repository.push_manifest_of_nothing("v1")
    headers = {"If-None-Match": f'"{UNKNOWN[0]}"'}
    answer = repository.ask("GET", "manifests/v1", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == f'"{digest}"'


@shows("rfc-2", "fallback-3")
def test_a_tag_is_moved_only_from_where_it_was(repository: Repository) -> None:
    first, second = manifest("first"), manifest("second")
    located(repository.push_manifest(first, "v1"), 201)
    moved = {"If-Match": f'"{first.digest}"'}
    located(repository.push_manifest(second, "v1", moved), 201)
    assert repository.push_manifest(first, "v1", moved).status_code == 412
    assert repository.ask("GET", "manifests/v1").content == second.content


@shows("rfc-2")
@pytest.mark.parametrize("condition", ["*", f'"{UNKNOWN[0]}"'])
def test_a_missing_tag_matches_nothing(repository: Repository, condition: str) -> None:
    answer = repository.push_manifest(manifest("a"), "v1", {"If-Match": condition})
    assert answer.status_code == 412
    assert repository.status("manifests/v1") == 404


@shows("rfc-3", "fallback-3")
def test_a_tag_is_made_only_once(repository: Repository) -> None:
    is_new = {"If-None-Match": "*"}
    located(repository.push_manifest(manifest("first"), "v1", is_new), 201)
    assert repository.push_manifest(manifest("second"), "v1", is_new).status_code == 412
    assert repository.ask("GET", "manifests/v1").content == manifest("first").content


@shows("rfc-3")
def test_of_many_who_make_a_tag_one_does(repository: Repository) -> None:
    def make(name: int) -> int:
        made = repository.push_manifest(manifest(str(name)), "v1", {"If-None-Match": "*"})
        return made.status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(make, range(6)))
    assert statuses == [201, 412, 412, 412, 412, 412]


@shows("rfc-1", "rfc-8", "rfc-9")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_blob_is_neither_sent_nor_redirected_to(
    plain_repository: Repository, way: Way, method: str
) -> None:
    digest = plain_repository.push_blob(b"content")
    headers = {"If-None-Match": f'"{digest}"'}
    answer = plain_repository.ask(method, f"blobs/{digest}", headers=headers)
    assert (answer.status_code, answer.headers["ETag"]) == (304, f'"{digest}"')


@shows("rfc-9", "rfc-11")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_content_than_wanted_is_not_read(
    plain_repository: Repository, way: Way, method: str
) -> None:
    blob, manifest = (
        plain_repository.push_blob(b"content"),
        plain_repository.push_manifest_of_nothing("v1"),
    )
    for path, digest in ((f"blobs/{blob}", blob), (f"manifests/{manifest}", manifest)):
        for condition, status in ((f'"{digest}"', 200), ("*", 200), (f'"{UNKNOWN[0]}"', 412)):
            answer = plain_repository.ask(method, path, headers={"If-Match": condition})
            assert answer.status_code == status


@shows("rfc-9", "rfc-12")
@pytest.mark.parametrize(("condition", "status"), [('"{0}"', 206), ('W/"{0}"', 200), ('"x"', 200)])
def test_a_part_is_read_of_the_content_wanted_alone(
    plain_repository: Repository, way: Way, condition: str, status: int
) -> None:
    digest = plain_repository.push_blob(b"content")
    headers = {"Range": "bytes=0-1", "If-Range": condition.format(digest)}
    answer = plain_repository.ask("GET", f"blobs/{digest}", headers=headers)
    assert (answer.status_code, answer.content) == (status, b"co" if status == 206 else b"content")
