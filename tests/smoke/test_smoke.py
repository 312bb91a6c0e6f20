"""The smoke test against the dev host: there and behind the front it differs in what is known."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.azure.smoke.asking.bodies import MIB
from infra.azure.smoke.checks import ROOMS
from shared import bootstrap
from shared.settings import Settings
from shared.storage.ports import Ports
from tests.smoke.conftest import QUICK, SCALED, Run
from tests.support import flows, tools
from tests.support.hosts import ROOT, Host, Registry, running
from tests.support.receivers import Receiver
from tests.support.tools import environment as bare

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("smoke")]

LIMIT = MIB
NEVER = {"size memory"}
"""What HTTP does not tell."""

AT_THE_FRONT = {"route headers"}
"""The front is the host's HTTP path alone: it adds no headers of host.json to its own 404."""


@pytest.fixture(scope="module")
def behind_front(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    own = {**settings, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT)}
    with running(own, tmp_path_factory.mktemp("front") / "log", tools.front()) as pair:
        yield pair


def test_on_the_dev_host_nothing_differs(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    with Receiver() as receiver:
        seen = run(registry.login_server, "--cold", "0.1", "--receiver", receiver.url("/hook"))
        assert receiver.received[0].target == "/hook"
    assert seen.differs == set()
    assert seen.not_checked == NEVER
    assert seen.code == 0
    assert seen.document["is_as_promised"]
    assert len(seen.document["checks"]) == sum(len(room.checks) for room in ROOMS)
    assert seen.of("size with a length").startswith("up to 2 MiB (")
    assert seen.of("storage webhook").startswith("200 from http://127.0.0.1:")
    assert "half within" in seen.of("time warm")


def test_a_receiver_that_is_never_reached_is_told(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    nobody = "http://127.0.0.1:1/"
    seen = run(registry.login_server, *QUICK, "--receiver", nobody, "--wait", "8")
    assert seen.differs == {"storage webhook"}
    assert "Connection refused" in seen.of("storage webhook")


def test_an_object_that_nobody_verifies_is_told(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    seen = run(registry.login_server, *QUICK, "--wait", "0")
    assert seen.differs == {"storage verification"}
    assert seen.of("storage verification").startswith("not verified within 0 s")


def test_nothing_is_left(run: Run, registry: Registry) -> None:
    repository = run(registry.login_server).document["repository"]
    with flows.connect(registry, repository) as client:
        tags = client.get(f"/v2/{repository}/tags/list")
        assert tags.status_code == 404 or not tags.json()["tags"]


def test_without_settings_storage_is_not_checked_and_that_is_no_difference(
    run: Run, registry: Registry
) -> None:
    seen = run(registry.login_server, "--receiver", "http://127.0.0.1:1/")
    assert seen.not_checked == {*NEVER, "time cold", "storage verification", "storage webhook"}
    assert seen.code == 0
    assert "AzureWebJobsStorage" in seen.of("storage webhook")


def test_settings_of_another_registry_check_nothing(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= {**settings, "REGISTRY_NAME": "another"}
    seen = run(registry.login_server)
    assert seen.differs == set()
    assert "there is no registry another in this storage" in seen.of("storage verification")
    make_registry(environment)
    seen = run(registry.login_server)
    assert "storage verification" in seen.not_checked
    assert "they are those of another registry" in seen.of("storage verification")


def make_registry(env: dict[str, str]) -> None:
    """Make the registry that the settings name, as an app does at its first request."""

    async def make() -> None:
        settings = Settings.from_env(env)
        async with bootstrap.opened_ports(settings.storage) as opened:
            await bootstrap.Registries(settings, Ports(*opened)).at("localhost")

    asyncio.run(make())


def test_under_another_name_clients_are_sent_to_https(run: Run, registry: Registry) -> None:
    seen = run("registry.example.com", "--connect", registry.login_server)
    assert seen.differs == set()
    assert seen.of("login realm") == "https://registry.example.com/oauth2/token"


def test_behind_the_front_the_limit_is_found(run: Run, behind_front: tuple[Host, Registry]) -> None:
    _, registry = behind_front
    seen = run(registry.login_server, "--limit", str(LIMIT))
    assert seen.differs == AT_THE_FRONT
    assert seen.of("size with a length").startswith("up to 1 MiB (")
    assert seen.of("size without a length").startswith("up to 1008 KiB (")
    assert "1048577 bytes: 500 after" in seen.of("size without a length")


def test_as_a_command_with_docker_s_credentials(registry: Registry, tmp_path: Path) -> None:
    auth = httpx.BasicAuth(registry.user, registry.password)
    header = next(auth.auth_flow(httpx.Request("GET", registry.url))).headers["Authorization"]
    kept = {"auths": {registry.login_server: {"auth": header.partition(" ")[2]}}}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "infra.azure.smoke", registry.login_server),
            *("--plain-http", *SCALED),
        ],
        cwd=ROOT,
        env=bare(DOCKER_CONFIG=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT CHECKED size memory" in done.stdout
    assert "0 differs" in done.stdout
    assert registry.password not in done.stdout
