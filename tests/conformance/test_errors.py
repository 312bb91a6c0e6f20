"""Errors: their form, their codes, and when to come back."""

import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse

import httpx
import pytest

from tests.conformance.data import unknown_digest
from tests.conformance.repository import Repository
from tests.conformance.requirements import CODES, OTHER_CODES, shows
from tests.support.images import OCI, blob
from tests.support.ways import Way

BODIES = 64
NOTHING = blob(b"{}", OCI.manifest)

type Fault = Callable[[Repository], httpx.Response]

FAULTS: dict[str, tuple[int, str, Fault]] = {
    "no such blob": (404, "BLOB_UNKNOWN", lambda r: r.ask("GET", f"blobs/{unknown_digest()}")),
    "no such upload": (
        404,
        "BLOB_UPLOAD_UNKNOWN",
        lambda r: r.ask("GET", f"blobs/uploads/{'0' * 32}"),
    ),
    "no number": (400, "BLOB_UPLOAD_INVALID", lambda r: r.append(r.location(), b"a", "one-two")),
    "other bytes": (
        400,
        "DIGEST_INVALID",
        lambda r: r.finish(r.location(), unknown_digest(), b"a"),
    ),
    "no manifest": (400, "MANIFEST_INVALID", lambda r: r.push_manifest(NOTHING, "v1")),
    "no such manifest": (404, "MANIFEST_UNKNOWN", lambda r: r.ask("GET", "manifests/v1")),
    "no name": (400, "NAME_INVALID", lambda r: r.http.get("/v2/UPPER/tags/list")),
    "no such name": (404, "NAME_UNKNOWN", lambda r: r.ask("GET", "tags/list")),
    "other length": (400, "SIZE_INVALID", lambda r: r.append(r.location(), b"a", "0-9")),
    "no such method": (405, "UNSUPPORTED", lambda r: r.ask("PATCH", "manifests/v1")),
    "no such path": (404, "UNSUPPORTED", lambda r: r.http.get("/v2/nothing")),
    "no tag": (400, "TAG_INVALID", lambda r: r.ask("GET", "manifests/-")),
    "no size of a page": (
        400,
        "PAGINATION_NUMBER_INVALID",
        lambda r: r.http.get("/v2/_catalog?n=many"),
    ),
    "no such range": (416, "RANGE_INVALID", lambda r: r.append(r.location(), b"a", "5-5")),
}


@shows("api-3", "api-4")
@pytest.mark.parametrize("fault", FAULTS)
def test_errors_have_the_form_and_the_codes_of_the_specification(
    repository: Repository, fault: str
) -> None:
    status, code, provoke = FAULTS[fault]
    answer = provoke(repository)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    assert [error["code"] for error in answer.json()["errors"]] == [code]
    assert all(isinstance(error["message"], str) for error in answer.json()["errors"])


@shows("api-4")
def test_codes_beyond_the_specification_are_known() -> None:
    used = {code for _, code, _ in FAULTS.values()}
    assert used - CODES == OTHER_CODES


@shows("api-5")
@pytest.mark.direct("Kestrel cuts off slow senders (240 bytes a second) before we do")
@pytest.mark.parametrize("way", [Way.ANONYMOUS], indirect=True)
def test_one_body_too_many_is_told_when_to_come_back(repository: Repository) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(held_upload(repository)) for _ in range(BODIES + 1)]
        answered, _, _ = select.select(held, [], [], 60)
        answer = HTTPResponse(answered[0])
        answer.begin()
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert json.load(answer)["errors"][0]["code"] == "TOOMANYREQUESTS"


@contextmanager
def held_upload(repository: Repository) -> Iterator[socket.socket]:
    """Begin to send a part, and keep the rest back."""
    address = repository.http.base_url
    location = repository.location()
    with socket.create_connection((address.host, address.port or 80)) as connection:
        head = [f"PATCH {location} HTTP/1.1", f"Host: {address.netloc.decode()}"]
        chunk = ["Transfer-Encoding: chunked", "", "9", "1"]
        connection.sendall("\r\n".join([*head, *chunk]).encode())
        yield connection


@shows("rfc-13")
@pytest.mark.parametrize("way", [Way.BEARER_CACHED], indirect=True)
def test_the_methods_of_a_path_are_told(repository: Repository) -> None:
    for path, refused, allowed in (
        ("manifests/v1", "POST", "GET, HEAD, PUT, DELETE"),
        ("tags/list", "DELETE", "GET, HEAD"),
        ("blobs/uploads/", "GET", "POST"),
    ):
        answer = repository.ask(refused, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        answer = repository.ask("OPTIONS", path)
        assert (answer.status_code, answer.headers["Allow"]) == (204, allowed)
