"""Tending: once an hour what is old goes, and what a lost message would have moved is moved.

What is older than events are kept goes, but what waits; so does all of a webhook that is gone:

    G1 the ids are read under which there are deliveries
    G2 the webhooks are read: an id that none of them has now, none will ever have again

(A webhook's row is there before its first delivery, so one that is made after G1 is not missed.)

All else here is for what should not happen: a queue that was emptied, a message that nobody could
read. A delivery that waits, and was due long ago, gets a message with another ticket, by which the
one that may still come is dropped; where its 24 hours are over it fails. A receiver that is held,
and was to be probed long ago, gets another probe; parked deliveries of one that is not held get a
drain; what waits for one that is disabled is kept.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.delivering import UNSENT
from shared.services.webhooks.holding import Holding
from shared.services.webhooks.outcomes import LATE, LIFE, Outcome, Verdict
from shared.services.webhooks.parking import DISABLED, Parking, is_open
from shared.storage.ages import Span
from shared.storage.rows.webhooks.deliveries import State, Waiting
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

TICK = timedelta(minutes=4)
"""How long the timer runs at the most."""

_PAGE = 1_000
_PAGES = 5


async def tend_all(tendings: Sequence["Tending"], ticks: Callable[[], float]) -> None:
    """Tend all, one after the other; raises what the first to fail did, once all have been."""
    span, failed = Span(ticks, TICK), list[Exception]()
    for tending in tendings:
        try:
            await tending.tend(lambda: span.is_over)
        except Exception as error:  # noqa: BLE001 - whatever it is, other registries are waiting
            _log.warning("webhooks are tended at the next tick: %r", error)
            failed.append(error)
    if failed:
        raise failed[0]


class Tending:
    """Tends the webhooks of one registry generation, whose events are `kept` so long."""

    def __init__(self, stores: Stores, kept: timedelta) -> None:
        self._stores = stores
        self._deliveries = stores.deliveries
        self._holding = Holding(stores)
        self._parking = Parking(stores)
        self._kept = kept

    async def tend(self, is_over: Callable[[], bool]) -> None:
        """Do what is due, until it is over; raises StorageError."""
        ids = await self._ids(is_over)
        webhooks = await self._stores.webhooks.all()
        for gone in set(ids) - {webhook.id for webhook in webhooks}:
            while not is_over() and await self._deliveries.drop(gone):
                pass
        since = self._stores.clock() - self._kept
        for webhook in webhooks:
            if webhook.id not in ids:
                continue
            await self._move(webhook, is_over)
            while not is_over() and await self._deliveries.forget(webhook.id, since):
                pass

    async def _ids(self, is_over: Callable[[], bool]) -> Sequence[str]:
        found = list[str]()
        while not is_over() and (one := await self._deliveries.next_webhook(*found[-1:] or [""])):
            found.append(one)
        return found

    async def _move(self, webhook: Webhook, is_over: Callable[[], bool]) -> None:
        now, after, has_parked = self._stores.clock(), "", False
        for _ in range(_PAGES):
            page = await self._deliveries.waiting(webhook.id, after, _PAGE)
            has_parked |= any(one.is_parked for one in page)
            for one in page:
                if not is_over() and _is_stuck(webhook, one, now):
                    await self._push_on(webhook, one)
            if len(page) < _PAGE:
                break
            after = page[-1].name
        health = webhook.health
        if has_parked and is_open(webhook):
            await self._stores.delivering.drain(webhook.name, webhook.id)
        elif health.held and webhook.is_enabled and health.due and health.due + LATE < now:
            whole = await self._stores.webhooks.find(webhook.name)
            if whole and whole.id == webhook.id:
                await self._holding.still_fails(whole, Outcome(Verdict.AGAIN))

    async def _push_on(self, webhook: Webhook, one: Waiting) -> None:
        delivery = await self._deliveries.find(webhook.id, one.name)
        if delivery is None or delivery.state is not State.WAITING:
            return
        there = await self._stores.webhooks.find(webhook.name)
        if there is None or there.id != webhook.id:
            return
        if not there.is_enabled:
            await self._parking.end(webhook.id, delivery, State.KEPT, DISABLED)
        elif delivery.since + LIFE <= self._stores.clock():
            await self._parking.end(webhook.id, delivery, State.FAILED, delivery.why or UNSENT)
        else:
            await self._parking.release(there, delivery)


def _is_stuck(webhook: Webhook, one: Waiting, now: datetime) -> bool:
    if not webhook.is_enabled:
        return True
    return not one.is_parked and one.due + LATE < now
