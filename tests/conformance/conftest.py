"""The registry under test, and the four ways of logging in to it."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.devhost.storage import Azurite, StorageError
from tests.conformance.repository import Repository
from tests.support.hosts import Registry, running, settings_of
from tests.support.tools import unavailable
from tests.support.ways import Way, client

LENIENT = {
    "REGISTRY_SPARSE_MANIFESTS": "true",
    "REGISTRY_BLOB_REDIRECTS": "false",
    "REGISTRY_MOUNT_DISCOVERY": "caller",
}
OPEN = {**LENIENT, "REGISTRY_ANONYMOUS_ACCESS": "all"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shows(*names): the requirements that a test shows")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what logs in otherwise to ask no more than others ask; mark who talks HTTP."""
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    left_out = set(logged_in_otherwise(here, is_behind=config.getoption("--behind-front")))
    config.hook.pytest_deselected(items=[*left_out])
    items[:] = [item for item in items if item not in left_out]
    for item in here:
        if "storage" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.protocol)


def logged_in_otherwise(items: Sequence[pytest.Item], *, is_behind: bool) -> Iterator[pytest.Item]:
    """Find what one way of logging in has to do for.

    Each test runs in all ways with the first of its cases, and with the others in one. Behind the
    front, whose business logins are not, pulls alone try them all.
    """
    usual = {_test(item) for item in items if _way(item) is Way.BEARER_CACHED}
    begun: set[tuple[str, object]] = set()
    for item in items:
        test, way = _test(item), _way(item)
        is_further = test in usual and (test, way) in begun
        begun.add((test, way))
        one_will_do = is_further or (is_behind and item.path.stem != "test_pull")
        if one_will_do and way not in {None, Way.BEARER_CACHED}:
            yield item


def _way(item: pytest.Item) -> object:
    called = getattr(item, "callspec", None)
    return called.params.get("way") if called else None


def _test(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


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
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


@contextmanager
def hosted(settings: Mapping[str, str], logs: Path) -> Iterator[Registry]:
    """Run the registry on a host of its own."""
    with running(settings, logs / secrets.token_hex(4)) as (_, registry):
        yield registry


@pytest.fixture(scope="session")
def closed_registry(settings: dict[str, str], logs: Path) -> Iterator[Registry]:
    """A registry that wants everyone to log in, takes sparse manifests and serves blobs itself."""
    with hosted({**settings, **LENIENT}, logs) as registry:
        yield registry


@pytest.fixture(scope="session")
def open_registry(settings: dict[str, str], logs: Path) -> Iterator[Registry]:
    """The same registry on a second host, which lets everyone do everything."""
    with hosted({**settings, **OPEN}, logs) as registry:
        yield registry


@pytest.fixture(scope="session")
def plain_registry(settings: dict[str, str], logs: Path) -> Iterator[Registry]:
    """The same registry with no setting changed: no sparse manifests, blobs by redirect."""
    with hosted(settings, logs) as registry:
        yield registry


@pytest.fixture(scope="session", params=list(Way))
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


@pytest.fixture(scope="session")
def http(way: Way, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client that logs in one of the four ways."""
    name = "open_registry" if way is Way.ANONYMOUS else "closed_registry"
    with client(way, request.getfixturevalue(name)) as http:
        yield http


@pytest.fixture
def repository(http: httpx.Client) -> Repository:
    return Repository(http)


@pytest.fixture(scope="session")
def plain_http(plain_registry: Registry) -> Iterator[httpx.Client]:
    """A client of the registry with no setting changed."""
    with client(Way.BEARER_CACHED, plain_registry) as http:
        yield http


@pytest.fixture
def plain_repository(plain_http: httpx.Client) -> Repository:
    return Repository(plain_http)
