"""Delivering: a message says which delivery is due; its webhook is read, posted to, and told of.

    D1 the delivery is read: it waits, and the message bears its ticket; where its ticket is one of
       before, and the delivery is parked, `parking` K3
    D2 the webhook is read: it is there under its id, enabled, and not held
    D3 the receiver is posted to
    D4 where it is to be tried again, the next message is sent, with the ticket that follows
    D5 the delivery's row is changed, and bears that ticket; the attempt is written with it
    D6 the webhook's row is told how its receiver does (`holding`)

Who dies before D3 leaves the message, which comes again. Who dies between D3 and D5 does so too:
the receiver is asked once more, and the message of D4 bears a ticket that no row does. Who dies
after D5 leaves a message whose ticket is none any more: it ends at D1.

The same message twice at once: both may reach D3. One of them is first at D5; the other reads the
delivery again, and writes its attempt down. That the receiver has it counts, whoever was told so,
unless an operator has sent it again meanwhile.

A message waits a second or so for a place among the attempts of this process before D2; where none
gets free it is put off. D2 is next to D3: once a webhook is deleted, disabled or held no attempt
begins. A webhook that is gone drops the message, its rows go later (`tending`). One that is
disabled keeps the delivery for a replay; one that is held parks it (`parking`).

Where all places are taken the message comes again, after a wait that grows to ten minutes. Whatever
keeps a delivery from being sent, once its 24 hours are over, and an hour after it was last due, it
fails at D1: no message comes again for ever.

A ping is written down as sent before it is: it is never sent twice.

    P1 the delivery is read, and changed: it has failed, the answer is not known
    P2 D2, D3, D5
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.attempting import Attempting, Underway
from shared.services.webhooks.holding import Holding
from shared.services.webhooks.outcomes import (
    LIFE,
    MOST_UNANSWERED,
    Outcome,
    Verdict,
    delay,
    is_over,
)
from shared.services.webhooks.parking import DISABLED, Parking, is_open
from shared.storage.messages.delivering import Ticket, ToDeliver
from shared.storage.ports import Conflict, NotFound, Unavailable
from shared.storage.rows.webhooks.attempts import Attempt
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

OVER = "its 24 hours are over"
NO_ANSWER = f"{OVER}, and its receiver does not answer"
TOO_SLOW = f"{OVER}, and its receiver was too slow: others were being sent"
UNSENT = f"{OVER}, and it could not be sent"

_UNKNOWN = "it was sent, and the answer is not known: send another ping"
_DISABLED = "it was not sent: the webhook is disabled"
_TRIES = 8
_SHORTEST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=10)
_LOOKS, _LOOK_SECONDS = 10, 0.2
_GROWTHS = 9
_SPREAD = 16**4


@dataclass(frozen=True, slots=True)
class _Tried:
    """An attempt, and what comes of it; a probe is parked where that is not the end."""

    outcome: Outcome
    attempt: Attempt
    is_probe: bool


class Deliverer:
    """Delivers to the webhooks of one registry generation."""

    def __init__(self, stores: Stores, attempting: Attempting, underway: Underway) -> None:
        self._stores = stores
        self._deliveries = stores.deliveries
        self._attempting = attempting
        self._underway = underway
        self._holding = Holding(stores)
        self._parking = Parking(stores)

    async def deliver(self, asked: ToDeliver) -> None:
        """Deliver the event that a message names, if that is due; raises StorageError."""
        delivery = await self._deliveries.find(asked.id, asked.event)
        row = delivery.ticket if delivery else Ticket()
        if asked.ticket.is_before(row):
            await self._look_after(asked, delivery)
        elif delivery is None or asked.ticket != row:
            await self._stores.delivering.look_again(asked)
        elif delivery.state is not State.WAITING:
            return
        elif is_over(delivery.since, delivery.due, self._stores.clock()):
            why = TOO_SLOW if asked.waits else delivery.why or UNSENT
            await self._parking.end(asked.id, delivery, State.FAILED, why)
        else:
            await self._go(asked, delivery)

    async def _look_after(self, asked: ToDeliver, delivery: Delivery | None) -> None:
        """See to what was parked by somebody who may not have looked at the webhook since."""
        if delivery and delivery.is_parked and delivery.state is State.WAITING:
            webhook = await self.webhook(asked)
            if webhook and is_open(webhook):
                await self._parking.release(webhook, delivery)

    async def _go(self, asked: ToDeliver, delivery: Delivery) -> None:
        if delivery.is_ping:
            await self._ping(asked, delivery)
            return
        await self._wait_for_room(asked.id)
        webhook = await self.webhook(asked)
        if webhook is None:
            return
        if not webhook.is_enabled:
            await self._parking.end(webhook.id, delivery, State.KEPT, DISABLED)
        elif webhook.health.held:
            await self._parking.park(webhook, delivery)
        else:
            with self._underway.place(webhook.id) as is_free:
                if is_free:
                    outcome = await self.attempt(webhook, delivery)
                    await self._tell(webhook, outcome)
                else:
                    await self.put_off(asked)

    async def _wait_for_room(self, webhook: str) -> None:
        """Wait a second or so: messages come in crowds, and most receivers answer at once."""
        for _ in range(_LOOKS):
            if self._underway.has_room(webhook):
                return
            await self._stores.pause(_LOOK_SECONDS)

    async def _ping(self, asked: ToDeliver, delivery: Delivery) -> None:
        with self._underway.place(asked.id) as is_free:
            if not is_free:
                await self.put_off(asked)
                return
            claimed = await self._parking.end(asked.id, delivery, State.FAILED, _UNKNOWN)
            webhook = await self.webhook(asked) if claimed else None
            if claimed is None or webhook is None:
                return
            if not webhook.is_enabled:
                await self._parking.end(asked.id, claimed, State.FAILED, _DISABLED)
                return
            outcome = await self.attempt(webhook, claimed)
            if outcome.is_answer and outcome.verdict is not Verdict.GONE:
                await self._holding.answered(webhook)

    async def webhook(self, asked: ToDeliver) -> Webhook | None:
        """Read the webhook that a message means; None where that is gone."""
        there = await self._stores.webhooks.find(asked.name)
        return there if there and there.id == asked.id else None

    async def put_off(self, asked: ToDeliver) -> None:
        """Have a message come again: as many attempts run as may, for this webhook."""
        growth: int = 2 ** min(asked.waits, _GROWTHS)
        longest = min(_SHORTEST_WAIT * growth, _LONGEST_WAIT)
        spread = 1 + int(self._stores.new_id()[:4], 16) / _SPREAD
        await self._stores.delivering.send_again(
            replace(asked, waits=asked.waits + 1), longest / 2 * spread
        )

    async def attempt(
        self, webhook: Webhook, delivery: Delivery, *, is_probe: bool = False
    ) -> Outcome:
        """Post once, and write down what has become of the delivery; tell what comes of it."""
        outcome, attempt = await self._attempting.attempt(webhook, delivery)
        if outcome.verdict is Verdict.GONE and not await self._holding.gone(webhook, outcome.why):
            outcome = replace(outcome, verdict=Verdict.AGAIN)
        await self._record(webhook, delivery, _Tried(outcome, attempt, is_probe))
        return outcome

    async def _tell(self, webhook: Webhook, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.AGAIN:
            await self._holding.failed(webhook, outcome.why)
        elif outcome.verdict is not Verdict.GONE:
            await self._holding.answered(webhook)

    async def _record(self, webhook: Webhook, before: Delivery, tried: _Tried) -> None:
        now = self._stores.clock()
        after = _after(before, tried, before.ticket.after(self._stores.new_id()), now)
        if after.state is State.WAITING and not after.is_parked:
            await self._stores.delivering.deliver(
                webhook.name, webhook.id, after.name, after.ticket, after.due - now
            )
        there: Delivery | None = before
        for _ in range(_TRIES):
            if there is None or (there is not before and there.ticket == after.ticket):
                return  # gone, or ours: its answer was lost
            number = there.attempts + 1
            wanted = after if there is before else _met(before, there, after)
            try:
                await self._deliveries.change(
                    webhook.id, there, wanted, replace(tried.attempt, number=number)
                )
            except (Conflict, NotFound):
                there = await self._deliveries.find(webhook.id, before.name)
            else:
                _tell_of_end(webhook.name, wanted)
                return
        raise Unavailable(f"delivery {before.name} is being changed too often")


def _tell_of_end(webhook: str, delivery: Delivery) -> None:
    if delivery.state.is_failure:
        _log.warning("webhook %s: %s failed for good: %r", webhook, delivery.name, delivery.why)


def _after(before: Delivery, tried: _Tried, ticket: Ticket, now: datetime) -> Delivery:
    """Give a delivery as it is after an attempt."""
    outcome = tried.outcome
    counted = replace(
        before,
        attempts=before.attempts + 1,
        tries=before.tries + 1,
        unanswered=before.unanswered + outcome.took_all,
        is_parked=False,
        ticket=ticket,
        why=outcome.why,
    )
    match outcome.verdict:
        case Verdict.DELIVERED:
            return replace(counted, state=State.DELIVERED)
        case Verdict.GONE:
            return replace(counted, state=State.FAILED if before.is_ping else State.KEPT)
        case Verdict.FINAL:
            return replace(counted, state=State.FAILED)
    return _again(counted, tried, now)


def _again(counted: Delivery, tried: _Tried, now: datetime) -> Delivery:
    """Give a delivery that is to be tried again, if it may."""
    if counted.is_ping:
        return replace(counted, state=State.FAILED)
    if counted.unanswered >= MOST_UNANSWERED:
        return replace(counted, state=State.UNANSWERED)
    end = counted.since + LIFE
    if now >= end:
        return replace(counted, state=State.FAILED, why=f"{OVER}: {counted.why}")
    if tried.is_probe:
        return replace(counted, is_parked=True, due=now)
    wait = delay(counted.tries, counted.ticket.drawn, tried.outcome.wait)
    return replace(counted, due=min(now + wait, end))


def _met(before: Delivery, there: Delivery, after: Delivery) -> Delivery:
    """Give a delivery that another has changed: that the receiver has it counts.

    Where that has only written down an attempt our message is still the one that counted.
    """
    if there.ticket == before.ticket:
        return replace(after, attempts=there.attempts + 1)
    counted = replace(there, attempts=there.attempts + 1)
    if after.state is State.DELIVERED and there.since == before.since:
        return replace(after, attempts=counted.attempts)
    return counted
