"""Webhooks: who meets, in every order; where that is cheap, with a crash at every write."""

from collections.abc import Callable

import pytest

from tests.simulation.explorer import Report
from tests.simulation.webhooks.scenarios import ALL, patience

type Explore = Callable[..., Report]

UNHURT = {
    "a delivery that fails twice",
    "a receiver that is silent",
    "a receiver that is gone",
    "a failing delivery, and it is made anew",
    "a delivery, and a replay of it",
    "it is held, and a push is told of",
    "it is enabled, and what was kept is replayed",
    "a probe, and the delivery",
    "a probe, and a ping",
    "a probe, and a push is told of",
    "a drain, and a push is told of",
}
"""Those with so many ways that only those without a crash are tried."""


@pytest.mark.parametrize("name", sorted(UNHURT))
def test_two_meet(name: str, explore: Explore) -> None:
    with patience(name):
        explore(ALL[name])


@pytest.mark.parametrize("name", sorted(ALL.keys() - UNHURT))
def test_one_crashes(name: str, explore: Explore) -> None:
    with patience(name):
        explore(ALL[name], faults=True)
