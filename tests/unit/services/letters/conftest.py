"""Letters over memory, and what a host does with them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from shared.services.letters.failing import FailingLetters
from shared.services.letters.poison import Poison
from shared.services.letters.retries import Retries
from shared.services.letters.sleepers import Sleepers
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter
from shared.storage.ports import Received, Unavailable
from shared.storage.rows.failing import Failures
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.support.messages import letter_of

RUN = timedelta(minutes=5)
DOWN = Unavailable("the table is busy")
TRIES = 5
"""How often the host tries a message."""

type Do = Callable[[str], Awaitable[None]]


@pytest.fixture
def late(prepared: Memory, clock: Clock) -> LateMessages:
    return LateMessages(prepared.messages, clock, Ids())


@pytest.fixture
def failures(memory: Memory) -> Failures:
    return Failures(memory.rows)


@pytest.fixture
def retries(late: LateMessages, failures: Failures, clock: Clock) -> Retries:
    return Retries(late, failures, clock)


@pytest.fixture
def sleepers(late: LateMessages, failures: Failures, clock: Clock) -> Sleepers:
    return Sleepers(late, failures, clock, clock.ticks)


@pytest.fixture
def poison(late: LateMessages, retries: Retries, failures: Failures, clock: Clock) -> Poison:
    return Poison(late, retries, failures, clock, clock.ticks)


@pytest.fixture
def failing(late: LateMessages, failures: Failures, poison: Poison, clock: Clock) -> FailingLetters:
    return FailingLetters(late, failures, poison, clock)


@pytest.fixture
def host(
    memory: Memory, retries: Retries, sleepers: Sleepers, poison: Poison, clock: Clock
) -> "Host":
    return Host(memory, retries, sleepers, poison, clock)


class Died(BaseException):
    """The process that ran a message is gone."""


BROKEN = (Died, Unavailable)


class Work:
    """What a function does: it fails as often as it is told to."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = [*failures]
        self.done: list[str] = []

    async def do(self, text: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.done.append(text)


def read(body: bytes) -> str:
    """Read a message, unless it says that it cannot be read."""
    text = body.decode()
    if text.startswith("unreadable"):
        raise ValueError(f"no message: {text}")
    return text


class Host:
    """Runs the messages of one queue, and the timers; it gives up as Azure's does."""

    def __init__(
        self,
        memory: Memory,
        retries: Retries,
        sleepers: Sleepers,
        poison: Poison,
        clock: Clock,
    ) -> None:
        self._memory, self._retries, self._clock = memory, retries, clock
        self._sleepers, self._poison = sleepers, poison
        self._tries: dict[str, int] = {}

    async def run(self, do: Do) -> None:
        """Run every message that is seen by now, and remove those that end well."""
        received: list[Received] = []
        with suppress(*BROKEN):
            received = await self._memory.messages.receive(keys.UPKEEP, 32, 600)
        for one in received:
            with suppress(*BROKEN):
                await self._run(one, do)

    async def _run(self, received: Received, do: Do) -> None:
        messages = self._memory.messages
        if self._tries.get(received.id, 0) >= TRIES:
            poison = f"{keys.UPKEEP}-poison"
            await messages.prepare([poison])
            await messages.send(poison, received.body)
        else:
            self._tries[received.id] = self._tries.get(received.id, 0) + 1
            await self._retries.run(keys.UPKEEP, received.body.encode(), read, do)
        await messages.delete(keys.UPKEEP, received)

    async def live(self, span: timedelta, do: Do, step: timedelta = RUN) -> None:
        """Let time pass, in which timers fire and messages run."""
        end = self._clock.now + span
        while self._clock.now < end:
            self._clock.now += min(step, end - self._clock.now)
            for work in (self._sleepers.wake, self._poison.see_to):
                with suppress(*BROKEN):
                    await work()
            await self.run(do)


def only(memory: Memory) -> Letter:
    """Give the only letter that there is in any queue."""
    (message,) = memory.messages.sent
    return letter_of(message)[1]


async def busy(*_: Any) -> None:
    """Be a call that fails."""
    raise Unavailable("nobody answers")
