"""The simulation itself: a state is what its calls led to, however often it was gone back to."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import pytest

from tests.simulation.blobs.scenarios import HEALING
from tests.simulation.explorer import Explorer, Scenario, explore
from tests.simulation.loop import Loop
from tests.simulation.manifests.scenarios import LIVES
from tests.simulation.operations import Operation, Push
from tests.simulation.scenarios import CROWDS, LISTS, OLD, ONE, PAIRS, A
from tests.simulation.states import State
from tests.simulation.upkeep.errands import TURNS
from tests.simulation.webhooks.scenarios import DELIVERIES
from tests.simulation.world import Process, World

SCENARIOS: Mapping[str, Scenario] = {
    name: among[name]
    for name, among in (
        ("three pushes", CROWDS),
        ("two restores", LIVES),
        ("bad bytes and an upload", HEALING),
        ("two slow pushes take turns, and who listens", TURNS),
        ("a failing delivery twice", DELIVERIES),
    )
}


def way(state: State, seed: int) -> Iterator[State]:
    """Go one way to its end."""
    choose = random.Random(seed)
    while options := state.options(faults=True):
        state = state.take(choose.choice(options))
        yield state


def alone(scenario: Scenario, seed: int) -> list[int]:
    """Go one way with processes that have gone no other."""
    loop = Loop()
    start = scenario.start(loop)
    try:
        return [state.signature() for state in way(start.state, seed)]
    finally:
        start.close()
        loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_way_leads_where_it_led_before_others_were_gone(scenario: Scenario, loop: Loop) -> None:
    start = scenario.start(loop)
    for seed in range(30):
        assert [it.signature() for it in way(start.state, seed)] == alone(scenario, seed)
    start.close()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_state_does_not_change(scenario: Scenario, loop: Loop) -> None:
    start = scenario.start(loop)
    states = [start.state, *way(start.state, 1)]
    before = [(state.signature(), state.world.whole()) for state in states]
    for state in states:
        for option in state.options(faults=True):
            [*way(state.take(option), 2)]
    assert [(state.signature(), state.world.whole()) for state in states] == before
    start.close()


@dataclass(frozen=True)
class Moody(Operation):
    """Do now this, now that, which nobody has told it."""

    moods: Iterator[int]

    async def run(self, process: Process) -> None:
        """Do it."""
        await process.stores.index.row(self.repository)
        await process.turn(f"mood {next(self.moods)}", _nothing)
        await process.stores.index.row(self.repository)


@dataclass(frozen=True)
class Note(Operation):
    """Read something, and note that beside."""

    async def run(self, process: Process) -> None:
        """Do it."""
        await process.stores.index.row(self.repository)
        await process.changes(lambda world: world.frozen.update(noted="yes"))


async def _nothing(_: World) -> None:
    return


def test_who_goes_by_what_nobody_told_it_is_found() -> None:
    with pytest.raises(AssertionError, match="was not told"):
        explore(OLD.meets([Moody(A, count())], [Push(A, ONE)]))


def test_what_is_changed_beside_a_call_that_reads_is_changed_there_alone(loop: Loop) -> None:
    start = OLD.meets([Note(A)]).start(loop)
    after = start.state.take(start.state.options(faults=False)[0])
    assert (start.state.world.frozen, after.world.frozen) == ({}, {"noted": "yes"})
    start.close()


WHOLE = {**PAIRS, **CROWDS, **LISTS, **LIVES, **HEALING}


@pytest.mark.soak
@pytest.mark.parametrize("scenario", WHOLE.values(), ids=WHOLE)
def test_looking_at_each_end_finds_no_more(scenario: Scenario) -> None:
    Explorer(scenario, faults=True, known=None).explore()
