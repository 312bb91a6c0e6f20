"""The simulation itself: a state is what its calls led to, however often it was gone back to."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import pytest

from shared.storage.ports import Unavailable
from tests.simulation.blobs.scenarios import HEALING
from tests.simulation.explorer import Explorer, Scenario, explore
from tests.simulation.gates import Way
from tests.simulation.loop import Loop
from tests.simulation.manifests.scenarios import LIVES
from tests.simulation.operations import Operation, Push
from tests.simulation.scenarios import CROWDS, LISTS, OLD, ONE, PAIRS, A
from tests.simulation.states import Option, State
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


@dataclass(frozen=True)
class Glance(Operation):
    """Read something, look at what is noted beside, and go on."""

    async def run(self, process: Process) -> None:
        """Do it."""
        await process.stores.index.row(self.repository)
        await process.stores.index.row(self.repository)
        await process.sees(lambda world: world.frozen.get("noted"))
        await process.stores.index.row(self.repository)


@dataclass(frozen=True)
class Insist(Operation):
    """Write, and go on where nobody says that it was done."""

    async def run(self, process: Process) -> None:
        """Do it."""
        with suppress(Unavailable):
            await process.stores.index.add(self.repository)
        await process.stores.index.row(self.repository)


@dataclass(frozen=True)
class Keep(Operation):
    """List it among those of which something is kept, and strike it off if it is as it was."""

    async def run(self, process: Process) -> None:
        """Do it."""
        await process.stores.index.let_go(
            self.repository, await process.stores.index.keep(self.repository)
        )


async def _nothing(_: World) -> None:
    return


def gone(state: State, *ways: tuple[int, Way]) -> State:
    """Let actors go on in this order, each in its way."""
    for way in ways:
        state = state.take(Option(*way))
    return state


def test_who_goes_by_what_nobody_told_it_is_found() -> None:
    with pytest.raises(AssertionError, match="was not told"):
        explore(OLD.meets([Moody(A, count())], [Push(A, ONE)]))


def test_what_is_changed_beside_a_call_that_reads_is_changed_there_alone(loop: Loop) -> None:
    start = OLD.meets([Note(A)]).start(loop)
    after = start.state.take(start.state.options(faults=False)[0])
    assert (start.state.world.frozen, after.world.frozen) == ({}, {"noted": "yes"})
    start.close()


FIRST, SECOND = (0, Way.WELL), (1, Way.WELL)


@pytest.mark.parametrize(
    ("operations", "one", "other"),
    [
        ([Glance(A), Note(A)], [FIRST, FIRST, SECOND], [FIRST, SECOND, FIRST]),
        ([Keep(A), Keep(A)], [FIRST, SECOND], [SECOND, FIRST]),
        ([Insist(A)], [(0, Way.FAILS_AFTER)], [(0, Way.TWICE)]),
    ],
    ids=["what was looked at", "an ETag that is gone by", "a call that waits again"],
)
def test_states_that_lead_elsewhere_are_told_apart(
    operations: Sequence[Operation],
    one: Sequence[tuple[int, Way]],
    other: Sequence[tuple[int, Way]],
    loop: Loop,
) -> None:
    start = OLD.meets(*([each] for each in operations)).start(loop)
    ends = gone(start.state, *one), gone(start.state, *other)
    assert ends[0].world.signature() == ends[1].world.signature()
    assert ends[0].signature() != ends[1].signature()
    start.close()


WHOLE = {**PAIRS, **CROWDS, **LISTS, **LIVES, **HEALING}


@pytest.mark.soak
@pytest.mark.parametrize("scenario", WHOLE.values(), ids=WHOLE)
def test_looking_at_each_end_finds_no_more(scenario: Scenario) -> None:
    Explorer(scenario, faults=True, known=None).explore()
