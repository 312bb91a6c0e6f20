"""Probing: a receiver that is held is asked with growing pauses; when it answers, the rest follows.

    B1 the webhook is read: it is held, and the message bears its ticket
    B2 the one that has waited longest is delivered (`delivering` D2, D3, D5), or parked again
    B3 it fails: those that are parked, and whose 24 hours are over, fail for good
    B4 the next probe is sent (`holding` H1, H2); where B2 was answered, a drain (A1, A2)

Who dies before B4 leaves the message, whose ticket is still the webhook's: it probes once more.
Who dies after it leaves a message that ends at B1. A ping that is answered may open the webhook
while a probe is under way: what that has parked no drain may have seen, so it sends one; so does
the message if it comes again, since its ticket is still the webhook's. Where nothing waits any more
there is nothing to ask with: the receiver is held no more, the next event tells.

A drain goes through the rows that wait, from the oldest on, and releases those that are parked, so
that a message comes for each (`parking` R1, R2):

    N1 the drain's row is read: the message bears its ticket; the webhook is open
    N2 the next message of the drain is sent, and the row bears its ticket
    N3 some that are parked are released

It releases some at a time, and none while many that are older are still to be delivered. It ends
where none is parked: what was parked before it began is released, what is parked later sees to
itself (`parking` K3). Who dies after N2 leaves the others to the next message. The newest drain
counts, the others end at N1: so each is released once. A drain that comes before the webhook is
open looks again, as any message that comes early.

None fails for its age but when the receiver has just failed (B4): what a drain releases is tried.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.attempting import Underway
from shared.services.webhooks.delivering import NO_ANSWER, Deliverer
from shared.services.webhooks.holding import Holding
from shared.services.webhooks.outcomes import LIFE, Outcome, Verdict
from shared.services.webhooks.parking import Parking, is_open
from shared.storage.messages.delivering import Ticket, ToDeliver
from shared.storage.rows.webhooks.deliveries import Delivery, State, Waiting
from shared.storage.stores import Stores

PAGE = 1_000
BATCH = 32
"""How many a drain releases at a time."""

WINDOW = 64
"""How many that are due and older, may be on their way before it releases others."""

_PAGES = 5
_CANDIDATES = 8
_NEXT = timedelta(seconds=2)
_CROWDED = timedelta(seconds=5)


class Probing:
    """Sees to the receivers of one registry generation that are held."""

    def __init__(self, stores: Stores, deliverer: Deliverer, underway: Underway) -> None:
        self._stores = stores
        self._deliveries = stores.deliveries
        self._deliverer = deliverer
        self._underway = underway
        self._holding = Holding(stores)
        self._parking = Parking(stores)

    async def probe(self, asked: ToDeliver) -> None:
        """Ask a receiver that is held, if the message says so still; raises StorageError."""
        webhook = await self._deliverer.webhook(asked)
        if webhook is None:
            return
        row = Ticket.read(webhook.health.probe)
        if asked.ticket.is_before(row):
            return
        if asked.ticket != row:
            await self._stores.delivering.look_again(asked)
        elif is_open(webhook):
            await self._stores.delivering.drain(asked.name, asked.id)
        elif webhook.is_enabled:
            with self._underway.place(asked.id) as is_free:
                await (self._ask(asked, webhook) if is_free else self._deliverer.put_off(asked))

    async def _ask(self, asked: ToDeliver, webhook: Webhook) -> None:
        waiting = await self._deliveries.waiting(webhook.id, "", PAGE)
        if not waiting:
            await self._holding.answered(webhook)
            return
        delivery = await self._longest(webhook, waiting)
        there = await self._deliverer.webhook(asked)
        if there is None or there.health.probe != webhook.health.probe or not _is_held(there):
            return
        outcome = Outcome(Verdict.AGAIN)
        if delivery:
            outcome = await self._deliverer.attempt(there, delivery, is_probe=True)
        if outcome.verdict is Verdict.AGAIN:
            await self._go_on(there, outcome, has_asked=delivery is not None)
        elif outcome.verdict is not Verdict.GONE:
            await self._holding.answered(there)

    async def _go_on(self, webhook: Webhook, outcome: Outcome, *, has_asked: bool) -> None:
        if has_asked:
            await self._give_up_old(webhook)
        if not await self._holding.still_fails(webhook, outcome):
            await self._stores.delivering.drain(webhook.name, webhook.id)

    async def _longest(self, webhook: Webhook, waiting: Sequence[Waiting]) -> Delivery | None:
        """Find what has waited longest, but a ping: that is sent once, by its own message."""
        for one in sorted(waiting[:_CANDIDATES], key=lambda one: (one.due, one.name)):
            delivery = await self._deliveries.find(webhook.id, one.name)
            if delivery and delivery.state is State.WAITING and not delivery.is_ping:
                return delivery
        return None

    async def _give_up_old(self, webhook: Webhook) -> None:
        """Let fail what is parked, and whose 24 hours are over: its receiver has just failed."""
        after, now = "", self._stores.clock()
        for _ in range(_PAGES):
            page = await self._deliveries.waiting(webhook.id, after, PAGE)
            old = [one for one in page if one.is_parked and one.since + LIFE <= now]
            await self._deliveries.give_up(webhook.id, old, NO_ANSWER)
            if len(page) < PAGE or not old:
                break
            after = page[-1].name

    async def drain(self, asked: ToDeliver) -> None:
        """Release some of what waits, and have the others follow; raises StorageError."""
        delivering = self._stores.delivering
        drain = await delivering.counting(asked)
        row = Ticket.read(drain.ticket)
        if asked.ticket.is_before(row):
            return
        webhook = await self._deliverer.webhook(asked)
        if webhook is None:
            return
        if asked.ticket != row or not is_open(webhook):
            await delivering.look_again(asked)
            return
        page = await self._deliveries.waiting(asked.id, asked.event, PAGE)
        some = _next(page, self._stores.clock())
        if any(one.is_parked for one in page):
            if await delivering.drain_on(asked, drain, _NEXT if some else _CROWDED):
                await self._release(webhook, some)
        elif len(page) == PAGE:
            await delivering.drain_on(replace(asked, event=page[-1].name), drain, _NEXT)

    async def _release(self, webhook: Webhook, some: Sequence[Waiting]) -> None:
        for one in some:
            delivery = await self._deliveries.find(webhook.id, one.name)
            if delivery and _is_parked(delivery):
                await self._parking.release(webhook, delivery)


def _next(page: Sequence[Waiting], now: datetime) -> Sequence[Waiting]:
    """Give what a drain releases next; what is newer than it, and due, does not keep it back."""
    parked = [one for one in page if one.is_parked]
    older = [one for one in page if not one.is_parked and one.due <= now]
    ready = sum(one.name < parked[0].name for one in older) if parked else 0
    return parked[: max(0, min(BATCH, WINDOW - ready))]


def _is_held(webhook: Webhook) -> bool:
    return webhook.is_enabled and webhook.health.held is not None


def _is_parked(delivery: Delivery) -> bool:
    return delivery.state is State.WAITING and delivery.is_parked
