"""The emulator, and a registry on it for the soak."""

from collections.abc import Iterator

import pytest

from infra.devhost.storage import Azurite, StorageError
from tests.protocol.conftest import scratch
from tests.support.tools import unavailable


@pytest.fixture
def emulator() -> Iterator[Azurite]:
    """An emulator of the test's own, over a folder."""
    with scratch("soak") as folder:
        azurite = Azurite(folder)
        try:
            azurite.start()
        except StorageError as error:
            unavailable(str(error))
        yield azurite
        azurite.stop()


@pytest.fixture
def operations(request: pytest.FixtureRequest) -> int:
    """How much happens."""
    return int(request.config.getoption("--operations"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Which run it is."""
    return int(request.config.getoption("--seed"))
