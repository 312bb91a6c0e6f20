"""Whatever call breaks on the way of a letter, and however: it is done, and leaves nothing.

The way is a long one: it fails, kills who runs it until the host gives up, is revived, kills once
more, and is well then. A call to storage breaks before it took effect, or after; what made it is
told, or dies. All single ones are tried, and many pairs.
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from itertools import product
from typing import Any

import pytest

from shared.services.letters.failing import FailingLetters
from shared.services.letters.poison import Poison
from shared.services.letters.retries import Retries
from shared.services.letters.sleepers import Sleepers
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.ports import Unavailable
from shared.storage.rows.failing import Failures
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.unit.services.letters.conftest import DOWN, Died, Host, Work

LIFE, PEACE = timedelta(hours=2), timedelta(days=5)
METHODS = {"messages": ("send", "receive", "delete"), "rows": ("commit", "get", "scan")}
PAIRS = 100


class Way(Enum):
    """How a call breaks."""

    REFUSED = False, Unavailable("refused")
    LOST = True, Unavailable("the answer is lost")
    DIED_BEFORE = False, Died()
    DIED_AFTER = True, Died()


type Faults = dict[int, Way]


class Calls:
    """Counts the calls to storage, and breaks some."""

    def __init__(self, memory: Memory, faults: Faults) -> None:
        self.count = 0
        self._faults = faults
        for name, methods in METHODS.items():
            port = getattr(memory, name)
            for method in methods:
                setattr(port, method, self._breaking(getattr(port, method)))

    def _breaking(self, call: Any) -> Any:
        async def broken(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            way = self._faults.get(self.count)
            if way is None:
                return await call(*arguments, **options)
            takes_effect, error = way.value
            if takes_effect:
                await call(*arguments, **options)
            raise error

        return broken


class World:
    """A registry's letters, of which one is on its way."""

    def __init__(self, clock: Clock) -> None:
        self.memory = Memory(clock)
        late = LateMessages(self.memory.messages, clock, Ids())
        failures = Failures(self.memory.rows)
        retries = Retries(late, failures, clock)
        poison = Poison(late, retries, failures, clock, clock.ticks)
        sleepers = Sleepers(late, failures, clock, clock.ticks)
        self.failures, self.late = failures, late
        self.failing = FailingLetters(late, failures, poison, clock)
        self.host = Host(self.memory, retries, sleepers, poison, clock)


async def lived(faults: Faults, body: str, work: Work) -> tuple[World, int]:
    """Let a letter live, and then be left in peace; count the calls of its life."""
    world = World(Clock())
    await world.memory.prepare()
    await world.late.send(keys.UPKEEP, body)
    calls = Calls(world.memory, faults)
    await world.host.live(LIFE, work.do)
    count = calls.count
    faults.clear()
    await world.host.live(PEACE, work.do, PEACE / 10)
    return world, count


def troubled() -> Work:
    return Work(DOWN, *[Died()] * 6)


async def count_of(body: str, work: Work) -> int:
    return (await lived({}, body, work))[1]


async def singles(count: int) -> Iterator[Faults]:
    return ({place: way} for place, way in product(range(1, count + 1), Way))


async def pairs(count: int) -> Iterator[Faults]:
    chance = random.Random(12)
    places = [chance.sample(range(1, count + 1), 2) for _ in range(PAIRS)]
    return ({place: chance.choice([*Way]) for place in two} for two in places)


@pytest.mark.parametrize("some", [singles, pairs])
async def test_a_letter_is_done_and_leaves_nothing(some: Any) -> None:
    for faults in await some(await count_of("text", troubled())):
        told, work = str(faults), troubled()
        world, _ = await lived(faults, "text", work)
        assert set(work.done) == {"text"}, told
        assert world.memory.messages.sent == [], told
        assert await world.failures.page("", 10) == [], told


@pytest.mark.parametrize("some", [singles, pairs])
async def test_what_cannot_be_read_is_in_its_row_alone(some: Any) -> None:
    for faults in await some(await count_of("unreadable", Work())):
        told = str(faults)
        world, _ = await lived(faults, "unreadable", Work())
        assert world.memory.messages.sent == [], told
        (row,) = await world.failures.page("", 10)
        assert (row.due, row.letter.body) == (None, "unreadable"), told
