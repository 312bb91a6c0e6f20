"""The emulator, and a registry on it for the soak."""

from collections.abc import Iterator

import pytest

from infra.devhost.storage import Azurite
from tests.support import emulators


@pytest.fixture
def emulator() -> Iterator[Azurite]:
    """An emulator of the test's own."""
    with emulators.emulator_in_memory() as azurite:
        yield azurite


@pytest.fixture
def operations(request: pytest.FixtureRequest) -> int:
    """How much happens."""
    return int(request.config.getoption("--operations"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Which run it is."""
    return int(request.config.getoption("--seed"))
