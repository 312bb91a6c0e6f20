"""Replaying: what operators send by hand: a ping, a delivery once more, all of a stretch of time.

    S1 the message is sent, with the ticket that follows the row's; it is not seen for a second
    S2 the row waits, from now on for 24 hours, and bears that ticket

Who dies between them has sent nothing (`storage/messages/delivering`). What is replayed to a
receiver that is held is parked, as all that is for it (`parking`). A stretch of time is parked as
well, and one drain sent at its end: it follows at a drain's pace, the oldest first. Who dies
before that leaves rows that the next drain releases (who asks again sends one), or the timer
(`tending`).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.parking import Parking
from shared.storage import keys
from shared.storage.messages.delivering import FIRST, UNSEEN
from shared.storage.ports import Conflict, NotFound
from shared.storage.rows.webhooks.attempts import Attempt
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores

_PAGE = 100
_LAST_ID = "g"

REPLAYED = frozenset({State.DELIVERED, State.FAILED, State.UNANSWERED, State.KEPT})
"""What a stretch of time sends again: all but what waits."""


class ReplayRefused(Exception):
    """It cannot be sent; says why, and what to do."""


class Replays:
    """Sends to the webhooks of one registry generation by hand, and shows what became of it."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._deliveries = stores.deliveries
        self._parking = Parking(stores)

    async def ping(self, webhook: Webhook) -> Delivery:
        """Send a ping, once; raises ReplayRefused."""
        _refuse_disabled(webhook)
        now = self._stores.clock()
        ping = Delivery.ping(keys.time_id(now, self._stores.new_id()), now)
        await self._stores.delivering.deliver(webhook.name, webhook.id, ping.name, FIRST, UNSEEN)
        try:
            return await self._deliveries.add(webhook.id, ping)
        except Conflict:  # ours: the answer was lost, and the storage client has sent it again
            return await self._deliveries.find(webhook.id, ping.name) or ping

    async def events(
        self,
        webhook: Webhook,
        after: str = "",
        limit: int = 100,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[Delivery]:
        """Give what was for a webhook, the newest first, that follows the delivery `after`.

        What happened before `since`, or from `until` on, is left out.
        """
        if until and not after:
            after = _before(until)
        return await self._deliveries.page(webhook.id, after, limit, since)

    async def named(self, webhook: Webhook, event_id: str) -> str:
        """Give the TIME-ID of an event by its id, as receivers have it; raises ReplayRefused."""
        if name := await self._deliveries.named(webhook.id, UUID(event_id).hex):
            return name
        raise _none(webhook, event_id)

    async def attempts(self, webhook: Webhook, name: str) -> Sequence[Attempt]:
        """Give what was sent of a delivery, and what came back."""
        return await self._deliveries.attempts(webhook.id, name)

    async def failed(
        self, webhook: Webhook, after: str = "", limit: int = 100
    ) -> Sequence[Delivery]:
        """Give what failed for good and was not replayed, the oldest first."""
        return await self._deliveries.failed(webhook.id, after, limit)

    async def replay(self, webhook: Webhook, name: str) -> Delivery:
        """Send a delivery again, by its TIME-ID; raises ReplayRefused."""
        _refuse_disabled(webhook)
        delivery = await self._deliveries.find(webhook.id, name)
        if delivery is None:
            raise _none(webhook, name)
        if delivery.is_ping:
            raise ReplayRefused(f"{name} is a ping, which is sent once: send another one")
        try:
            return await self._again(webhook, delivery)
        except (Conflict, NotFound):
            raise ReplayRefused(f"event {name} has just changed: try again") from None

    async def replay_between(
        self,
        webhook: Webhook,
        since: datetime,
        until: datetime,
        states: Collection[State] = REPLAYED,
    ) -> int:
        """Send again what happened from `since` on and before `until`; tell how many.

        Raises ReplayRefused.
        """
        _refuse_disabled(webhook)
        count, end = 0, _before(until)
        after = end
        while page := await self._deliveries.page(webhook.id, after, _PAGE, since):
            count += sum([await self._park(webhook, one) for one in page if one.state in states])
            after = page[-1].name
        if after != end:
            await self._stores.delivering.drain(webhook.name, webhook.id)
        return count

    async def _again(self, webhook: Webhook, delivery: Delivery) -> Delivery:
        wanted = self._anew(delivery)
        if webhook.health.held is None:
            await self._stores.delivering.deliver(
                webhook.name, webhook.id, delivery.name, wanted.ticket, UNSEEN
            )
            return await self._deliveries.change(webhook.id, delivery, wanted)
        wanted = replace(wanted, is_parked=True)
        parked = await self._deliveries.change(webhook.id, delivery, wanted)
        await self._parking.release_if_open(webhook, parked)
        return parked

    async def _park(self, webhook: Webhook, delivery: Delivery) -> bool:
        if delivery.is_ping:
            return False
        wanted = replace(self._anew(delivery), is_parked=True)
        return await self._parking.change(webhook.id, delivery, wanted) is not None

    def _anew(self, delivery: Delivery) -> Delivery:
        now = self._stores.clock()
        return replace(
            delivery,
            state=State.WAITING,
            since=now,
            due=now,
            tries=0,
            unanswered=0,
            why="",
            is_parked=False,
            ticket=delivery.ticket.after(self._stores.new_id()),
        )


def _before(until: datetime) -> str:
    """Give the name that all follow, the newest first, which happened before then."""
    return keys.time_id(until, _LAST_ID)


def _none(webhook: Webhook, event: str) -> ReplayRefused:
    return ReplayRefused(
        f"webhook {webhook.name} has no event {event}: it is too old, or was never for it"
    )


def _refuse_disabled(webhook: Webhook) -> None:
    if not webhook.is_enabled:
        raise ReplayRefused(
            f"webhook {webhook.name} is disabled{_by_whom(webhook)}: enable it, then send again"
        )


def _by_whom(webhook: Webhook) -> str:
    return f" ({webhook.health.disabled})" if webhook.health.disabled else ""
