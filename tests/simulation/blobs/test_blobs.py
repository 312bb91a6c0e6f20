"""What meets over blobs, in every order, with a crash or a lost answer at every write."""

from collections.abc import Callable

import pytest

from tests.simulation.blobs.scenarios import BIG_HEALING, BLOBS, HEALING
from tests.simulation.explorer import Report, Scenario

type Explore = Callable[..., Report]


@pytest.mark.parametrize("scenario", BLOBS.values(), ids=BLOBS)
def test_blobs_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", HEALING.values(), ids=HEALING)
def test_bad_bytes_are_healed(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", BIG_HEALING.values(), ids=BIG_HEALING)
def test_bad_bytes_are_healed_in_any_order(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)
