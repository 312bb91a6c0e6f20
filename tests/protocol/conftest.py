"""The registry on the dev host, and the clients that speak to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.devhost.storage import Azurite
from tests.support.clients import Buildah, Client, Ctr, Docker, Podman, Skopeo
from tests.support.docker_py import DockerPy
from tests.support.emulators import emulator, scratch
from tests.support.engine import Containerd, Daemon, DockerEngine, MountRefusedError
from tests.support.go_clients import Cosign, Crane, Oras, Regctl, RegctlInChunks, path_of
from tests.support.go_daemons import Buildkit, Containerd2, Ctr2, Docker29, DockerEngine29
from tests.support.hosts import Host, Registry, running, settings_of
from tests.support.tools import require, unavailable

type Clients = Callable[[str], Client]

DAEMONLESS: dict[str, Callable[[Path], Client]] = {
    "podman": Podman,
    "buildah": Buildah,
    "skopeo": Skopeo,
}
BUILT: dict[str, Callable[[Path], Client]] = {
    "crane": Crane,
    "oras": Oras,
    "regctl": Regctl,
    "regctl in chunks": RegctlInChunks,
    "cosign": Cosign,
}
WITH_DAEMON: dict[str, tuple[Callable[[Path, Any], Client], str]] = {
    "docker": (Docker, "docker_engine"),
    "docker-py": (DockerPy, "docker_engine"),
    "docker29": (Docker29, "docker29_engine"),
    "ctr": (Ctr, "containerd"),
    "ctr2": (Ctr2, "containerd2"),
}


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with emulator("storage") as azurite:
        yield azurite


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
def streaming_served(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    """The same registry on a second host, which streams blobs instead of pointing to storage."""
    streamed = {**settings, "REGISTRY_BLOB_REDIRECTS": "false"}
    with running(streamed, tmp_path_factory.mktemp("streaming") / "log") as pair:
        yield pair


@pytest.fixture(scope="session")
def streaming_host(streaming_served: tuple[Host, Registry]) -> Host:
    return streaming_served[0]


@pytest.fixture(scope="session")
def streaming_registry(streaming_served: tuple[Host, Registry]) -> Registry:
    return streaming_served[1]


def started[D: Daemon](daemon: D) -> Iterator[D]:
    """Start a daemon; where the machine forbids it, the right is missing."""
    try:
        daemon.start()
    except MountRefusedError as error:
        unavailable(str(error))
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


@pytest.fixture(scope="session")
def containerd2() -> Iterator[Containerd2]:
    path_of("ctr")
    path_of("containerd")
    yield from started(Containerd2())


@pytest.fixture(scope="session")
def docker29_engine(containerd2: Containerd2) -> Iterator[DockerEngine29]:
    path_of("dockerd29")
    path_of("docker29")
    yield from started(DockerEngine29(containerd2))


@pytest.fixture(scope="session")
def buildkit(containerd2: Containerd2) -> Iterator[Buildkit]:
    path_of("buildkitd")
    path_of("buildctl")
    yield from started(Buildkit(containerd2))


@pytest.fixture
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Makes clients by name, each with an empty store and no credentials."""
    with scratch("clients") as home:

        def make(name: str) -> Client:
            folder = home / name
            folder.mkdir()
            if name in WITH_DAEMON:
                client, daemon = WITH_DAEMON[name]
                return client(folder, request.getfixturevalue(daemon))
            if name in BUILT:
                return BUILT[name](folder)
            require(name)
            return DAEMONLESS[name](folder)

        yield make


@pytest.fixture
def skopeo(clients: Clients, registry: Registry) -> Skopeo:
    """A skopeo that is logged in."""
    made = clients("skopeo")
    assert isinstance(made, Skopeo)
    made.login(registry)
    return made
