"""What each client sees of the body limit behind Microsoft's HTTP path.

The limit holds for one request. A client that brings a layer in one request cannot push a larger
one, whether it says the length or not; the README's table of what a client needs rests on this one.
"""

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows, listings, tools
from tests.support.clients import Client, ClientError, keep_credentials
from tests.support.go_clients import MIB, Program, by_address, logged_in
from tests.support.go_daemons import Buildkit
from tests.support.hosts import PARTING_SECONDS, Host, Registry, running
from tests.support.images import Image, image, random_bytes
from tests.support.layouts import stored
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.clients,
    pytest.mark.direct("starts a front of its own"),
    pytest.mark.timeout(180),
]

LIMIT, BELOW, ABOVE = 4 * MIB, 3 * MIB, 6 * MIB
TAG = "1.0.0"

# The front answers before it has read the body and hangs up: who still sends may miss the answer.
REFUSED = "500:? Internal Server Error|broken pipe|connection reset by peer"
SUCCESS, KILLED = 0, None
SEEN: dict[str, dict[int | None, str]] = {
    "docker": {1: REFUSED},
    "docker-py": {KILLED: "Retrying in 5 seconds"},
    "podman": {125: f"writing blob: .*({REFUSED})"},
    "buildah": {125: f"writing blob: .*({REFUSED})"},
    "skopeo": {1: f"writing blob: .*({REFUSED})"},
    "ctr": {KILLED: "manifest-.*: waiting", 1: f"failed to copy: .*({REFUSED}|closed pipe)"},
    "ctr2": {1: f"failed to copy: .*({REFUSED})"},
    "docker29": {1: f"failed to copy: .*({REFUSED})"},
    "buildkit": {1: f"failed to push .*({REFUSED})"},
    "crane": {1: f"Error: .*({REFUSED})"},
    "cosign": {1: f"Error: remote write: .*({REFUSED})"},
    "oras": {1: f"Error from destination registry .*({REFUSED})"},
    "helm": {1: REFUSED},
    "regctl": {SUCCESS: "", 1: "digest mismatch"},
    "regctl in chunks": {SUCCESS: ""},
}
"""How each ends above the limit, and what it says.

docker tries five times, in a minute, and docker-py is told of each try. ctr 1.6 mostly misses the
answer and waits on. regctl goes over to chunks by itself, after 20 s, but now and then its own
check of the layer fails on the way: told to send chunks from the start it is quick and sure.
"""

PATIENCE_SECONDS = {"docker-py": 5, "ctr": 10}
"""After these seconds a client is killed; all others end by themselves."""

OF_DEBIAN = {"docker", "docker-py", "podman", "buildah", "skopeo", "ctr"}


def grouped(name: str) -> object:
    """Run a client where its daemon is."""
    group = "engine" if name in OF_DEBIAN else "circle"
    return pytest.param(name, marks=pytest.mark.xdist_group(group))


class Trip(Protocol):
    """Something that a client is about to push, and to pull again."""

    def push(self) -> None: ...

    def pull(self) -> None: ...


@dataclass(frozen=True)
class OfImage:
    """An image with one layer."""

    client: Client
    registry: Registry
    repository: str
    built: Image

    @property
    def reference(self) -> str:
        return f"{self.registry.login_server}/{self.repository}:{TAG}"

    def load(self) -> None:
        self.client.login(self.registry)
        self.client.load(self.built, self.reference)

    def push(self) -> None:
        self.client.push(self.reference)

    def pull(self) -> None:
        self.client.remove(self.reference)
        pushed = flows.resolve(self.registry, self.repository, TAG)
        assert self.client.pull(self.reference) == stored(self.built, pushed)


