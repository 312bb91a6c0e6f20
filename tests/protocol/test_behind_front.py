"""The registry behind Microsoft's HTTP path: strangers leave nothing behind, bodies stream.

These start a front of their own, so they are not repeated where every host is behind one.
"""

import asyncio
import hashlib
import os
import re
import socket
import struct
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import pytest

from tests.support import flows, tools
from tests.support.hosts import PARTING_SECONDS, Host, Registry, running
from tests.support.images import blob, random_bytes
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("starts a front of its own"),
    pytest.mark.xdist_group("front"),
    pytest.mark.timeout(600),
]

MIB = 1 << 20
REQUESTS, WARM_UP, AT_ONCE = 6_000, 3_000, 16
LEAK_BYTES = 2_170 * REQUESTS


@pytest.fixture(scope="module")
def served(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    own = {"REGISTRY_BLOB_REDIRECTS": "false", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(512 * MIB)}
    log = tmp_path_factory.mktemp("front") / "log"
    with running({**settings, **own}, log, tools.front()) as pair:
        yield pair


@pytest.fixture
def host(served: tuple[Host, Registry]) -> Host:
    return served[0]


@pytest.fixture
def registry(served: tuple[Host, Registry]) -> Registry:
    return served[1]


def send(host: Host, *lines: bytes, then: Callable[[socket.socket], None] | None = None) -> bytes:
    """Send a request as it stands, and give the first bytes of the answer; or do something else."""
    with socket.create_connection(("127.0.0.1", host.port), timeout=30) as client:
        client.sendall(b"\r\n".join((*lines, b"Host: localhost", b"", b"")))
        if then is None:
            return client.recv(1024)
        then(client)
    return b""


def reset(client: socket.socket) -> None:
    """Hang up without a word: the other side meets a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_the_name_asked_for_is_in_the_challenge(host: Host) -> None:
    name = f"localhost:{host.port}"
    told = httpx.get(f"http://{name}/v2/").headers["WWW-Authenticate"]
    assert told == f'Bearer realm="http://{name}/oauth2/token",service="{name}"'
    public = httpx.get(f"http://{name}/v2/", headers={"Host": "registry.example.com"})
    assert 'realm="https://registry.example.com/oauth2/token"' in public.headers["WWW-Authenticate"]
    asked = {"X-Forwarded-Host": "evil.example"}
    assert httpx.get(f"http://{name}/v2/", headers=asked).headers["WWW-Authenticate"] == told


STRANGE = {
    "a control byte in a header": (b"GET /v2/ HTTP/1.1", b"X-A: \x01"),
    "an invocation id of its own": (b"GET /v2/ HTTP/1.1", b"x-ms-invocation-id: mine"),
    "an empty invocation id": (b"GET /v2/ HTTP/1.1", b"x-ms-invocation-id: "),
}


@pytest.mark.parametrize("lines", STRANGE.values(), ids=STRANGE)
def test_a_strange_request_ends(host: Host, lines: tuple[bytes, ...]) -> None:
    assert re.match(rb"HTTP/1.1 [45]\d\d ", send(host, *lines))
    until(lambda: not host.invocations(), PARTING_SECONDS)


@pytest.mark.parametrize(
    "path", [b"x%0Ay", b"x%0Ay/manifests/v1", b"x/tags/list%0A", b"x/blobs/uploads/%0A", b"%0A"]
)
def test_a_path_with_a_line_feed_reaches_no_function(host: Host, path: bytes) -> None:
    before = host.log().count("Executing")
    assert send(host, b"GET /v2/" + path + b" HTTP/1.1").startswith(b"HTTP/1.1 404 ")
    assert host.log().count("Executing") == before


@pytest.mark.parametrize("then", [lambda _: None, reset], ids=["fin", "reset"])
def test_clients_that_hang_up_at_once_leave_nothing(
    host: Host, then: Callable[[socket.socket], None]
) -> None:
    for _ in range(100):
        send(host, b"GET /v2/ HTTP/1.1", then=then)
    until(lambda: not host.invocations(), PARTING_SECONDS)
    assert httpx.get(f"http://localhost:{host.port}/v2/").status_code == 401


def test_an_upload_and_a_download_that_are_cut_off_end(host: Host, registry: Registry) -> None:
    content = blob(random_bytes(32 * MIB, 1))
    with flows.connect(registry, "front/cut") as client:
        flows.push_blob(client, "front/cut", content)
        location = flows.start_upload(client, "front/cut")
        with client.stream("GET", f"/v2/front/cut/blobs/{content.digest}") as answer:
            next(answer.iter_bytes(MIB))
        authorization = client.headers["Authorization"].encode()
    begun = (f"PATCH {location} HTTP/1.1".encode(), b"Authorization: " + authorization)
    chunked = (b"Transfer-Encoding: chunked",)
    send(host, *begun, *chunked, then=lambda cut: cut.sendall(b"8\r\n12345678\r\n"))
    until(lambda: not host.invocations(), PARTING_SECONDS)
    with flows.connect(registry, "front/cut") as client:
        assert client.get(location).headers["Range"] == "0-0"


def test_300_mib_stream_up_in_chunks_and_down_again(host: Host, registry: Registry) -> None:
    pieces = [os.urandom(MIB) for _ in range(30)]
    hashed = hashlib.sha256(b"".join(pieces * 10)).hexdigest()
    with flows.connect(registry, "front/large") as client:
        location = flows.start_upload(client, "front/large")
        before = host.resident_bytes()
        host.reset_peak()
        answer = client.patch(location, content=iter(pieces * 10))
        assert answer.status_code == 202, answer.text
        done = flows.finish_upload(client, answer.headers["Location"], f"sha256:{hashed}")
        assert done.status_code == 201, done.text
        read = hashlib.sha256()
        with client.stream("GET", f"/v2/front/large/blobs/sha256:{hashed}") as answer:
            for piece in answer.iter_bytes():
                read.update(piece)
    assert read.hexdigest() == hashed
    assert host.peak_bytes() - before < 100 * MIB


async def test_memory_is_flat_over_6_000_requests(host: Host) -> None:
    async def ask(session: aiohttp.ClientSession, count: int) -> None:
        for _ in range(count // AT_ONCE):
            async with session.get(f"http://localhost:{host.port}/v2/") as answer:
                assert answer.status == 401

    async with crowd() as session:
        await asyncio.gather(*(ask(session, WARM_UP) for _ in range(AT_ONCE)))
        before = host.resident_bytes()
        await asyncio.gather(*(ask(session, REQUESTS) for _ in range(AT_ONCE)))
    assert host.resident_bytes() - before < LEAK_BYTES / 3
    until(lambda: not host.invocations(), PARTING_SECONDS)


def test_the_log_holds_no_token_and_no_line_of_the_web_servers(
    host: Host, registry: Registry
) -> None:
    with flows.connect(registry, "front/logged") as client:
        flows.push_blob(client, "front/logged", blob(b"logged"))
    log = host.log()
    assert "upload_append /v2/front/logged/blobs/uploads/" in log
    assert "_state=" not in log
    assert "HTTP/1.1" not in log


def crowd() -> aiohttp.ClientSession:
    """Open connections of a crowd."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))
