"""A fault that is planted in the registry is found by the soak, whatever else goes well."""

import asyncio
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from tests.soak import planted_host, weather
from tests.soak.asking import BrokenPromise
from tests.soak.run import Size, soak
from tests.soak.worlds import world

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]


@pytest.mark.parametrize("fault", planted_host.FAULTS)
def test_a_fault_is_found(emulator: Azurite, tmp_path: Path, fault: str, seed: int) -> None:
    host = "tests.soak.planted_host"
    with world(emulator, tmp_path, weather.CALM, seed, host, PLANTED=fault) as there:
        try:
            asyncio.run(soak(there, Size(600), seed))
        except* (BrokenPromise, AssertionError) as found:
            print(found.exceptions)
        else:
            pytest.fail(f"nobody noticed {fault}")
