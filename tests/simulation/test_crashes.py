"""What meets, in every order, with a crash or a lost answer at every write; and three that meet."""

from collections.abc import Callable

import pytest

from tests.simulation.explorer import Report, Scenario
from tests.simulation.scenarios import BIG_CROWDS, CROWDS, LARGE, LISTS, PAIRS, small

type Explore = Callable[..., Report]


SMALL = {**PAIRS, **CROWDS, **LISTS}


@pytest.mark.parametrize("scenario", SMALL.values(), ids=SMALL)
def test_one_crashes(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", LARGE.values(), ids=LARGE)
def test_one_crashes_over_a_large_manifest(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", BIG_CROWDS.values(), ids=BIG_CROWDS)
def test_three_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)
