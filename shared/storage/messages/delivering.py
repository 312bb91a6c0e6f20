"""Delivering: what is to be done for a webhook, each a message of the queue `deliveries`.

A message says what to look at, never what is there: it may come late, or twice. Which of several
messages counts, the row says that they are about: it bears a `Ticket`, and so does each message.

    T1 a message is sent, with the ticket that follows the row's
    T2 the row is changed to that ticket, by its ETag

Who dies between them leaves a message whose ticket no row bears: the message of before comes again,
and sends another one. So a message whose number is the row's, but not its draw, or whose number is
lower, is dropped: there is another, sent before the row was written. One whose number is higher may
have come before T2: it looks again, L / 10, L and 2 L after it was sent, and is dropped then, since
T2 comes within 2 L or not at all.

A drain's ticket has a row of its own, and each message of its chain another ticket: the newest
chain counts, and one that forks, as its message came twice, goes on once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Any, Self

import orjson

from shared.storage import ages, keys
from shared.storage.ports import Conflict, Messages, NotFound
from shared.storage.rows.webhooks.drains import Drain, Drains

_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-zA-Z]{1,64}|", re.ASCII)
_TICKET = re.compile(r"(\d{1,9})-([0-9a-f]{0,32})", re.ASCII)

UNSEEN = timedelta(seconds=1)
"""How long a message is not seen that is sent before the row that it is about is changed."""

_NOW = timedelta()
_TRIES = 8


class Task(StrEnum):
    """What there is to do for a webhook."""

    DELIVER = "deliver"
    """Deliver one event."""

    PROBE = "probe"
    """See whether a receiver that is held answers again."""

    DRAIN = "drain"
    """Deliver what has waited, the oldest first."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which message counts: the one of this number that was drawn so."""

    number: int = 0
    drawn: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` wrote, or nothing; raises ValueError."""
        if not text:
            return cls()
        found = _TICKET.fullmatch(text)
        if not found:
            raise ValueError(f"{text[:60]!r} is no ticket")
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        """Write it."""
        return f"{self.number}-{self.drawn}"

    def after(self, drawn: str) -> "Ticket":
        """Give the one that follows; `drawn` is never the same twice."""
        return Ticket(self.number + 1, drawn)

    def is_before(self, row: "Ticket") -> bool:
        """Tell whether a message with this ticket counts no more, once a row bears that one."""
        return self.number < row.number or (self.number == row.number and self != row)


FIRST = Ticket(1)
"""The ticket of a delivery that the fan-out has made."""


@dataclass(frozen=True, slots=True)
class ToDeliver:
    """Something to do for the webhook of this `name` and `id`.

    `event` is the TIME-ID of what is to be delivered, or after which a drain goes on. `looks` are
    how often it has come too early, `waits` how often all places were taken.
    """

    task: Task
    generation: str
    name: str
    id: str
    event: str = ""
    ticket: Ticket = FIRST
    looks: int = field(default=0, compare=False)
    waits: int = field(default=0, compare=False)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue; raises ValueError for what is none."""
        said = orjson.loads(body)
        try:
            return cls(
                Task(said["task"]),
                _matching(_ID, said["generation"]),
                _matching(_ID, said["name"]),
                _matching(_ID, said["id"]),
                _matching(_NAME, said["event"]),
                Ticket.read(said["ticket"]),
                int(said["looks"]),
                int(said["waits"]),
            )
        except (TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"it does not say what to deliver: {error!r}") from error

    def text(self) -> str:
        """Give the form that the queue holds."""
        said = {
            "task": self.task.value,
            "generation": self.generation,
            "name": self.name,
            "id": self.id,
            "event": self.event,
            "ticket": str(self.ticket),
            "looks": self.looks,
            "waits": self.waits,
        }
        return orjson.dumps(said).decode()


class Delivering:
    """Sends what is to be done for the webhooks of one registry generation."""

    def __init__(
        self, messages: Messages, generation: str, drains: Drains, new_id: Callable[[], str]
    ) -> None:
        self._messages = messages
        self._generation = generation
        self._drains = drains
        self._new_id = new_id

    async def deliver(
        self, name: str, webhook_id: str, event: str, ticket: Ticket, after: timedelta = _NOW
    ) -> None:
        """Have an event delivered to a webhook, `after` that time."""
        await self._send(Task.DELIVER, name, webhook_id, event, ticket, after)

    async def probe(self, name: str, webhook_id: str, ticket: Ticket, after: timedelta) -> None:
        """Have a receiver that is held asked."""
        await self._send(Task.PROBE, name, webhook_id, "", ticket, after)

    async def drain(self, name: str, webhook_id: str) -> None:
        """Have delivered what waits for a webhook without a message of its own.

        Sent before the webhook is changed such that it may be delivered to; seen a second later.
        It begins with the oldest, in place of a drain that runs. Raises Conflict where others ask
        all the time: one of theirs runs.
        """
        asked = ToDeliver(Task.DRAIN, self._generation, name, webhook_id)
        for _ in range(_TRIES):
            if await self.drain_on(asked, await self._drains.find(webhook_id), UNSEEN):
                return
        raise Conflict(f"the drain of webhook {name}")

    async def counting(self, asked: ToDeliver) -> Drain:
        """Give which drain counts for the webhook of one."""
        return await self._drains.find(asked.id)

    async def drain_on(self, asked: ToDeliver, before: Drain, after: timedelta) -> bool:
        """Have a drain go on; False where another counts by now."""
        ticket = Ticket.read(before.ticket).after(self._new_id())
        await self.send_again(replace(asked, ticket=ticket, looks=0, waits=0), after)
        try:
            await self._drains.change(asked.id, before, str(ticket))
        except (Conflict, NotFound):
            return False
        return True

    async def look_again(self, asked: ToDeliver) -> bool:
        """Have a message come again that may have come too early; False where it has often."""
        waits = (ages.L / 10, ages.L * 9 / 10, ages.L)
        if asked.looks >= len(waits):
            return False
        await self.send_again(replace(asked, looks=asked.looks + 1), waits[asked.looks])
        return True

    async def send_again(self, asked: ToDeliver, after: timedelta) -> None:
        """Put something off."""
        await self._messages.send(keys.DELIVERIES, asked.text(), ceil(after.total_seconds()))

    async def _send(
        self,
        task: Task,
        name: str,
        webhook_id: str,
        event: str,
        ticket: Ticket,
        after: timedelta,
    ) -> None:
        asked = ToDeliver(task, self._generation, name, webhook_id, event, ticket)
        await self.send_again(asked, after)


def _matching(shape: re.Pattern[str], said: Any) -> str:
    if not isinstance(said, str) or not shape.fullmatch(said):
        raise ValueError(f"{str(said)[:60]!r} names nothing to deliver")
    return said
