"""Deliveries: the events of one webhook, and each attempt to deliver them.

    webhooks   GENERATION|ID   delivery|INVERSE-ID    an event, and what has become of it
                               attempt|INVERSE-ID|N   what was sent, where, and the answer
                               waiting|TIME-ID        there while the delivery waits
                               failed|TIME-ID         there once a replay alone sends it: it failed,
                                                      or was kept

A delivery, and what is there while it waits or has failed, change in one transaction, by the
delivery's ETag: so whoever goes through those that wait, or have failed, reads no others. Each
change of a delivery that waits writes its `waiting` row as well: its ETag is as good.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import batched
from typing import Any, Self

import orjson

from shared.events import Event, read, values
from shared.model.webhooks.webhook import PING
from shared.storage import keys
from shared.storage.messages.delivering import FIRST, Ticket
from shared.storage.ports import (
    MOST_CHANGES,
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    Put,
    Row,
    Rows,
    Update,
    Value,
)
from shared.storage.rows.webhooks.attempts import Attempt

_PAGE = 1_000


class State(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Nobody tries it any more."""

    UNANSWERED = "unanswered"
    """It was sent some times, and each time the receiver took it and did not answer."""

    KEPT = "kept"
    """The webhook was disabled; a replay delivers it."""

    @property
    def is_failure(self) -> bool:
        """Tell whether it is among those that failed for good."""
        return self in {State.FAILED, State.UNANSWERED}

    @property
    def is_owed(self) -> bool:
        """Tell whether a replay alone delivers it: it failed for good, or was kept."""
        return self.is_failure or self is State.KEPT


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for a webhook, called by its TIME-ID; a ping has no `event`.

    `attempts` are all there were, of which `tries` since the begin of its 24 hours (`since`), and
    `unanswered` those of these that the receiver took without an answer. While it waits it is next
    tried when it is `due`; where it `is_parked` no message comes for it, as its receiver is held.
    `ticket` names the message that counts, and is another one after each change.
    """

    name: str
    action: str
    at: datetime
    since: datetime
    due: datetime
    repository: str = ""
    event: Event | None = None
    state: State = State.WAITING
    attempts: int = 0
    tries: int = 0
    unanswered: int = 0
    why: str = ""
    is_parked: bool = False
    ticket: Ticket = FIRST
    etag: str = field(default="", compare=False)

    @classmethod
    def of(cls, name: str, action: str, repository: str, event: Event, now: datetime) -> Self:
        """Give an event that is to be delivered from now on."""
        return cls(name, action, event.at, now, now, repository, event)

    @classmethod
    def ping(cls, name: str, now: datetime) -> Self:
        """Give a ping that is to be sent now."""
        return cls(name, PING, now, now, now)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read its row."""
        said: Mapping[str, Any] = row.values
        return cls(
            name=keys.delivery_name(row.key),
            action=said["action"],
            at=said["at"],
            since=said["since"],
            due=said["due"],
            repository=said["repository"],
            event=read(orjson.loads(said["event"])) if said["event"] else None,
            state=State(said["state"]),
            attempts=int(said["attempts"]),
            tries=int(said["tries"]),
            unanswered=int(said["unanswered"]),
            why=said["why"],
            is_parked=bool(said["parked"]),
            ticket=Ticket.read(said["ticket"]),
            etag=row.etag,
        )

    @property
    def id(self) -> str:
        """Give the event's id, the same for all webhooks, attempts and replays."""
        return self.name.partition("-")[2]

    @property
    def is_ping(self) -> bool:
        """Tell whether it was sent on request alone."""
        return self.action == PING

    def values(self) -> Mapping[str, Value]:
        """Give what its row says."""
        return {
            "action": self.action,
            "at": self.at,
            "since": self.since,
            "due": self.due,
            "repository": self.repository,
            "event": orjson.dumps(values(self.event)) if self.event else b"",
            "state": self.state.value,
            "attempts": self.attempts,
            "tries": self.tries,
            "unanswered": self.unanswered,
            "why": self.why,
            "parked": self.is_parked,
            "ticket": str(self.ticket),
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands of a delivery among those that wait."""

    name: str
    since: datetime
    due: datetime
    is_parked: bool
    etag: str = field(default="", compare=False)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read its row."""
        said: Mapping[str, Any] = row.values
        name = keys.last_part(row.key)
        return cls(name, said["since"], said["due"], bool(said["parked"]), row.etag)


class Deliveries:
    """The deliveries of one registry generation; a webhook is meant by its id."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def add(self, webhook: str, delivery: Delivery) -> Delivery:
        """Write a delivery, and give it as it is now; raises Conflict where it is there."""
        changes = [Insert(keys.delivery(delivery.name), delivery.values()), *_marks(None, delivery)]
        etags = await self._commit(webhook, changes)
        return replace(delivery, etag=etags[0])

    async def change(
        self, webhook: str, before: Delivery, after: Delivery, attempt: Attempt | None = None
    ) -> Delivery:
        """Write what has become of a delivery, and of an attempt, in place of what was read.

        Raises Conflict where it has changed, NotFound where it is gone.
        """
        changes: list[Change] = [
            Update(keys.delivery(before.name), after.values(), before.etag),
            *_marks(before, after),
        ]
        if attempt:
            changes.append(Put(keys.attempt(before.name, attempt.number), attempt.values()))
        etags = await self._commit(webhook, changes)
        return replace(after, etag=etags[0])

    async def find(self, webhook: str, name: str) -> Delivery | None:
        """Give one by its TIME-ID."""
        row = await self._rows.get(keys.WEBHOOKS, self._partition(webhook), keys.delivery(name))
        return Delivery.read(row) if row else None

    async def page(
        self, webhook: str, after: str = "", limit: int = 100, since: datetime | None = None
    ) -> Sequence[Delivery]:
        """Give up to so many, the newest first, that follow the one named `after`.

        Those from before `since` are left out.
        """
        first = keys.delivery(after) if after else "delivery|"
        last = keys.from_moment("delivery", since) + "}" if since else keys.end_of("delivery|")
        rows = await self._scan(webhook, first, last, limit)
        return [Delivery.read(row) for row in rows]

    async def attempts(self, webhook: str, name: str) -> Sequence[Attempt]:
        """Give what was sent of a delivery, the first first; at most a thousand."""
        prefix = keys.attempts(name)
        rows = await self._scan(webhook, prefix, keys.end_of(prefix), _PAGE)
        return [Attempt.read(row) for row in rows]

    async def waiting(self, webhook: str, after: str, limit: int) -> Sequence[Waiting]:
        """Give up to so many of those that wait, the oldest first, that follow `after`."""
        rows = await self._scan(webhook, keys.waiting(after), keys.end_of(keys.waiting("")), limit)
        return [Waiting.read(row) for row in rows]

    async def count_waiting(self, webhook: str, most: int) -> int:
        """Count those that wait, up to so many: a thousand at the most."""
        first = keys.waiting("")
        return len(await self._scan(webhook, first, keys.end_of(first), most, only=()))

    async def named(self, webhook: str, event_id: str) -> str:
        """Give the TIME-ID of the event with this id, or nothing; goes through all there are."""
        after, before = "delivery|", keys.end_of("delivery|")
        while rows := await self._scan(webhook, after, before, _PAGE, only=()):
            for row in rows:
                if row.key.endswith(f"-{event_id}"):
                    return keys.delivery_name(row.key)
            after = rows[-1].key
        return ""

    async def failed(self, webhook: str, after: str = "", limit: int = 100) -> Sequence[Delivery]:
        """Give up to so many of those that a replay alone sends, the oldest first, after one.

        Pings are left out: none is sent again.
        """
        found: list[Delivery] = []
        while len(found) < limit:
            before = keys.end_of(keys.failed(""))
            rows = await self._scan(webhook, keys.failed(after), before, limit - len(found))
            if not rows:
                break
            after = keys.last_part(rows[-1].key)
            each = [await self.find(webhook, keys.last_part(row.key)) for row in rows]
            found += [one for one in each if one and not one.is_ping]
        return found

    async def has_failed(self, webhook: str) -> bool:
        """Tell whether there is one that a replay alone sends, and none has sent since."""
        return bool(await self.failed(webhook, limit=1))

    async def give_up(self, webhook: str, some: Sequence[Waiting], why: str) -> int:
        """Let deliveries that wait fail for good, but those that have changed; tell how many."""
        count = 0
        for few in batched(some, MOST_CHANGES // 3, strict=False):
            try:
                await self._commit(webhook, [c for one in few for c in _given_up(one, why)])
                count += len(few)
            except (Conflict, NotFound):
                if len(few) > 1:
                    count += sum([await self.give_up(webhook, [one], why) for one in few])
        return count

    async def forget(self, webhook: str, since: datetime) -> bool:
        """Remove some that are older, but those that wait; False where none are left."""
        olds = await self._scan(
            webhook,
            keys.from_moment("delivery", since),
            keys.end_of("delivery|"),
            _PAGE,
            only=("state",),
        )
        gone = [row for row in olds if row.values["state"] != State.WAITING]
        for some in batched(gone, MOST_CHANGES // 2, strict=False):
            with suppress(Conflict, NotFound):  # replayed meanwhile
                await self._commit(webhook, [c for row in some for c in _forgotten(row)])
        tried = await self._scan(
            webhook, keys.from_moment("attempt", since), keys.end_of("attempt|"), _PAGE, only=()
        )
        await self._remove(webhook, tried)
        return bool(gone) or len(tried) == _PAGE

    async def drop(self, webhook: str) -> bool:
        """Remove some rows of a webhook that is gone; False where none were left."""
        rows = await self._scan(webhook, "", keys.end_of(""), _PAGE, only=())
        await self._remove(webhook, rows)
        return len(rows) == _PAGE

    async def next_webhook(self, after: str) -> str:
        """Give the id that follows, of all that have deliveries; empty where none does."""
        begin = keys.of_generation(self._generation)
        first = keys.after_partition(self._partition(after)) if after else begin
        position = ""
        while True:
            page = await self._rows.page(
                keys.WEBHOOKS,
                first=first,
                before=keys.end_of(begin),
                position=position,
                limit=1,
                only=(),
            )
            if page.rows:
                return keys.last_part(page.rows[0][0])
            if not page.position:
                return ""
            position = page.position

    async def _remove(self, webhook: str, rows: Sequence[Row]) -> None:
        for some in batched(rows, MOST_CHANGES, strict=False):
            with suppress(NotFound):  # another removes them as well
                await self._commit(webhook, [Delete(row.key) for row in some])

    async def _scan(
        self,
        webhook: str,
        after: str,
        before: str,
        limit: int,
        only: Sequence[str] | None = None,
    ) -> Sequence[Row]:
        return await self._rows.scan(
            keys.WEBHOOKS,
            self._partition(webhook),
            after=after,
            before=before,
            limit=limit,
            only=only,
        )

    async def _commit(self, webhook: str, changes: Sequence[Change]) -> list[str]:
        return await self._rows.commit(keys.WEBHOOKS, self._partition(webhook), changes)

    def _partition(self, webhook: str) -> str:
        return keys.deliveries(self._generation, webhook)


def _marks(before: Delivery | None, after: Delivery) -> Iterator[Change]:
    """Give the changes among those that wait, and those that failed, which go with a delivery's."""
    waited = before is not None and before.state is State.WAITING
    was_owed = before is not None and before.state.is_owed
    if after.state is State.WAITING:
        said: dict[str, Value] = {
            "since": after.since,
            "due": after.due,
            "parked": after.is_parked,
        }
        yield Put(keys.waiting(after.name), said)
    elif waited:
        yield Delete(keys.waiting(after.name))
    if after.state.is_owed:
        yield Put(keys.failed(after.name), {})
    elif was_owed:
        yield Delete(keys.failed(after.name))


def _given_up(one: Waiting, why: str) -> Iterator[Change]:
    yield Delete(keys.waiting(one.name), one.etag)
    yield Put(keys.failed(one.name), {})
    said: dict[str, Value] = {"state": State.FAILED.value, "why": why, "parked": False}
    yield Update(keys.delivery(one.name), said)


def _forgotten(row: Row) -> Iterator[Change]:
    yield Delete(row.key, row.etag)
    if State(str(row.values["state"])).is_owed:
        yield Delete(keys.failed(keys.delivery_name(row.key)))