@dataclass(frozen=True)
class OfChart:
    """A chart, which helm brings as one layer."""

    helm: Program
    registry: Registry
    repository: str

    def load(self, size: int) -> None:
        folder, name = self.helm.folder, self.repository.rpartition("/")[2]
        chart = folder / "chart"
        chart.mkdir()
        (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {TAG}\n")
        for number in range(2):  # helm takes no file above 5 MiB
            content = random_bytes(size // 2, secrets.randbits(30))
            (chart / f"part-{number}").write_bytes(content)
        self.helm.run("package", "chart")
        (folder / f"{name}-{TAG}.tgz").rename(folder / "packed.tgz")

    def push(self) -> None:
        parent = f"oci://{self.registry.login_server}/{self.repository.rpartition('/')[0]}"
        self.helm.run("push", "--plain-http", "packed.tgz", parent)

    def pull(self) -> None:
        where = f"oci://{self.registry.login_server}/{self.repository}"
        self.helm.run("pull", "--plain-http", f"--version={TAG}", where)
        (pulled,) = self.helm.folder.glob(f"*-{TAG}.tgz")
        assert pulled.read_bytes() == (self.helm.folder / "packed.tgz").read_bytes()


@dataclass(frozen=True)
class OfBuild:
    """An image that BuildKit builds and pushes."""

    buildctl: Program
    buildkit: Buildkit
    registry: Registry
    repository: str

    def load(self, size: int) -> None:
        folder = self.buildctl.folder
        keep_credentials(folder / ".docker" / "config.json", self.registry)
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY large /large\n")
        (folder / "large").write_bytes(random_bytes(size, secrets.randbits(30)))

    def push(self) -> None:
        name = f"{self.registry.login_server}/{self.repository}:{TAG}"
        self.buildctl.run(
            f"--addr={self.buildkit.address}",
            "build",
            "--frontend=dockerfile.v0",
            "--local=context=.",
            "--local=dockerfile=.",
            f"--output=type=image,name={name},push=true",
        )

    def pull(self) -> None:
        """Read what was pushed: BuildKit pulls nothing by itself."""
        assert flows.pull(self.registry, self.repository, TAG).blobs


@pytest.fixture(scope="module")
def served(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    own = {**settings, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT)}
    with running(own, tmp_path_factory.mktemp("limits") / "log", tools.front()) as (host, opened):
        yield host, by_address(opened)


@pytest.fixture
def host(served: tuple[Host, Registry]) -> Host:
    return served[0]


@pytest.fixture
def registry(served: tuple[Host, Registry]) -> Registry:
    return served[1]


@pytest.fixture
def repository() -> str:
    return f"limits/{secrets.token_hex(4)}/made"


@pytest.fixture
def load(
    request: pytest.FixtureRequest,
    clients: Clients,
    registry: Registry,
    repository: str,
    tmp_path: Path,
) -> Callable[[str, int], Trip]:
    """Makes a client that holds a layer of a size."""

    def made(name: str, size: int) -> Trip:
        if name == "helm":
            chart = OfChart(logged_in("helm", tmp_path, registry), registry, repository)
            chart.load(size)
            return chart
        if name == "buildkit":
            daemon = request.getfixturevalue("buildkit")
            build = OfBuild(Program("buildctl", tmp_path), daemon, registry, repository)
            build.load(size)
            return build
        built = image(secrets.randbits(30), layers=1, size=size)
        trip = OfImage(clients(name), registry, repository, built)
        trip.load()
        trip.client.patience = PATIENCE_SECONDS.get(name, trip.client.patience)
        return trip

    return made


def outcome(trip: Trip) -> tuple[int | None, str]:
    """Push, and give the exit status and what was printed; no status where it was killed."""
    try:
        trip.push()
    except ClientError as error:
        return error.status, str(error)
    except subprocess.TimeoutExpired as error:
        told = error.output or b""
        return KILLED, told.decode() if isinstance(told, bytes) else told
    return SUCCESS, ""


@pytest.mark.parametrize("name", [grouped(each) for each in SEEN])
def test_below_the_limit_a_layer_makes_the_round_trip(
    name: str, load: Callable[[str, int], Trip]
) -> None:
    trip = load(name, BELOW)
    trip.push()
    trip.pull()


@pytest.mark.parametrize("name", [grouped(each) for each in SEEN])
def test_above_the_limit_a_client_sees_what_the_table_says(
    name: str, load: Callable[[str, int], Trip], host: Host, registry: Registry, repository: str
) -> None:
    trip = load(name, ABOVE)
    status, told = outcome(trip)
    assert status in SEEN[name], told
    assert re.search(SEEN[name][status], told)
    until(lambda: not host.invocations(), PARTING_SECONDS)
    if status == SUCCESS:
        assert host.log().count(f"upload_append /v2/{repository}/") > ABOVE // LIMIT
        trip.pull()
    else:
        assert listings.status(registry, repository, TAG) == 404
