"""Telling: an event becomes a delivery for each webhook that hears of it.

    W1 the webhooks are read
    W2 the delivery's row is written, unless it is there
    W3 a message is sent for it; or its webhook is held: it is parked, and the webhook is read again

All of it is repeated until it has succeeded, by the fan-out. So W2 may find the row there: then W3
is due still, unless another message counts for it by now. A webhook that is disabled at W1 keeps
the event for a replay.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.events import Event
from shared.model.names import RepositoryName
from shared.model.webhooks.webhook import Webhook
from shared.services.webhooks.hearing import action_of, hears
from shared.services.webhooks.parking import DISABLED, Parking
from shared.storage import keys
from shared.storage.messages.delivering import FIRST
from shared.storage.ports import Conflict
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores


class Telling:
    """Makes the deliveries of one registry generation."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._parking = Parking(stores)

    async def webhooks(self) -> Sequence[Webhook]:
        """Give all that may hear of something; one call."""
        return await self._stores.webhooks.all()

    async def tell(
        self, repository: RepositoryName, key: str, event: Event, webhooks: Sequence[Webhook]
    ) -> None:
        """Have those that hear of an event told, which has a row under this key."""
        action = action_of(event)
        if action is None:
            return
        name = keys.event_name(key)
        for webhook in webhooks:
            if hears(webhook, event, repository).is_heard:
                now = self._stores.clock()
                await self._hand(webhook, Delivery.of(name, action, repository, event, now))

    async def _hand(self, webhook: Webhook, wanted: Delivery) -> None:
        delivery = await self._made(webhook, _placed(webhook, wanted))
        if delivery is None or delivery.state is not State.WAITING:
            return
        if delivery.is_parked:
            await self._parking.release_if_open(webhook, delivery)
        elif delivery.ticket == FIRST:
            await self._stores.delivering.deliver(webhook.name, webhook.id, delivery.name, FIRST)

    async def _made(self, webhook: Webhook, delivery: Delivery) -> Delivery | None:
        try:
            return await self._stores.deliveries.add(webhook.id, delivery)
        except Conflict:
            return await self._stores.deliveries.find(webhook.id, delivery.name)


def _placed(webhook: Webhook, delivery: Delivery) -> Delivery:
    if not webhook.is_enabled:
        return replace(delivery, state=State.KEPT, why=DISABLED)
    return replace(delivery, is_parked=webhook.health.held is not None)
