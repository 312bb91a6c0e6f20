"""The planes: who answers, who works behind the queues, and what the start says of it."""

import re
import subprocess
import sys

import httpx
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from infra.devhost.storage import Azurite
from shared.storage import keys
from shared.version import VERSION
from tests.host.conftest import MODULE, Replica, Start
from tests.support import flows
from tests.support.hosts import ROOT
from tests.support.images import image
from tests.support.tools import environment
from tests.support.waiting import until

LEAST = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "REGISTRY_MASTER_KEY": "k" * 32}


def waiting(storage: Azurite, queue: str = keys.EVENTS) -> int:
    """Tell how many messages are on a queue."""
    client = QueueClient.from_connection_string(storage.connection_string, queue)
    try:
        return client.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return 0


@pytest.mark.emulator
def test_one_plane_answers_and_the_other_works(
    storage: Azurite, replica: Replica, start: Start
) -> None:
    host, registry = replica
    built = image(3)
    flows.push(registry, "planes/app", built, "v1")
    assert flows.pull(registry, "planes/app", "v1") == flows.pulled(built)
    assert waiting(storage) > 0
    assert "Functions.fan_out_event" not in host.log()

    events, other = start("events")
    until(lambda: not waiting(storage), 20)
    until(lambda: "Executed 'Functions.fan_out_event' (Succeeded" in events.log())
    assert httpx.get(f"{other.url}/health/ready").status_code == 200
    for path in ("/v2/", "/oauth2/token", "/acr/v1/_catalog"):
        assert httpx.get(f"{other.url}{path}").status_code == 404, path
    assert "verify_blob is not run here" in events.log()


@pytest.mark.emulator
def test_the_start_is_one_line_that_says_plane_port_and_version(replica: Replica) -> None:
    host, _ = replica
    told = [line for line in host.log().splitlines() if "listens on" in line]
    (line,) = (re.sub(r"^\[.*?\] ", "", line) for line in told)
    assert line == f"registry {VERSION}: plane http, listens on 127.0.0.1:{host.port}"


def complaint(*arguments: str, **env: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", MODULE, "--port", "0", "--listen", "127.0.0.1", *arguments],
        cwd=ROOT,
        env=environment(**{**LEAST, **env}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_a_start_that_cannot_be_is_one_line() -> None:
    code, told = complaint(REGISTRY_PLANE="jobs")
    assert (code, told) == (1, "host: REGISTRY_PLANE='jobs' must be one of all, http, events\n")
    code, told = complaint(REGISTRY_MASTER_KEY="short")
    assert code == 1
    assert told.startswith("host: REGISTRY_MASTER_KEY must be")
    assert told.count("\n") == 1
    code, told = complaint("--listen", "192.0.2.1")
    assert (code, told.partition(":")[0]) == (1, "host")
    assert "192.0.2.1" in told
    code, told = complaint("--port", "65536")
    assert (code, told) == (1, "host: port 65536 cannot be used: ports are 0 to 65535\n")
    assert complaint("--plane", "jobs")[0] == 2
