"""The explorer: lets a few processes meet in every order of their calls to storage, with crashes.

It goes depth first, from state to state. A state that was seen before (the same rows, objects and
time; every process has learned the same) is not gone on from: so calls that do not meet are tried
in one order. At every new state, and at the end of each run, the promises are checked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.simulation.ending import Ending
from tests.simulation.loop import Loop
from tests.simulation.operations import Operation
from tests.simulation.states import Broken, Option, Start, State
from tests.simulation.world import World

__all__ = ["Broken", "Report", "Scenario", "explore"]


@dataclass(frozen=True)
class Scenario:
    """A world, and processes that each do some operations, one after the other.

    With a `page`, no scan is of one moment: it reads so many rows at a time.
    """

    world: World
    processes: Sequence[Sequence[Operation]]
    is_sparse: bool = False
    page: int | None = None

    def start(self, loop: Loop) -> Start:
        """Let all begin."""
        return Start(self.world, self.processes, self.page, loop)

    def ending(self, state: State, loop: Loop, known: set[int] | None = None) -> Ending:
        """Give what checks a state, and what comes of it in the end, if it is not `known`."""
        return Ending(state, loop, known, is_sparse=self.is_sparse)


@dataclass(slots=True)
class Report:
    """How many runs and states there were, and how many runs ended."""

    runs: int = 0
    states: int = 0
    ends: int = 0


@dataclass(slots=True)
class Explorer:
    """Goes through the states of a scenario.

    What is `known` is not looked at again; with None, each state and each end is.
    """

    scenario: Scenario
    faults: bool
    report: Report = field(default_factory=Report)
    seen: set[int] = field(default_factory=set)
    known: set[int] | None = field(default_factory=set)
    loop: Loop = field(default_factory=Loop)

    def explore(self) -> Report:
        """Go through all; raises Broken at the first promise that does not hold."""
        start = self.scenario.start(self.loop)
        try:
            self._go(start.state)
        finally:
            start.close()
            self.loop.close()
        return self.report

    def _go(self, start: State) -> None:
        path = [(start, self._options(start))]
        while path:
            state, options = path[-1]
            option = next(options, None)
            if option is None:
                path.pop()
                continue
            after = state.take(option)
            if self._is_new(after, state):
                path.append((after, self._options(after)))
            else:
                self.report.runs += 1

    def _options(self, state: State) -> Iterator[Option]:
        options = state.options(faults=self.faults)
        if not options:
            self.scenario.ending(state, self.loop, self.known).finish()
            self.report.runs += 1
            self.report.ends += 1
        return iter(options)

    def _is_new(self, state: State, before: State) -> bool:
        signature = state.signature()
        if signature in self.seen:
            return False
        self.seen.add(signature)
        self.report.states += 1
        if state.world is not before.world or state.deeds is not before.deeds:
            self.scenario.ending(state, self.loop, self.known).check()
        return True


def explore(scenario: Scenario, *, faults: bool = False) -> Report:
    """Let them meet in every order; with `faults`, with one of them at every write, too.

    Those ways include all in which nothing goes wrong.
    """
    return Explorer(scenario, faults).explore()
