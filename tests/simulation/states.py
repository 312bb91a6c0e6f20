"""States: a world, and where each actor has come to; and what can happen next there.

A state does not change: what happens gives another. Two states share the world where a call between
them only reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from tests.simulation.actors import Heard, Part, Place
from tests.simulation.gates import FAULTS, Call, Reply, Silence, Way
from tests.simulation.loop import Loop
from tests.simulation.operations import Operation
from tests.simulation.world import World


class Broken(AssertionError):
    """A promise does not hold; says after which calls."""


@dataclass(frozen=True, slots=True)
class Deed:
    """An operation under way or done; `started` and `ended` count the calls of the run."""

    number: int
    operation: Operation
    started: int | None = None
    ended: int | None = None
    since: datetime | None = None
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """A process at its work; `first` is the place of the first of its deeds."""

    part: Part
    first: int
    place: Place
    is_hurt: bool = False
    is_dead: bool = False

    @property
    def is_over(self) -> bool:
        """Tell whether it does nothing more."""
        return self.is_dead or self.place.is_over

    @property
    def call(self) -> Call | None:
        """Give the call that is next, if one waits."""
        return None if self.is_over or not self.place.calls else self.place.calls[0]

    def signature(self) -> object:
        """Tell apart what it knows, and which of its calls wait again.

        Where time is limited, also since when its calls wait.
        """
        if self.is_over and self.is_hurt:
            return self.is_hurt, "over"
        calls, is_timed = self.place.calls, self.part.limit is not None
        waiting = tuple((call.since if is_timed else None, call.is_again) for call in calls)
        return self.is_hurt, (self.place.learned, waiting if is_timed or self.is_hurt else ())


@dataclass(frozen=True, slots=True)
class Option:
    """What can happen next: an actor's call goes, in one of the ways."""

    actor: int
    way: Way


@dataclass(eq=False)
class State:
    """What there is after some calls; `before` and `went` tell how it came to that."""

    world: World
    actors: list[Actor]
    deeds: list[Deed]
    calls: int = 0
    before: "State | None" = None
    went: str = ""

    @classmethod
    def start(cls, world: World, parts: Sequence[Part]) -> "State":
        """Let all begin."""
        operations = [operation for part in parts for operation in part.operations]
        state = cls(world.copy(), [], [Deed(at, each) for at, each in enumerate(operations)])
        first = 0
        for at, part in enumerate(parts):
            state.actors.append(Actor(part, first, part.start))
            state._settle(at, part.start)
            first += len(part.operations)
        return state

    @property
    def is_hurt(self) -> bool:
        """Tell whether something went wrong already."""
        return any(actor.is_hurt for actor in self.actors)

    def options(self, *, faults: bool) -> list[Option]:
        """List what can happen next."""
        calls = [(at, call) for at, it in enumerate(self.actors) if (call := it.call)]
        unnoticed = [(at, call) for at, call in calls if not call.is_noticed]
        ways = (Way.WELL, *FAULTS) if faults and not self.is_hurt else (Way.WELL,)
        return [
            Option(at, way)
            for at, call in (unnoticed[:1] or calls)
            for way in ways
            if way is Way.WELL or call.is_write
        ]

    def take(self, option: Option) -> "State":
        """Give what is when it has happened; raise Broken where it ends in what is no answer."""
        actor = self.actors[option.actor]
        call, at = actor.place.calls[0], actor.first + actor.place.done
        is_same = call.is_read or option.way is Way.DIES_BEFORE
        world = self.world if is_same else self.world.copy()
        reply = call.go(world, option.way)
        what = f"{type(self.deeds[at].operation).__name__}: {call.title} {option.way.value}"
        after = State(world, [*self.actors], self.deeds, self.calls + 1, self)
        after.went = f"{actor.part.number} {what}"
        is_hurt = actor.is_hurt or option.way is not Way.WELL
        if self.deeds[at].started is None:
            after._note(at, replace(self.deeds[at], started=after.calls))
        if reply is Silence.DEATH:
            after.actors[option.actor] = replace(actor, is_hurt=True, is_dead=True)
            return after
        after.actors[option.actor] = replace(actor, is_hurt=is_hurt) if is_hurt else actor
        heard = Heard(call.title, reply, world.clock.now, is_hurt)
        after._settle(option.actor, actor.part.after(actor.place, heard))
        return after

    def _settle(self, number: int, place: Place) -> None:
        """Let an actor look at the world wherever it does so, until it waits or is over."""
        actor = self.actors[number]
        while aside := place.aside:
            if aside.is_change and self.before and self.world is self.before.world:
                self.world = self.world.copy()
            now, reply = self.world.clock.now, Reply(aside.act(self.world))
            place = actor.part.after(place, Heard("", reply, now, actor.is_hurt))
        self.actors[number] = Actor(actor.part, actor.first, place, actor.is_hurt)
        if place.error:
            said = f"process {actor.part.number} ended with {place.error!r}"
            raise self.broken(said) from place.error
        self._note_ends(actor, place)

    def _note_ends(self, before: Actor, place: Place) -> None:
        for at in range(before.first + before.place.done, before.first + place.done):
            deed, calls = self.deeds[at], self.calls
            started = calls if deed.started is None else deed.started
            now = self.world.clock.now
            self._note(at, replace(deed, started=started, ended=calls, since=now))
        if place.is_refused:
            at = before.first + place.done
            self._note(at, replace(self.deeds[at], is_refused=True))

    def _note(self, at: int, deed: Deed) -> None:
        self.deeds = [*self.deeds[:at], deed, *self.deeds[at + 1 :]]

    @cached_property
    def world_signature(self) -> object:
        """Tell worlds apart."""
        if self.before and self.world is self.before.world:
            return self.before.world_signature
        return self.world.signature()

    def signature(self) -> int:
        """Tell two states apart."""
        actors = tuple(actor.signature() for actor in self.actors)
        deeds = tuple(
            (deed.started is not None, deed.since, deed.is_refused) for deed in self.deeds
        )
        order = tuple(
            one.started is not None and two.ended is not None and two.ended < one.started
            for one in self.deeds
            for two in self.deeds
        )
        return hash((self.world_signature, actors, deeds, order))

    def unfinished(self) -> Iterator[Deed]:
        """Give what was neither acknowledged nor refused."""
        for actor in self.actors:
            deeds = self.deeds[actor.first : actor.first + len(actor.part.operations)]
            if not any(deed.is_refused for deed in deeds):
                yield from (deed for deed in deeds if deed.ended is None)

    def broken(self, what: str, *later: str) -> Broken:
        """Say what does not hold, and all that went before."""
        went: list[str] = []
        state: State | None = self
        while state:
            went += [state.went] if state.went else []
            state = state.before
        return Broken("\n  ".join([what, *reversed(went), *later]))


class Start:
    """The first state of some processes that meet in a world, and what they are made of."""

    def __init__(
        self, world: World, processes: Sequence[Sequence[Operation]], page: int | None, loop: Loop
    ) -> None:
        self._parts = [
            Part(number, operations, world, page, loop)
            for number, operations in enumerate(processes, 1)
        ]
        self.state = State.start(world, self._parts)

    def close(self) -> None:
        """Stop all processes."""
        for part in self._parts:
            part.close()
