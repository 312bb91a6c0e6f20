"""A soak in every round of tests: thousands of operations in calm, some while all goes wrong."""

import asyncio
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from tests.soak import weather
from tests.soak.asking import BrokenPromise
from tests.soak.run import Size, acted, soak
from tests.soak.worlds import world
from tests.support.emulators import emulator_in_memory

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("the front adds nothing to what is promised"),
    pytest.mark.timeout(1_500),
]

SEED = 5


@pytest.mark.xdist_group("soak")
def test_promises_hold_for_thousands_of_operations(emulator: Azurite, tmp_path: Path) -> None:
    with world(emulator, tmp_path, weather.CALM, SEED) as there:
        outcome = asyncio.run(soak(there, Size(5_000), SEED))

    assert not outcome.did["no answer"]
    assert outcome.did["mounted"]
    assert outcome.did["undelete: back"]


@pytest.mark.xdist_group("weather")
def test_promises_hold_while_all_goes_wrong(emulator: Azurite, tmp_path: Path) -> None:
    with world(emulator, tmp_path, weather.ALL_AT_ONCE, SEED) as there:
        outcome = asyncio.run(soak(there, Size(240), SEED))
        assert there.relay
        assert {fault for _, fault in there.relay.counts} >= set(weather.ALL_AT_ONCE.faults)
        assert there.relay.deliveries.counts.keys() == set(weather.ALL_AT_ONCE.deliveries)

    assert outcome.did["broken connection"]
    assert outcome.did["503"]


@pytest.mark.xdist_group("weather")
def test_a_push_that_is_not_written_is_found(emulator: Azurite, tmp_path: Path) -> None:
    fault = "a push that is acknowledged and not written"
    host = "tests.soak.planted_host"
    with (
        world(emulator, tmp_path, weather.CALM, SEED, host, PLANTED=fault) as there,
        pytest.RaisesGroup(BrokenPromise, allow_unwrapped=True, flatten_subgroups=True),
    ):
        asyncio.run(soak(there, Size(400), SEED))


@pytest.mark.xdist_group("weather")
def test_a_seed_brings_the_decisions_of_actors_back(tmp_path: Path) -> None:
    stories = []
    for run in ("first", "second"):
        (folder := tmp_path / run).mkdir()
        with (
            emulator_in_memory() as emulator,
            world(emulator, folder, weather.CALM, 7) as there,
        ):
            actors = asyncio.run(acted(there, Size(80), 7))
            stories.append([actor.story for actor in actors])

    assert stories[0] == stories[1]
    assert len({tuple(story) for story in stories[0]}) == len(stories[0])
