"""The image: small enough, without what it does not need, and a registry when it runs."""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.devhost.storage import Azurite
from tests.support import flows
from tests.support.engine import DockerEngine
from tests.support.hosts import ROOT, Registry, free_port, settings_of
from tests.support.images import image
from tests.support.tools import environment
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.clients,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("image"),
]

NAME = "registry:0.1.0"
LARGEST = 250 << 20
APP = {"function_app.py", "functions", "host.json", "infra", "shared"}
INFRA = {"__init__.py", "admin", "devhost", "host"}
PYTHON = "usr/local/lib/python3.13/dist-packages/"


def docker(engine: DockerEngine, *arguments: str | Path) -> str:
    """Run docker; give what it said."""
    command = ["docker", f"--host={engine.address}", *arguments]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment(HOME="/tmp")
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def loaded(made: Path, engine: DockerEngine) -> DockerEngine:
    docker(engine, "load", "--input", made / "registry-image.tar")
    return engine


@contextmanager
def contained(engine: DockerEngine, settings: dict[str, str]) -> Iterator[tuple[str, Registry]]:
    """Run the image as a cluster does: nothing of it can be written to, and no user is root."""
    port = free_port()
    given = [f"--env={name}={value}" for name, value in settings.items()]
    name = docker(
        engine, "run", "--detach", "--network=host", "--read-only", "--cap-drop=ALL",
        "--tmpfs=/tmp", *given, NAME, "--listen=127.0.0.1", f"--port={port}",
    )  # fmt: skip
    registry = Registry(
        f"localhost:{port}", settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
    )
    try:
        until(lambda: is_ready(registry), 60)
        yield name, registry
    finally:
        said = docker(engine, "logs", name)
        docker(engine, "rm", "--force", name)
        print(said)  # noqa: T201 - for whoever reads why a test failed


def is_ready(registry: Registry) -> bool:
    """Ask whether it takes requests."""
    try:
        return httpx.get(f"{registry.url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_the_image_is_a_registry_that_keeps_it(
    made: Path, loaded: DockerEngine, storage: Azurite
) -> None:
    with contained(loaded, settings_of(storage, REGISTRY_NAME="contained")) as (name, registry):
        kept = f"docker://{registry.login_server}/platform/registry:0.1.0"
        login = f"{registry.user}:{registry.password}"
        skopeo(
            "copy", "--dest-tls-verify=false", f"--dest-creds={login}",
            f"oci:{made}/registry-image:latest", kept,
        )  # fmt: skip
        again = made / "again"
        skopeo(
            "copy", "--src-tls-verify=false", f"--src-creds={login}", kept, f"oci:{again}:latest"
        )
        assert digest_of(again) == digest_of(made / "registry-image")

        built = image(seed=3, layers=2)
        flows.push(registry, "team/app", built, "v1")
        assert docker(loaded, "exec", name, "id", "-u") == "65532"
        assert "Usage" in docker(loaded, "exec", name, "python3", "-m", "infra.admin", "--help")
        docker(loaded, "stop", "--time=60", name)
        ended = json.loads(docker(loaded, "inspect", name))[0]["State"]
        assert ended["ExitCode"] == 0


def test_the_image_holds_what_it_needs_and_no_more(made: Path) -> None:
    layout = made / "registry-image"
    manifest = json.loads((layout / "blobs/sha256" / digest_of(layout)).read_text())
    names: list[str] = []
    for layer in manifest["layers"]:
        with tarfile.open(layout / "blobs/sha256" / layer["digest"].partition(":")[2]) as files:
            names += files.getnames()

    apart = [name.split("/") for name in names if "__pycache__" not in name]
    assert {parts[1] for parts in apart if parts[0] == "app" and parts[1:]} == APP
    assert {parts[2] for parts in apart if parts[:2] == ["app", "infra"] and parts[2:]} == INFRA
    assert {"/".join(parts) for parts in apart if parts[0] == "app" and is_strange(parts)} == set()
    assert f"{PYTHON}azure/data/tables/__init__.py" in names
    assert {wheel(name) for name in names if name.endswith(".dist-info/METADATA")} == locked()
    assert sum(layer["size"] for layer in manifest["layers"]) < LARGEST


def is_strange(parts: list[str]) -> bool:
    """Tell files of the app that are neither modules nor host.json."""
    name = parts[-1]
    return "." in name and not name.endswith(".py") and parts != ["app", "host.json"]


def wheel(metadata: str) -> str:
    """Read from the name of its METADATA which wheel is installed."""
    name, version = metadata.split("/")[-2].removesuffix(".dist-info").rsplit("-", 1)
    return f"{name.lower().replace('_', '-')}=={version}"


def locked() -> set[str]:
    """Give the wheels that the image is to have: those that the lock names for Linux."""
    lines = (ROOT / "infra/admin/requirements.txt").read_text().splitlines()
    return {it.split()[0] for it in lines if "==" in it and "sys_platform == 'win32'" not in it}


def test_the_image_says_what_it_was_made_of(made: Path) -> None:
    layout = made / "registry-image"
    manifest = json.loads((layout / "blobs/sha256" / digest_of(layout)).read_text())
    digest = manifest["config"]["digest"].partition(":")[2]
    config = json.loads((layout / "blobs/sha256" / digest).read_text())["config"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)

    assert config["Labels"]["org.opencontainers.image.revision"] == head.stdout.strip()
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python3", "-m", "infra.host"]


def digest_of(layout: Path) -> str:
    """Read which manifest a layout holds."""
    (one,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(one["digest"]).partition(":")[2]


def skopeo(*arguments: str) -> None:
    """Run skopeo."""
    done = subprocess.run(
        ["skopeo", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment(HOME="/tmp"),
    )
    assert done.returncode == 0, done.stderr
