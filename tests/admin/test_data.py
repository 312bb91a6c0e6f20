"""Commands on the DATA of a `make run`, over the emulator: beside the run, and without one."""

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.devhost.storage import Azurite
from tests.support.flows import connect, pull, pulled, push
from tests.support.hosts import Registry, running, settings_of
from tests.support.images import Image, image
from tests.support.waiting import until

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

    def listed(self) -> Any:
        done = self.admin("deleted", "list", "-o", "json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def emulator(self) -> Azurite:
        return Azurite(self.folder / "azurite")


@pytest.fixture
def data(tmp_path: Path) -> Data:
    master_key = secrets.token_hex(32)
    kept = {"admin_password": "first", "master_key": master_key}
    (tmp_path / "secrets.json").write_text(json.dumps(kept))
    told = {"REGISTRY_MASTER_KEY": master_key, "REGISTRY_ADMIN_PASSWORD": "first"}
    return Data(tmp_path, told)


@contextmanager
def served(data: Data) -> Iterator[Registry]:
    """Run a registry on DATA, as `make run` does but for its ports."""
    with data.emulator() as emulator:
        emulator.offer()
        settings = {**settings_of(emulator), **data.settings}
        with running(settings, data.folder / "log") as (_, registry):
            yield registry


def status(registry: Registry) -> int:
    url = f"http://{registry.login_server}/v2/"
    return httpx.get(url, auth=(registry.user, registry.password)).status_code


def test_a_password_is_changed_beside_a_run_and_without_one(data: Data) -> None:
    with served(data) as registry:
        assert status(registry) == 200
        done = data.admin("admin-user", "password", "-o", "json", typed="second\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["registry"] == "registry"
        assert status(replace(registry, password="second")) == 200
        assert status(registry) == 401
    done = data.admin("admin-user", "password", typed="third\n")
    assert (done.returncode, done.stderr) == (0, "")
    with served(data) as registry:
        assert status(replace(registry, password="second")) == 401
        assert status(replace(registry, password="third")) == 200


def delete(registry: Registry, image: Image) -> None:
    with connect(registry, "team/app", "pull,push,delete") as client:
        assert client.delete(f"/v2/team/app/manifests/{image.digest}").status_code == 202


def test_what_was_deleted_comes_back_beside_a_run_and_without_one(data: Data) -> None:
    images = [image(seed) for seed in range(2)]
    name = "localhost:7071/team/app"
    with served(data) as registry:
        for number, one in enumerate(images):
            push(registry, "team/app", one, f"v{number}")
            delete(registry, one)
        until(lambda: len(data.listed()) == 2, 30)  # upkeep lists the repository
        done = data.admin("deleted", "restore", f"{name}@{images[0].digest}")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"team/app@{images[0].digest} is back, with v0\n"
        assert pull(registry, "team/app", "v0") == pulled(images[0])
    assert [one["tags"] for one in data.listed()] == [["v1"]]
    done = data.admin("deleted", "restore", "team/app", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert data.listed() == []
    with served(data) as registry:
        assert pull(registry, "team/app", "v1") == pulled(images[1])


def test_garbage_is_explained_beside_a_run_and_swept_without_one(data: Data) -> None:
    one = image(1)
    with served(data) as registry:
        push(registry, "team/app", one, "v1")
        layer = one.blobs[0].digest
        done = data.admin("gc", "explain", f"localhost:7071/team/app@{layer}")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"used by the manifest {one.digest}, which is there (tagged: v1)" in done.stdout
    for options in (["--dry-run"], []):
        done = data.admin("gc", "run", "-o", "json", *options)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["counts"] == []
    with served(data) as registry:
        assert pull(registry, "team/app", "v1") == pulled(one)


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
