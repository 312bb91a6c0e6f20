"""Upkeep meets clients and itself; calls are slow, or come twice; parts are completed."""

from collections.abc import Callable

import pytest

from tests.simulation.explorer import Report, Scenario
from tests.simulation.scenarios import small
from tests.simulation.upkeep.errands import (
    COMPLETED,
    DEAD,
    ECHOES,
    ERRANDS,
    LARGE_ECHOES,
    SLOW,
    SLOW_BUILDS,
    TURNS,
    middle,
)

type Explore = Callable[..., Report]

WHOLE = {**ERRANDS, **SLOW}
WELL = {**WHOLE, **ECHOES, **TURNS}
IN_PARTS = {**DEAD, **SLOW_BUILDS}
UNHURT = {
    "after a deletion, twice",
    "a purge when it is due, twice",
    "a purge when it is due, and another deletion",
    "a purge, and hours after a referrer comes",
    "a purge, and a referrer comes hours later",
    "a purge, and the subject comes hours later",
    "a first push, and another comes, goes and retires",
    "after a deletion, and a restore",
    "what nobody may read goes, and a push comes",
    "a purge of the first of two lives",
    "a dead restore, and a deletion",
    "a dead restore, and a push of another",
    "a dead restore, and a push of its tag",
    "a dead restore, ended twice",
    "a slow large push, and who listens",
    "a slow large deletion, and upkeep",
}
"""Those with so many ways that they are not tried with a crash, or in which an end is put off."""


@pytest.mark.parametrize("scenario", WELL.values(), ids=WELL)
def test_two_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)


@pytest.mark.parametrize("scenario", IN_PARTS.values(), ids=IN_PARTS)
def test_two_meet_in_parts(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario)


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - UNHURT))
def test_one_crashes(name: str, explore: Explore) -> None:
    explore(WHOLE[name], faults=True)


@pytest.mark.parametrize("name", sorted(IN_PARTS.keys() - UNHURT))
def test_one_crashes_in_parts(name: str, explore: Explore) -> None:
    with small():
        explore(IN_PARTS[name], faults=True)


@pytest.mark.parametrize("scenario", LARGE_ECHOES.values(), ids=LARGE_ECHOES)
def test_parts_come_again(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario)


@pytest.mark.parametrize("scenario", COMPLETED.values(), ids=COMPLETED)
def test_parts_are_completed(scenario: Scenario, explore: Explore) -> None:
    with middle():
        explore(scenario)
