"""Slow clients are cut off, and the others do not notice."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from infra.host.connections import PROBERS
from tests.host.conftest import HASTY, POOR, Replica, Start
from tests.host.hasty_host import GRACE_SECONDS, HEAD_SECONDS, IDLE_SECONDS, MOST, SPARE
from tests.host.poor_host import FILES
from tests.support import flows
from tests.support.hosts import free_port
from tests.support.images import blob, random_bytes
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

MIB = 1 << 20
TICKS = 3
"""How much later than its time a client may be cut off: looks are a second apart."""

HEAD = b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: registry.test\r\n"
FORM = b"POST /oauth2/token HTTP/1.1\r\nHost: registry.test\r\nContent-Length: 100000\r\n\r\n"
UPLOAD = HEAD + b"Content-Length: 100000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERED = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
ASKING_FIRST = HEAD + b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n"

SLOW = [
    ("nothing", b"", b"", HEAD_SECONDS),
    ("half a head", HEAD, b"", HEAD_SECONDS),
    ("a head in drops", b"GET /v2/", b"x", HEAD_SECONDS),
    ("empty lines", b"\r\n", b"\r\n", HEAD_SECONDS),
    ("empty lines after an answer", ANSWERED, b"\r\n", IDLE_SECONDS),
    ("a form in drops", FORM, b"x", GRACE_SECONDS),
    ("a body in drops that nobody reads", UPLOAD, b"x", GRACE_SECONDS),
    ("chunks in drops", CHUNKED, b"1\r\nx\r\n", GRACE_SECONDS),
    ("a chunk's extension in drops", CHUNKED + b"1;", b"x", GRACE_SECONDS),
    ("a body that was refused before it was sent", ASKING_FIRST, b"", GRACE_SECONDS),
]


def drip(port: int, first: bytes, drop: bytes, most: float) -> float:
    """Send drops until the server hangs up; give the seconds that took."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(0.25)
        began = time.monotonic()
        try:
            client.sendall(first)
            while time.monotonic() - began < most:
                try:
                    if not client.recv(65_536):
                        break
                except TimeoutError:
                    client.sendall(drop)
        except OSError:
            pass
        return time.monotonic() - began


def slowly(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        yield bytes(300)
        time.sleep(0.5)


def test_slow_clients_are_cut_off_and_a_patient_one_is_not(hasty: Replica) -> None:
    host, registry = hasty
    most = HEAD_SECONDS + TICKS

    def patient() -> int:
        with flows.connect(registry, "slow/blob") as client:
            location = flows.start_upload(client, "slow/blob")
            return client.patch(location, content=slowly(12)).status_code

    with ThreadPoolExecutor() as pool:
        uploaded = pool.submit(patient)
        cut = [pool.submit(drip, host.port, first, drop, most + 2) for _, first, drop, _ in SLOW]
        while not all(each.done() for each in cut):
            assert httpx.get(f"{registry.url}/health/ready", timeout=2).status_code == 200
            time.sleep(0.5)
    for (name, *_, seconds), each in zip(SLOW, cut, strict=True):
        assert seconds <= each.result() < seconds + TICKS, name
    assert uploaded.result() == 202
    assert "sends its body at less than 240 bytes a second, and is cut off" in host.log()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 33_000 + b"\r\n\r\n", b"431"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", b"431"),
        (b"GET /v2/" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET /v2/?a=" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
    ],
)
def test_too_large_a_head_is_refused(replica: Replica, request_: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", replica[0].port)) as client:
        client.sendall(request_)
        assert client.recv(65_536).split()[1] == status


@pytest.mark.parametrize("first", [b"GET /v2/ HTTP/1.1\r\nX: ", CHUNKED + b"1;", b"\r\n"])
def test_a_head_that_does_not_end_is_cut_off_at_once(replica: Replica, first: bytes) -> None:
    """So are a chunk's extension, and what is no request."""
    more = b"\r\n" * 32_768 if first == b"\r\n" else b"x" * 65_536
    assert flood(replica[0].port, first, more) < 5


def flood(port: int, first: bytes, more: bytes) -> float:
    """Send more and more until the server hangs up; give the seconds that took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as client, suppress(OSError):
        client.settimeout(5)
        client.sendall(first)
        while time.monotonic() - began < 5:
            client.sendall(more)
            time.sleep(0.1)
    return time.monotonic() - began


def test_an_answer_that_nobody_takes_is_cut_off(hasty: Replica) -> None:
    host, registry = hasty
    content = blob(random_bytes(32 * MIB, 1))
    with flows.connect(registry, "slow/taken") as client:
        flows.push_blob(client, "slow/taken", content)
        token = client.headers["Authorization"]
        path = f"/v2/slow/taken/blobs/{content.digest}"
        head = f"Host: {registry.login_server}\r\nAuthorization: {token}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", host.port)) as sleeper:
            sleeper.sendall(f"GET {path} HTTP/1.1\r\n{head}".encode())
            time.sleep(4)
            received = 0
            with suppress(ConnectionResetError):
                while piece := sleeper.recv(MIB):
                    received += len(piece)
            assert received < content.size
        assert flows.pull_blob(client, "slow/taken", content.digest) == content.content
    assert "takes its answer at less than 240 bytes a second" in host.log()


def connected(stack: ExitStack, port: int, count: int, first: bytes = b"") -> list[socket.socket]:
    made = [
        stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)
    ]
    for each in made:
        each.sendall(first)
    return made


def test_idle_clients_keep_nobody_out(hasty: Replica) -> None:
    host, registry = hasty
    with ExitStack() as stack:
        idle = connected(stack, host.port, MOST + SPARE)
        for path, status in (("/v2/", 401), ("/health/live", 200)):
            assert httpx.get(f"{registry.url}{path}").status_code == status
        idle[0].settimeout(2)
        assert idle[0].recv(1) == b""
        assert httpx.get(f"{registry.url}/v2/").status_code == 401
    until(lambda: f"Port {host.port} is full: 1 who asked nothing had to go." in host.log(), 5)


def test_only_so_many_are_served_and_probes_are_answered_all_the_same(hasty: Replica) -> None:
    host, registry = hasty
    with ExitStack() as stack:
        connected(stack, host.port, MOST, FORM)
        time.sleep(0.2)
        for _ in range(2):
            busy = httpx.get(f"{registry.url}/v2/")
            assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
            assert httpx.get(f"{registry.url}/health/live").status_code == 200
            connected(stack, host.port, 2 * SPARE)
    time.sleep(0.2)
    assert httpx.get(f"{registry.url}/v2/").status_code == 401


def test_a_port_for_probes_answers_them_and_nothing_else(start: Start) -> None:
    port = free_port()
    host, registry = start(module=HASTY, options=("--health-port", str(port)))
    own = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        connected(stack, host.port, MOST + SPARE, FORM)
        connected(stack, port, 2 * PROBERS)
        for path, status in (("/health/live", 200), ("/health/ready", 200), ("/v2/", 404)):
            assert httpx.get(f"{own}{path}").status_code == status
    assert httpx.get(f"{registry.url}/health/live").status_code == 200


def test_a_host_that_may_open_too_few_files_says_so(start: Start, replica: Replica) -> None:
    poor, registry = start(module=POOR)
    assert httpx.get(f"{registry.url}/health/live").status_code == 200
    assert f"Only {FILES} files may be open here" in poor.log()
    assert "files may be open" not in replica[0].log()
