"""The emulator, and replicas of the registry on it: real processes of `infra.host`."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from tests.support.emulators import emulator
from tests.support.hosts import Host, Registry, running, settings_of

DRAIN_SECONDS = 3
MODULE, HASTY, POOR = "infra.host", "tests.host.hasty_host", "tests.host.poor_host"
HTTP = ("--listen", "127.0.0.1", "--plane", "http")
NAMES = {"REGISTRY_ROOT_DOMAIN": "registries.test"}

type Replica = tuple[Host, Registry]
type Start = Callable[..., Replica]


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with emulator("host") as azurite:
        yield azurite


@pytest.fixture(scope="session")
def settings(storage: Azurite) -> dict[str, str]:
    return settings_of(storage, REGISTRY_DRAIN_SECONDS=str(DRAIN_SECONDS))


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start replicas of a plane, with more settings if asked; all end with the test."""
    with ExitStack() as stack:

        def begin(
            plane: str = "http", module: str = MODULE, options: Sequence[str] = (), **more: str
        ) -> Replica:
            arguments = ("--listen", "127.0.0.1", "--plane", plane, *options)
            log = Path(tempfile.mkstemp(dir=tmp_path)[1])
            own = {**settings, **more}
            return stack.enter_context(running(own, log, module=module, arguments=arguments))

        yield begin


@pytest.fixture(scope="session")
def replica(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    """A replica that answers HTTP, for tests that do it no harm; it trusts a proxy elsewhere."""
    own = {**NAMES, "REGISTRY_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.2"}
    log = tmp_path_factory.mktemp("replica") / "log"
    with running({**settings, **own}, log, module=MODULE, arguments=HTTP) as pair:
        yield pair


@pytest.fixture(scope="session")
def hasty(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A replica that gives its clients less time, and takes fewer."""
    own = {**settings, "REGISTRY_BLOB_REDIRECTS": "false"}
    log = tmp_path_factory.mktemp("hasty") / "log"
    with running(own, log, module=HASTY, arguments=HTTP) as pair:
        yield pair
