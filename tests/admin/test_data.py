"""Commands on the DATA of a `make run`, over the emulator: beside the run, and without one."""

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from infra.devhost.storage import Azurite, offered
from tests.support.hosts import Registry, running, settings_of

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.protocol


@dataclass(frozen=True, slots=True)
class Data:
    """A DATA, and what its registry is told."""

    folder: Path
    settings: dict[str, str]

    def admin(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infra.admin", "--data", str(self.folder), *arguments],
            input=typed,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )

    def emulator(self) -> Azurite:
        return Azurite(self.folder / "azurite")


@pytest.fixture
def data(tmp_path: Path) -> Data:
    master_key = secrets.token_hex(32)
    kept = {"admin_password": "first", "master_key": master_key}
    (tmp_path / "secrets.json").write_text(json.dumps(kept))
    told = {"REGISTRY_MASTER_KEY": master_key, "REGISTRY_ADMIN_PASSWORD": "first"}
    return Data(tmp_path, told)


@pytest.fixture
def run(data: Data) -> Iterator[Registry]:
    """A registry that runs on DATA, as `make run` does but for its ports."""
    with data.emulator() as emulator:
        emulator.offer()
        settings = {**settings_of(emulator), **data.settings}
        with running(settings, data.folder / "log") as (_, registry):
            yield registry


def status(registry: Registry) -> int:
    url = f"http://{registry.login_server}/v2/"
    return httpx.get(url, auth=(registry.user, registry.password)).status_code


def test_a_command_works_beside_a_run(run: Registry, data: Data) -> None:
    assert status(run) == 200
    done = data.admin("admin-user", "password", "-o", "json", typed="second\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["registry"] == "registry"
    assert status(replace(run, password="second")) == 200
    assert status(run) == 401


def test_without_a_run_the_emulator_is_started_for_the_command(data: Data) -> None:
    with data.emulator() as emulator:
        settings = {**settings_of(emulator), **data.settings}
        with running(settings, data.folder / "log") as (_, registry):
            assert status(registry) == 200
    done = data.admin("admin-user", "password", typed="second\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert offered(data.folder / "azurite") is None
    with data.emulator() as emulator:
        settings = {**settings_of(emulator), **data.settings}
        with running(settings, data.folder / "log") as (_, registry):
            assert status(registry) == 401
            assert status(replace(registry, password="second")) == 200


def test_a_folder_without_a_registry_is_one_line(data: Data) -> None:
    done = data.admin("admin-user", "disable", "-o", "json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("admin: there is no registry registry in this storage")
    assert done.stderr.count("\n") == 1


def test_a_second_command_waits_for_the_first(data: Data) -> None:
    answers: list[subprocess.CompletedProcess[str]] = []
    with data.emulator():  # of a command: nobody else is to know its ports
        second = threading.Thread(target=lambda: answers.append(data.admin("registry", "resume")))
        second.start()
        second.join(8)
        assert second.is_alive()
    second.join(30)
    told, refused = answers[0].stderr.splitlines()
    assert told == f"admin: another command works on {data.folder / 'azurite'}: waiting"
    assert refused.startswith("admin: there is no registry")
    assert answers[0].returncode == 1


def test_the_settings_of_the_app_are_taken_without_data(data: Data) -> None:
    def resume() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infra.admin", "registry", "resume"],
            env={**os.environ, **settings},  # noqa: TID251 - a child's
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )

    with data.emulator() as emulator:
        settings = {**settings_of(emulator), **data.settings}
        assert resume().stderr.startswith("admin: there is no registry registry in this storage")
    done = resume()  # nothing listens there any more
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Cannot connect to host 127.0.0.1" in done.stderr
