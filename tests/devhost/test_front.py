"""--front: Microsoft's HTTP path as a program before the app."""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.devhost.conftest import DevHost, write_app
from tests.devhost.test_command import complaint
from tests.devhost.test_http import ROUTED
from tests.support import tools
from tests.support.waiting import until

MIB = 1024**2

type Begin = Callable[..., DevHost]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    hosts: list[DevHost] = []

    def begin(*arguments: str, **env: str) -> DevHost:
        app = write_app(tmp_path / "app")
        chosen = ("--port", "0", "--front", str(tools.front()), "--functions", *ROUTED)
        host = DevHost(app, *chosen, *arguments, **env)
        hosts.append(host)
        host.until_printed("Functions:", 40)
        return host

    yield begin
    for host in hosts:
        host.process.kill()
        host.process.communicate()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevHost]:
    app = write_app(tmp_path_factory.mktemp("front") / "app")
    chosen = ("--port", "0", "--front", str(tools.front()), "--functions", *ROUTED)
    running = DevHost(app, *chosen, FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=str(8 * MIB))
    try:
        running.until_printed("Functions:", 40)
        yield running
    finally:
        code, _ = running.end()
    assert code == 0


def children(pid: int) -> list[str]:
    """Give the commands of a process's children, and their numbers."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid)], check=False, capture_output=True, text=True
    )
    return [line.strip() for line in found.stdout.splitlines() if "functions-front" in line]


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    return False


def test_the_worker_sees_its_own_address_and_the_name_asked_for(host: DevHost) -> None:
    answer = httpx.get(f"{host.url}/facts", headers={"X-Forwarded-Host": "evil.example"})
    assert answer.json()["host"] not in host.url
    assert len(answer.json()["id"]) == 1
    assert answer.headers["server"] == "uvicorn"


def test_routes_and_refusals_are_the_hosts(host: DevHost) -> None:
    assert httpx.get(f"{host.url}/v2/").text == "hello"
    assert httpx.head(f"{host.url}/v2/").headers["Content-Length"] == "5"
    assert json.loads(httpx.get(f"{host.url}/v2/a%2Fb/blobs/c").text) == {"path": "a%2Fb/blobs/c"}
    assert httpx.get(f"{host.url}/nowhere").status_code == 404
    assert httpx.get(f"{host.url}/").status_code == 204
    assert httpx.get(f"{host.url}/raises").status_code == 500


def test_a_chunked_body_streams_and_one_with_a_length_is_bounded(host: DevHost) -> None:
    content = os.urandom(MIB)
    wanted = f"{MIB} {hashlib.sha256(content).hexdigest()}"
    assert httpx.put(f"{host.url}/digest", content=content).text == wanted
    assert httpx.put(f"{host.url}/digest", content=iter([content])).text == wanted
    assert httpx.put(f"{host.url}/digest", content=bytes(9 * MIB)).status_code == 500


def test_a_stream_reaches_the_client_whole(host: DevHost) -> None:
    with httpx.stream("GET", f"{host.url}/zeros/64") as answer:
        assert sum(map(len, answer.iter_bytes())) == 64 * MIB


def test_the_function_hears_of_a_client_that_goes_away(host: DevHost) -> None:
    with httpx.stream("GET", f"{host.url}/endless") as answer:
        next(answer.iter_bytes())
    until(lambda: host.notes("endless"))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_after_the_running_request(begin: Begin, sent: int) -> None:
    host = begin()
    (front,) = children(host.process.pid)
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(httpx.put(f"{host.url}/stall/1").text))
    client.start()
    host.until_printed("Executing 'Functions.stall'")
    assert host.end(sent) == (0, "")
    client.join()
    assert answers == ["done"]
    assert not is_running(int(front.split()[0]))


def test_a_front_that_dies_ends_the_host_with_one_line(begin: Begin) -> None:
    host = begin()
    (front,) = children(host.process.pid)
    os.kill(int(front.split()[0]), signal.SIGKILL)
    code, errors = host.wait()
    assert (code, errors) == (1, "devhost: the front ended by itself (-9)\n")


def test_a_host_that_is_killed_takes_the_front_along(begin: Begin) -> None:
    host = begin()
    (front,) = children(host.process.pid)
    host.process.kill()
    until(lambda: not is_running(int(front.split()[0])))


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        front = str(tools.front())
        errors = complaint(app, "--port", port, "--functions", "base", "--front", front)
    assert errors == f"devhost: port {port} cannot be used: Address already in use\n"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "is no program that can be run"),
        ("", "is no program that can be run"),
        ("#!/bin/sh\necho no memory\nexit 3\n", "did not start: no memory"),
        ("#!/bin/sh\n", "did not start: it says nothing"),
        ("#!/nowhere\n", "No such file or directory"),
    ],
)
def test_what_is_no_front_is_one_line(tmp_path: Path, program: str | None, said: str) -> None:
    app, front = write_app(tmp_path / "app"), tmp_path / "front"
    if program is not None:
        front.write_text(program)
        front.chmod(0o755 if program else 0o644)
    errors = complaint(app, "--functions", "base", "--front", str(front))
    assert re.fullmatch(rf"devhost: the front {re.escape(str(front))}.*{said}\n", errors)
