"""The registry on the dev host, and the clients that speak to it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite, StorageError
from tests.support.clients import Buildah, Client, Ctr, Docker, Podman, Skopeo
from tests.support.engine import Containerd, Daemon, DockerEngine, MountRefusedError
from tests.support.hosts import Host, Registry, running, settings_of
from tests.support.tools import require, unavailable

type Clients = Callable[[str], Client]

DAEMONLESS: dict[str, Callable[[Path], Client]] = {
    "podman": Podman,
    "buildah": Buildah,
    "skopeo": Skopeo,
}


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    emulator = Azurite()
    try:
        emulator.start()
    except StorageError as error:
        unavailable(str(error))
    yield emulator
    emulator.stop()


@pytest.fixture(scope="session")
def settings(storage: Azurite) -> dict[str, str]:
    return settings_of(storage)


@pytest.fixture(scope="session")
def served(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    with running(settings, tmp_path_factory.mktemp("host") / "log") as pair:
        yield pair


@pytest.fixture(scope="session")
def host(served: tuple[Host, Registry]) -> Host:
    return served[0]


@pytest.fixture(scope="session")
def registry(served: tuple[Host, Registry]) -> Registry:
    return served[1]


@pytest.fixture(scope="session")
def streaming_registry(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """The same registry on a second host, which streams blobs instead of pointing to storage."""
    streamed = {**settings, "REGISTRY_BLOB_REDIRECTS": "false"}
    with running(streamed, tmp_path_factory.mktemp("streaming") / "log") as (_, registry):
        yield registry


def started[D: Daemon](daemon: D) -> Iterator[D]:
    """Start a daemon; skip where the machine itself forbids it, which no installing mends."""
    try:
        daemon.start()
    except MountRefusedError as error:
        pytest.skip(str(error))
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    require("dockerd", "docker", "containerd", "runc")
    yield from started(DockerEngine())


@pytest.fixture(scope="session")
def containerd() -> Iterator[Containerd]:
    require("containerd", "ctr")
    yield from started(Containerd())


@pytest.fixture
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Makes clients by name, each with an empty store and no credentials."""
    # Not pytest's folder: podman takes no path of more than 50 characters.
    home = Path(tempfile.mkdtemp(prefix="clients-", dir="/tmp"))

    def make(name: str) -> Client:
        folder = home / name
        folder.mkdir()
        if name == "docker":
            return Docker(folder, request.getfixturevalue("docker_engine"))
        if name == "ctr":
            return Ctr(folder, request.getfixturevalue("containerd"))
        require(name)
        return DAEMONLESS[name](folder)

    yield make
    shutil.rmtree(home)


@pytest.fixture
def skopeo(clients: Clients, registry: Registry) -> Skopeo:
    """A skopeo that is logged in."""
    made = clients("skopeo")
    assert isinstance(made, Skopeo)
    made.login(registry)
    return made
