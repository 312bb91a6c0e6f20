"""A registry to measure: one tree's dev host in a process of its own, on an emulator of its own."""

import http.client
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.devhost.storage import Azurite
from tests.benchmarks.processes import children, cpu_seconds
from tests.support import flows, images
from tests.support.hosts import Host, Registry, running, settings_of

REPOSITORIES = 100
FUNCTIONS = (
    "base_get",
    "blob_get",
    "manifest_get",
    "manifest_put",
    "token_issue",
    "upload_append",
    "upload_commit",
    "upload_start",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send again and again, and the status that it gets."""

    path: str
    status: int
    authorization: str = ""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers to send."""
        return {"Authorization": self.authorization} if self.authorization else {}


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of processor time a request: of the worker, and of the front before it."""

    worker: float
    front: float


@dataclass(frozen=True, slots=True)
class Site:
    """A tree's host, and the requests to measure there, by name."""

    name: str
    host: Host
    workloads: Mapping[str, Sequence[Request]]

    def measure(self, workload: str, count: int) -> Cost:
        """Send so many requests, one after another on one connection."""
        before = self._used()
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port)
        for request in itertools.islice(itertools.cycle(self.workloads[workload]), count):
            send(connection, request, self.host.login_server)
        connection.close()
        after = self._used()
        worker, front = ((b - a) * 1_000 / count for a, b in zip(before, after, strict=True))
        return Cost(worker, front)

    def _used(self) -> tuple[float, float]:
        pid = self.host.pid
        return cpu_seconds(pid), sum(map(cpu_seconds, children(pid)))


def send(connection: http.client.HTTPConnection, request: Request, login_server: str) -> None:
    """Send a request and read its answer; raises where the status is another."""
    connection.request("GET", request.path, headers={**request.headers, "Host": login_server})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != request.status:
        raise ValueError(f"{request.path}: {answer.status} {content[:200]!r}")


@contextmanager
def site(name: str, root: Path, folder: Path, front: Path | None = None) -> Iterator[Site]:
    """Start a tree's registry, with a hundred images in as many repositories."""
    log, arguments = folder / f"{name}.log", ("--functions", *FUNCTIONS)
    with Azurite(folder / name) as storage:
        settings = settings_of(storage, REGISTRY_ANONYMOUS_ACCESS="pull")
        with running(settings, log, front, root=root, arguments=arguments) as (host, registry):
            yield Site(name, host, _workloads(registry))


def _workloads(registry: Registry) -> Mapping[str, Sequence[Request]]:
    base, manifests, blobs = [], [], []
    for number in range(REPOSITORIES):
        name = f"team{number}/app"
        image = images.image(seed=number, layers=1)
        flows.push(registry, name, image, "latest")
        token = _bearer(registry, f"repository:{name}:pull")
        base.append(Request("/v2/", 200, token))
        manifests.append(Request(f"/v2/{name}/manifests/latest", 200, token))
        blobs.append(Request(f"/v2/{name}/blobs/{image.layers[0].blob.digest}", 307, token))
    return {
        "GET /v2/": base,
        "manifest by tag": manifests,
        "manifest by tag, anonymous": [_anonymous(request) for request in manifests],
        "blob redirect": blobs,
        "blob redirect, anonymous": [_anonymous(request) for request in blobs],
    }


def _bearer(registry: Registry, scope: str) -> str:
    """Get a token for one scope; asked for by its address, as nobody is sent for one here."""
    query = {"service": registry.login_server, "scope": scope}
    password = (registry.user, registry.password)
    answer = httpx.get(f"{registry.url}/oauth2/token", params=query, auth=password)
    return f"Bearer {answer.raise_for_status().json()['access_token']}"


def _anonymous(request: Request) -> Request:
    return Request(request.path, request.status)
