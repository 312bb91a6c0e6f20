"""Under load: the event loop stays free, and memory bounded."""

import hashlib
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support import flows
from tests.support.hosts import Host, Registry

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("the front reads bodies with a length whole before our own bounds can act"),
    pytest.mark.xdist_group("load"),
]

MEBIBYTE = 1024 * 1024
BLOCK = 8 * MEBIBYTE
LARGE = 32 * BLOCK
PARALLEL = 64
PIECE = bytes(MEBIBYTE)


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watch") / "beats"


@pytest.fixture(scope="module")
def watched(
    settings: dict[str, str], watch: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    log = tmp_path_factory.mktemp("watched") / "log"
    with Host({**settings, "WATCH_FILE": str(watch)}, log, "tests.support.watched_host") as host:
        yield host


@pytest.fixture(scope="module")
def registry(watched: Host, settings: dict[str, str]) -> Registry:
    password = settings["REGISTRY_ADMIN_PASSWORD"]
    return Registry(watched.login_server, settings["REGISTRY_NAME"], password)


def body(number: int, size: int) -> Iterator[bytes]:
    yield number.to_bytes(8, "big")
    for _ in range(size // MEBIBYTE):
        yield PIECE


def digest(number: int, size: int) -> str:
    hashed = hashlib.sha256()
    for piece in body(number, size):
        hashed.update(piece)
    return f"sha256:{hashed.hexdigest()}"


def upload(client: httpx.Client, repository: str, number: int, size: int) -> None:
    location = flows.start_upload(client, repository)
    answer = client.patch(location, content=body(number, size), timeout=300)
    assert answer.status_code == 202, answer.text
    finished = flows.finish_upload(client, answer.headers["Location"], digest(number, size))
    assert finished.status_code == 201, finished.text


def lateness(watch: Path, start: float, end: float) -> list[float]:
    beats = (line.split() for line in watch.read_text().splitlines())
    return [float(late) for at, late in beats if start < float(at) < end]


def test_the_event_loop_stays_free_while_a_large_layer_is_pushed(
    registry: Registry, watch: Path
) -> None:
    with flows.connect(registry, "load/lag") as client:
        start = time.time()
        upload(client, "load/lag", 0, LARGE)
        end = time.time()

    late = lateness(watch, start, end)
    assert len(late) > 100
    assert statistics.quantiles(late, n=10)[-1] < 0.05
    assert max(late) < 1


def test_memory_is_bounded_while_64_push_at_once(watched: Host, registry: Registry) -> None:
    size = 3 * BLOCK
    with flows.connect(registry, "load/many") as warm:
        upload(warm, "load/many", 10_000, MEBIBYTE)
    watched.reset_peak()
    before = watched.resident_bytes()

    def push(number: int) -> None:
        repository = f"load/many{number % 2}"  # one alone has three quarters of the places
        with flows.connect(registry, repository) as client:
            upload(client, repository, number, size)

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(push, range(PARALLEL)))

    being_filled, on_their_way = PARALLEL * BLOCK, 8 * BLOCK
    assert watched.peak_bytes() - before < being_filled + 2 * on_their_way
    assert being_filled + 2 * on_their_way < PARALLEL * size / 2
