"""What is too large to be met with crashes, too: in every order of the calls to storage."""

from collections.abc import Callable

import pytest

from tests.simulation.explorer import Report, Scenario
from tests.simulation.scenarios import BIG_LARGE, small

type Explore = Callable[..., Report]


@pytest.mark.parametrize("scenario", BIG_LARGE.values(), ids=BIG_LARGE)
def test_two_meet_over_large_manifests(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario)
