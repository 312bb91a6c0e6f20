"""A replica that is asked to end: it is not ready at once, and nobody loses what it was at."""

import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from azure.storage.queue import QueueClient

from infra.devhost.storage import Azurite
from tests.devhost.conftest import DevHost, write_app
from tests.devhost.test_events import encoded, length
from tests.host.conftest import MODULE, Start
from tests.support import flows
from tests.support.images import blob, random_bytes
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

DRAIN_SECONDS = 9
NOTICE_SECONDS = DRAIN_SECONDS / 6


def process_of(host: object) -> subprocess.Popen[bytes]:
    process: subprocess.Popen[bytes] = vars(host)["_process"]
    return process


def test_a_running_request_ends_and_new_ones_go_elsewhere(start: Start) -> None:
    host, registry = start(REGISTRY_DRAIN_SECONDS=str(DRAIN_SECONDS))
    content = blob(random_bytes(1 << 20, 1))
    middle, asked = threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield content.content[: 1 << 19]
        middle.set()
        asked.wait(30)
        time.sleep(NOTICE_SECONDS + 0.5)
        yield content.content[1 << 19 :]

    with flows.connect(registry, "drain/blob") as client, ThreadPoolExecutor() as pool:
        location = flows.start_upload(client, "drain/blob")
        sent = pool.submit(client.patch, location, content=pieces())
        assert middle.wait(10)
        with httpx.Client(base_url=registry.url) as kept:
            assert kept.get("/health/ready").status_code == 200
            process_of(host).terminate()
            until(lambda: kept.get("/health/ready").status_code == 503, NOTICE_SECONDS / 2)
            assert kept.get("/health/ready").text == "leaving\n"
            still = kept.get("/v2/")
        assert (still.status_code, still.headers["Connection"]) == (401, "close")
        time.sleep(NOTICE_SECONDS / 3)
        assert host.listens()
        asked.set()
        until(lambda: not host.listens(), NOTICE_SECONDS + 1)
        assert not sent.done()
        assert sent.result().status_code == 202
        assert sent.result().headers["Connection"] == "close"
    assert process_of(host).wait(DRAIN_SECONDS) == 0


def test_what_does_not_end_is_cut_off(start: Start) -> None:
    host, registry = start(REGISTRY_DRAIN_SECONDS="2")
    with flows.connect(registry, "drain/stuck") as client:
        location = flows.start_upload(client, "drain/stuck")
        token = client.headers["Authorization"]
    with socket.create_connection(("127.0.0.1", host.port)) as stuck:
        head = f"PATCH {location} HTTP/1.1\r\nHost: {registry.login_server}\r\n"
        stuck.sendall(f"{head}Authorization: {token}\r\nContent-Length: 99999\r\n\r\nx".encode())
        until(lambda: "Executing 'Functions.upload_append'" in host.log())
        began = time.monotonic()
        process_of(host).terminate()
        assert process_of(host).wait(10) == 0
    assert 1 < time.monotonic() - began < 5


@pytest.fixture
def queue(storage: Azurite) -> QueueClient:
    name = f"t{uuid.uuid4().hex[:16]}"
    queue = QueueClient.from_connection_string(storage.connection_string, name)
    queue.create_queue()
    return queue


def test_messages_in_work_are_finished_or_seen_again(
    queue: QueueClient, settings: dict[str, str], tmp_path: Path
) -> None:
    own = {**settings, "QUEUE": queue.queue_name, "CONTAINER": "x", "SCHEDULE": "0 0 0 1 1 *"}
    own |= {"REGISTRY_DRAIN_SECONDS": "4", "AzureFunctionsWebHost__hostid": queue.queue_name}
    for text in ("slow2", "slow600"):
        queue.send_message(encoded(text))
    arguments = ("--listen", "127.0.0.1", "--port", "0", "--plane", "events")
    host = DevHost(write_app(tmp_path / "app"), *arguments, module=MODULE, **own)
    try:
        until(lambda: len(host.notes("take")) == 2, 20)
        queue.send_message(encoded("late"))
        assert host.end(signal.SIGTERM) == (0, "")
    finally:
        host.process.kill()
    taken = [note["text"] for note in host.notes("take")]
    assert sorted(taken) in (["slept", "slow2", "slow600"], ["late", "slept", "slow2", "slow600"])
    left = {message.content for message in queue.peek_messages(32)}
    assert encoded("slow600") in left
    assert length(queue) == 2 - ("late" in taken)
