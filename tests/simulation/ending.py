"""Endings: what has to hold at a state, and what comes of it in the end.

At the end what failed is given up or repeated, time moves on, and what is unused is collected, and
all events are handed on.
"""

from collections.abc import Iterator

from shared.errors import RegistryError
from tests.simulation import aftermath, promises
from tests.simulation.loop import Loop
from tests.simulation.states import Broken, Deed, State
from tests.simulation.world import GRACE

_REPEATER = 0x100


class Ending:
    """A state that is looked at, and may be brought to an end."""

    def __init__(
        self, state: State, loop: Loop, known: set[int] | None = None, *, is_sparse: bool
    ) -> None:
        self.state, self.loop, self.is_sparse = state, loop, is_sparse
        self._known = set[int]() if known is None else known
        self.world = state.world
        self.deeds, self.calls = [*state.deeds], state.calls
        self.trace: list[str] = []

    def check(self) -> None:
        """Raise Broken where a promise does not hold."""
        if self._is_known("now"):
            return
        for fault in self._faults():
            raise self._broken(fault)

    def _faults(self) -> Iterator[str]:
        yield from promises.broken(self.world, is_sparse=self.is_sparse)
        yield from self._unkept()

    def _unkept(self) -> Iterator[str]:
        """Tell what does not hold that was promised by what is done."""
        for deed in self.deeds:
            if deed.since is not None:
                others = [other.operation for other in self._others(deed)]
                yield from deed.operation.broken(self.world, others, deed.since)

    def _is_known(self, what: str) -> bool:
        """Tell whether just this was looked at before: the same world, and the same deeds."""
        deeds = [
            (deed.number, deed.since, *(other.number for other in self._others(deed)))
            for deed in self.deeds
            if deed.since is not None
        ]
        key = hash((what, self.world.whole(), self.state.is_hurt, *deeds))
        is_known = key in self._known
        self._known.add(key)
        return is_known

    def _others(self, deed: Deed) -> list[Deed]:
        assert deed.started is not None
        return [
            other
            for other in self.deeds
            if other is not deed
            and other.started is not None
            and not other.is_refused
            and (other.ended is None or other.ended >= deed.started)
        ]

    def _broken(self, what: str) -> Broken:
        return self.state.broken(what, *self.trace)

    def finish(self) -> None:
        """Check what is left in the end, of clients that give up and of those that try again."""
        unfinished = [*self.state.unfinished()]
        if unfinished:
            self.world = self.state.world.copy()
            self._clear()
            self.trace.clear()
        self.world = self.state.world.copy()
        for number, deed in enumerate(unfinished, _REPEATER):
            self._repeat(deed, number)
        self.check()
        self._clear()

    def _clear(self) -> None:
        """Let time pass, collect what is unused, and hand on the events."""
        if self._is_known("at last"):
            return
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
        started = self.calls
        self.trace.append(f"again {type(operation).__name__}")
        try:
            self.loop.complete(operation.run(self.world.process(number)))
        except operation.refusals:
            return
        since = self.world.clock.now
        again = Deed(~deed.number, operation, started, ended=self.calls, since=since)
        self.deeds.append(again)
