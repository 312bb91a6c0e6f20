"""What meets, in every order of the calls to storage. Nothing goes wrong here, but the others."""

from collections.abc import Callable

import pytest

from tests.simulation.explorer import Report, Scenario
from tests.simulation.scenarios import BIG_LARGE, LARGE, PAIRS, small

type Explore = Callable[..., Report]


@pytest.mark.parametrize("scenario", PAIRS.values(), ids=PAIRS)
def test_two_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)


@pytest.mark.parametrize(
    "scenario", [*LARGE.values(), *BIG_LARGE.values()], ids=[*LARGE, *BIG_LARGE]
)
def test_two_meet_over_large_manifests(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario)
