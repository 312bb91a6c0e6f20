"""The explorer: runs a few processes in every order of their calls to storage, and with crashes.

It goes depth first, and takes each run from the start. A state that was seen before (the same
rows, objects and time; every process has learned the same) is not gone on from: so calls that do
not meet are tried in one order. At every new state, and at the end of each run, the promises are
checked; at the end, what failed is given up or repeated, time moves on, and what is unused is
collected, and all events are handed on.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from shared.errors import RegistryError
from shared.storage.ages import L
from shared.storage.ports import Unavailable
from tests.simulation import aftermath, promises
from tests.simulation.gates import FAULTS, Gate, Way
from tests.simulation.loop import Loop
from tests.simulation.operations import Operation
from tests.simulation.world import GRACE, Process, World

_REPEATER = 0x100


class Broken(AssertionError):
    """A promise does not hold; says after which calls."""


@dataclass(frozen=True)
class Scenario:
    """A world, and processes that each do some operations, one after the other.

    With a `page`, no scan is of one moment: it reads so many rows at a time.
    """

    world: World
    processes: Sequence[Sequence[Operation]]
    is_sparse: bool = False
    page: int | None = None

    def run(self, loop: Loop) -> "Run":
        """Begin a run through it."""
        return Run(self, loop)


@dataclass(slots=True)
class Report:
    """How many runs and states there were, and how many runs ended."""

    runs: int = 0
    states: int = 0
    ends: int = 0


@dataclass(slots=True, eq=False)
class Deed:
    """An operation under way or done; `started` and `ended` count the calls of the run."""

    operation: Operation
    started: int | None = None
    ended: int | None = None
    since: datetime | None = None
    is_refused: bool = False


@dataclass(slots=True, eq=False)
class Actor:
    """A process at its work."""

    number: int
    deeds: list[Deed]
    process: Process
    gate: Gate
    is_hurt: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether it does nothing more."""
        return self.gate.is_dead or (self.task is not None and self.task.done())

    def open_deeds(self) -> list[Deed]:
        """Give what was neither acknowledged nor refused."""
        if any(deed.is_refused for deed in self.deeds):
            return []
        return [deed for deed in self.deeds if deed.ended is None]


@dataclass(frozen=True, slots=True)
class Option:
    """What can happen next."""

    actor: Actor
    way: Way


