"""Actors: processes at work, each of which does next what follows from what it has heard.

So there is a tree of what an actor may hear, and at each place in it is known what it does then. A
state of the simulation is a world and a place for each actor: to go back to one nothing is run
again. A process runs where a place is new; only where another one left the way to it already, a
process of its own is brought there by the same answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from shared.errors import RegistryError
from shared.storage.ages import L
from shared.storage.ports import Unavailable
from tests.simulation.gates import Aside, Call, Gate, Reply, Silence
from tests.simulation.loop import Loop

if TYPE_CHECKING:
    from tests.simulation.operations import Operation
    from tests.simulation.world import Process, World


@dataclass(frozen=True, slots=True)
class Heard:
    """What a process heard, when, and whether something had gone wrong with it by then.

    `call` is what it had asked; nothing where it looked at the world by an aside.
    """

    call: str
    reply: Reply | Silence
    now: datetime
    is_hurt: bool

    def key(self) -> object:
        """Tell apart what leads elsewhere."""
        if isinstance(self.reply, Silence):
            return self.reply, self.now, self.is_hurt
        error = self.reply.error
        said = repr(self.reply.value) if error is None else (repr(error), vars(error).values())
        return str(said), self.now, self.is_hurt


@dataclass(slots=True, eq=False)
class Place:
    """A place in the tree: what an actor does there.

    `done` counts the operations that have ended, `learned` tells what it knows. `process` has come
    just so far, if there is one.
    """

    calls: tuple[Call, ...]
    aside: Aside | None
    done: int
    is_refused: bool
    is_over: bool
    error: BaseException | None
    learned: int
    way: tuple[Heard, ...]
    process: "Acting | None"
    after: dict[object, "Place"] = field(default_factory=dict)


class Acting:
    """A process that does some operations, one after the other."""

    def __init__(self, part: "Part", loop: Loop) -> None:
        self.world = part.shell.copy()
        self.gate = Gate(self.world.clock)
        self.gate.page = part.page
        self.gate.limit = part.limit
        self.is_hurt = self.is_refused = False
        self.done = 0
        self._loop = loop
        process = self.world.process(part.number, self.gate)
        self.task = loop.start(self._live(part.operations, process))
        loop.settle()

    async def _live(self, operations: Sequence["Operation"], process: "Process") -> None:
        for operation in operations:
            try:
                await operation.run(process)
            except RegistryError as error:
                if await self.gate.look(operation.is_refused_unfairly):
                    raise
                if self.is_hurt:
                    return
                if not isinstance(error, operation.refusals):
                    raise
                self.is_refused = True
                return
            except Unavailable:
                if not self.is_hurt and not self.gate.limit:
                    raise
                return
            self.done += 1

    def hear(self, heard: Heard) -> None:
        """Go on with what it hears."""
        self.world.clock.now, self.is_hurt = heard.now, heard.is_hurt
        asked = self.gate.waiting[0][0].title if heard.call else ""
        assert heard.call == asked, "it goes by what it was not told"
        if not heard.call:
            assert isinstance(heard.reply, Reply)
            _, turn = self.gate.asides.popleft()
            turn.set_result(heard.reply.value)
        else:
            self.gate.hear(heard.reply)
        self._loop.settle()

    def place(self, learned: int, way: tuple[Heard, ...]) -> Place:
        """Tell where it has come to."""
        task, asides = self.task, self.gate.asides
        is_over = task.done()
        return Place(
            calls=tuple(call for call, _ in self.gate.waiting),
            aside=asides[0][0] if asides else None,
            done=self.done,
            is_refused=self.is_refused,
            is_over=is_over,
            error=task.exception() if is_over else None,
            learned=learned,
            way=way,
            process=None if is_over else self,
        )

    def end(self) -> None:
        """Stop wherever it is."""
        self.task.cancel()
        self._loop.settle()
        if not self.task.cancelled():
            self.task.exception()


class Part:
    """What one process has to do, and the tree of what it may hear on the way."""

    def __init__(
        self,
        number: int,
        operations: Sequence["Operation"],
        world: "World",
        page: int | None,
        loop: Loop,
    ) -> None:
        self.number, self.operations, self.shell, self.page = number, operations, world, page
        self.limit = L if any(operation.is_slow for operation in operations) else None
        self._loop = loop
        self._started: list[Acting] = []
        self.start = self._new().place(0, ())

    def after(self, place: Place, heard: Heard) -> Place:
        """Give the place that something leads to."""
        key = heard.key()
        found = place.after.get(key)
        if found is None:
            process = place.process or self._brought_to(place)
            place.process = None
            process.hear(heard)
            learned = self._learned(place, heard)
            found = place.after[key] = process.place(learned, (*place.way, heard))
        return found

    def _learned(self, place: Place, heard: Heard) -> int:
        if isinstance(heard.reply, Silence) or (heard.call and heard.reply.learned is None):
            return place.learned
        if not heard.call:
            return hash((place.learned, repr(heard.reply.value)))
        call = place.calls[0]
        times = (call.sent, heard.now) if self.limit else ()
        return hash((place.learned, call.name, heard.reply.learned, times))

    def _brought_to(self, place: Place) -> Acting:
        process = self._new()
        for heard in place.way:
            process.hear(heard)
        return process

    def _new(self) -> Acting:
        process = Acting(self, self._loop)
        self._started.append(process)
        return process

    def close(self) -> None:
        """Stop all processes."""
        for process in self._started:
            if not process.task.done():
                process.end()
