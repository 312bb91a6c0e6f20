"""Parking: what is for a receiver that is held waits as a row, without a message.

    K1 the webhook is read: it is held             A2 the webhook's row says `held` no more
    K2 the delivery's row is written, parked       D  a drain reads the rows that wait
    K3 the webhook is read again: held no more?
       then the delivery is released

A drain begins after A2. Either K3 comes after A2, and sees it, or K2 came before A2, and the drain
sees the row. Where both do, each releases it by its ETag: one of them does. Who dies between K2 and
K3, or hears nothing of K2, leaves the message, whose ticket is none any more: it does K3
(`delivering` D1). Whose K2 was repeated by the storage client sees by the ticket that it was his.

    R1 the message is sent, with the ticket that follows the row's
    R2 the row is parked no more, and bears that ticket
"""

from contextlib import suppress
from dataclasses import replace

from shared.model.webhooks.webhook import Webhook
from shared.storage.messages.delivering import UNSEEN
from shared.storage.ports import Conflict, NotFound
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores

DISABLED = "the webhook was disabled"
"""Why a delivery is kept."""


def is_open(webhook: Webhook) -> bool:
    """Tell whether deliveries go to a webhook now."""
    return webhook.is_enabled and webhook.health.held is None


class Parking:
    """Lets deliveries of one registry generation wait, and go on."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def park(self, webhook: Webhook, delivery: Delivery) -> None:
        """Let a delivery wait until its receiver answers again."""
        ticket = delivery.ticket.after(self._stores.new_id())
        wanted = replace(delivery, is_parked=True, ticket=ticket)
        parked = await self.change(webhook.id, delivery, wanted)
        if parked:
            await self.release_if_open(webhook, parked)

    async def end(
        self, webhook_id: str, delivery: Delivery, state: State, why: str
    ) -> Delivery | None:
        """Let a delivery be tried no more, and give it; None where another has it."""
        ticket = delivery.ticket.after(self._stores.new_id())
        ended = replace(delivery, state=state, why=why, ticket=ticket, is_parked=False)
        return await self.change(webhook_id, delivery, ended)

    async def change(self, webhook_id: str, before: Delivery, wanted: Delivery) -> Delivery | None:
        """Write a delivery that bears a ticket of its own; None where another has it."""
        try:
            return await self._stores.deliveries.change(webhook_id, before, wanted)
        except (Conflict, NotFound):
            there = await self._stores.deliveries.find(webhook_id, wanted.name)
        return there if there and there.ticket == wanted.ticket else None

    async def release_if_open(self, webhook: Webhook, delivery: Delivery) -> None:
        """Look at the webhook again, once a delivery was written that is parked (K3)."""
        there = await self._stores.webhooks.find(webhook.name)
        if there and there.id == webhook.id and is_open(there):
            await self.release(there, delivery)

    async def release(self, webhook: Webhook, delivery: Delivery) -> None:
        """Let a delivery go on: a message comes for it at once."""
        ticket = delivery.ticket.after(self._stores.new_id())
        await self._stores.delivering.deliver(
            webhook.name, webhook.id, delivery.name, ticket, UNSEEN
        )
        due = self._stores.clock()
        after = replace(delivery, is_parked=False, ticket=ticket, due=due)
        with suppress(Conflict, NotFound):  # another has released it, or it is over
            await self._stores.deliveries.change(webhook.id, delivery, after)