class Run:
    """One run through a scenario."""

    def __init__(self, scenario: Scenario, loop: Loop) -> None:
        self.is_sparse, self.page = scenario.is_sparse, scenario.page
        self.world = scenario.world.copy()
        self.loop = loop
        self.calls = 0
        self.trace: list[str] = []
        self.deeds: list[Deed] = []
        self.actors = [
            self._actor(number, operations)
            for number, operations in enumerate(scenario.processes, 1)
        ]
        for actor in self.actors:
            actor.task = loop.start(self._live(actor))
        loop.settle()
        self._check_endings()

    def _actor(self, number: int, operations: Sequence[Operation]) -> Actor:
        deeds = [Deed(operation) for operation in operations]
        self.deeds += deeds
        gate = Gate(self.world.clock)
        gate.page = self.page
        if any(operation.is_slow for operation in operations):
            gate.limit = L
        return Actor(number, deeds, self.world.process(number, gate), gate)

    async def _live(self, actor: Actor) -> None:
        for deed in actor.deeds:
            try:
                await deed.operation.run(actor.process)
            except RegistryError as error:
                if deed.operation.is_refused_unfairly(self.world):
                    raise
                if actor.is_hurt:
                    return
                if not isinstance(error, deed.operation.refusals):
                    raise
                deed.is_refused = True
                return
            except Unavailable:
                if not actor.is_hurt and not actor.gate.limit:
                    raise
                return
            self._end(deed)

    def _end(self, deed: Deed) -> None:
        if deed.started is None:
            deed.started = self.calls
        deed.ended, deed.since = self.calls, self.world.clock.now

    def options(self, *, faults: bool) -> list[Option]:
        """List what can happen next."""
        waiting = [actor for actor in self.actors if not actor.is_over and actor.gate.waiting]
        unnoticed = [actor for actor in waiting if not actor.gate.waiting[0].is_noticed]
        ways = (Way.WELL, *FAULTS) if faults and not self.is_hurt else (Way.WELL,)
        return [
            Option(actor, way)
            for actor in (unnoticed[:1] or waiting)
            for way in ways
            if way is Way.WELL or actor.gate.waiting[0].is_write
        ]

    @property
    def is_hurt(self) -> bool:
        """Tell whether something went wrong already."""
        return any(actor.is_hurt for actor in self.actors)

    def take(self, option: Option) -> None:
        """Let it happen; raise Broken where it ends in an error that is no answer."""
        actor = option.actor
        call = actor.gate.waiting.popleft()
        self.calls += 1
        deed = next(deed for deed in actor.deeds if deed.ended is None)
        if deed.started is None:
            deed.started = self.calls
        actor.is_hurt = actor.is_hurt or option.way is not Way.WELL
        self.trace.append(
            f"{actor.number} {type(deed.operation).__name__}: {call.name} {option.way.value}"
        )
        call.turn.set_result(option.way)
        self.loop.settle()
        self._check_endings()

    def signature(self) -> int:
        """Tell two states apart."""
        actors = tuple(
            (actor.is_hurt, "over" if actor.is_over and actor.is_hurt else actor.gate.state())
            for actor in self.actors
        )
        deeds = tuple(
            (deed.started is not None, deed.since, deed.is_refused) for deed in self.deeds
        )
        order = tuple(
            one.started is not None and two.ended is not None and two.ended < one.started
            for one in self.deeds
            for two in self.deeds
        )
        return hash((self.world.signature(), actors, deeds, order))

    def _check_endings(self) -> None:
        for actor in self.actors:
            if actor.task and actor.task.done() and (error := actor.task.exception()):
                raise self._broken(f"process {actor.number} ended with {error!r}") from error

    def check(self) -> None:
        """Raise Broken where a promise does not hold."""
        for fault in self._faults():
            raise self._broken(fault)

    def _faults(self) -> Iterator[str]:
        yield from promises.broken(self.world, is_sparse=self.is_sparse)
        for deed in self.deeds:
            if deed.since is not None:
                yield from deed.operation.broken(self.world, self._others(deed), deed.since)

    def _others(self, deed: Deed) -> list[Operation]:
        assert deed.started is not None
        return [
            other.operation
            for other in self.deeds
            if other is not deed
            and other.started is not None
            and not other.is_refused
            and (other.ended is None or other.ended >= deed.started)
        ]

    def _broken(self, what: str) -> Broken:
        return Broken("\n  ".join([what, *self.trace]))

    def finish(self) -> None:
        """Check what is left in the end, of clients that give up and of those that try again."""
        unfinished = [deed for actor in self.actors for deed in actor.open_deeds()]
        if unfinished:
            world, trace = self.world, len(self.trace)
            self.world = world.copy()
            self._clear()
            self.world = world
            del self.trace[trace:]
        for number, deed in enumerate(unfinished, _REPEATER):
            self._repeat(deed, number)
        self.check()
        self._clear()

    def _clear(self) -> None:
        """Let time pass, collect what is unused, and hand on the events."""
        self._wait_and_collect()
        self.check()
        self.trace.append("events are handed on")
        aftermath.hand_on(self.world, self.loop)
        self._wait_and_collect()
        for fault in self._faults_at_last():
            raise self._broken(fault)

    def _wait_and_collect(self) -> None:
        self.world.clock.now += 2 * GRACE
        self.trace.append("time passes")
        for _ in range(2):
            try:
                aftermath.collect(self.world, self.loop)
            except RegistryError as error:
                raise self._broken(f"the aftermath ended with {error!r}") from error

    def _faults_at_last(self) -> Iterator[str]:
        yield from promises.broken(self.world, is_sparse=self.is_sparse)
        yield from promises.left(self.world)
        yield from promises.listed_for_nothing(self.world)
        yield from promises.out_of_step(self.world)

    def _repeat(self, deed: Deed, number: int) -> None:
        operation = deed.operation.again()
        if operation is None:
            return
        self.calls += 1
        again = Deed(operation, started=self.calls)
        self.trace.append(f"again {type(operation).__name__}")
        try:
            self.loop.complete(operation.run(self.world.process(number)))
        except operation.refusals:
            return
        self._end(again)
        self.deeds.append(again)

    def close(self) -> None:
        """End what still waits."""
        for actor in self.actors:
            actor.gate.is_dead = True
            if actor.task:
                actor.task.cancel()
        self.loop.settle()
        for actor in self.actors:
            if actor.task and not actor.task.cancelled():
                actor.task.exception()


@dataclass(slots=True)
class Choice:
    """Which of how many options was taken."""

    taken: int
    of: int


@dataclass(slots=True)
class Explorer:
    """Goes through the runs of a scenario."""

    scenario: Scenario
    faults: bool
    report: Report = field(default_factory=Report)
    seen: set[int] = field(default_factory=set)

    def explore(self) -> Report:
        """Go through all; raises Broken at the first promise that does not hold."""
        loop = Loop()
        try:
            path: list[Choice] | None = []
            while path is not None:
                path = self._next(self._run(path, loop))
        finally:
            loop.close()
        return self.report

    def _run(self, path: list[Choice], loop: Loop) -> list[Choice]:
        run = self.scenario.run(loop)
        self.report.runs += 1
        taken: list[Choice] = []
        try:
            for step in count():
                options = run.options(faults=self.faults)
                if not options:
                    run.finish()
                    self.report.ends += 1
                    break
                choice = path[step] if step < len(path) else Choice(0, len(options))
                taken.append(choice)
                run.take(options[choice.taken])
                if step >= len(path) - 1 and not self._is_new(run):
                    break
        finally:
            run.close()
        return taken

    def _is_new(self, run: Run) -> bool:
        signature = run.signature()
        if signature in self.seen:
            return False
        self.seen.add(signature)
        self.report.states += 1
        run.check()
        return True

    @staticmethod
    def _next(path: list[Choice]) -> list[Choice] | None:
        while path and path[-1].taken + 1 == path[-1].of:
            path.pop()
        if not path:
            return None
        path[-1] = Choice(path[-1].taken + 1, path[-1].of)
        return path


def explore(scenario: Scenario, *, faults: bool = False) -> Report:
    """Run a scenario in every order; with `faults`, with one of them at every write, too.

    Those ways include all in which nothing goes wrong.
    """
    return Explorer(scenario, faults).explore()
