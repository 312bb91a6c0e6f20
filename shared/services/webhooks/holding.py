"""Holding: a receiver that failed several times in a row is held: nothing is sent to it but probes.

    H1 the probe's message is sent         A1 the drain's message is sent
    H2 the webhook's row says `held`       A2 the webhook's row says so no more

Who dies between H1 and H2 leaves a message whose ticket no row bears, which is dropped in the end
(`storage/messages/delivering`); between A1 and A2 a drain that finds the receiver held, and is
dropped: the probe of before comes again, and is followed by another drain. A probe whose receiver
fails is followed by the next one, as in H1 and H2.

The row is changed by its ETag alone. Where it was changed meanwhile it is read again; a webhook of
another id, or with other secrets (an operator gave it another address), is none of ours any more:
how the receiver of before did says nothing of it. Where that one is held it is probed soon, so that
the chain of its probes goes on. A receiver that is gone disables its webhook only where no operator
has begun anew with it since the attempt began.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from shared.model.webhooks.webhook import Health, Webhook
from shared.services.webhooks.outcomes import Outcome, pause
from shared.storage.messages.delivering import Ticket
from shared.storage.ports import Conflict, NotFound, Unavailable
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

FAILURES = 5
"""After how many failures in a row a receiver is held."""

_FIRST_PAUSE = timedelta(seconds=10)
_TRIES = 8

type Change = Callable[[Webhook], Webhook | None]


class Holding:
    """Keeps how the receivers of one registry generation do."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def failed(self, webhook: Webhook, why: str) -> None:
        """Count a failure; one too many holds the receiver."""
        there: Webhook | None = webhook
        for _ in range(_TRIES):
            if there is None or there.health.held or not there.is_enabled:
                return
            if there.sealed != webhook.sealed:
                return
            failures = there.health.failures + 1
            since = there.health.failing or self._stores.clock()
            health = replace(there.health, failures=failures, failing=since, why=why)
            if failures >= FAILURES:
                health = await self._held(there, health)
            if await self._put(replace(there, health=health)):
                if health.held:
                    _log.warning("webhook %s is held: %r", webhook.name, why)
                return
            there = await self._again(webhook)

    async def _held(self, webhook: Webhook, health: Health) -> Health:
        ticket = Ticket.read(health.probe).after(self._stores.new_id())
        now = self._stores.clock()
        await self._stores.delivering.probe(webhook.name, webhook.id, ticket, _FIRST_PAUSE)
        return replace(health, held=now, probe=str(ticket), due=now + _FIRST_PAUSE)

    async def still_fails(self, webhook: Webhook, outcome: Outcome) -> bool:
        """Have a receiver probed again that is held; False where it is held so no more."""
        there: Webhook | None = webhook
        now = self._stores.clock()
        for _ in range(_TRIES):
            if there is None or not there.health.held or _is_other(there, webhook):
                return False
            is_ours = there.sealed == webhook.sealed
            wait = pause(now - there.health.held, outcome.wait) if is_ours else _FIRST_PAUSE
            if await self._probe(there, wait, outcome.why if is_ours else ""):
                return True
            there = await self._again(webhook)
        raise _too_often(webhook)

    async def _probe(self, there: Webhook, wait: timedelta, why: str) -> bool:
        """Have one that is held probed next; False where it was changed meanwhile."""
        ticket = Ticket.read(there.health.probe).after(self._stores.new_id())
        await self._stores.delivering.probe(there.name, there.id, ticket, wait)
        due = self._stores.clock() + wait
        why = why or there.health.why
        health = replace(there.health, probe=str(ticket), due=due, why=why)
        return await self._put(replace(there, health=health))

    async def answered(self, webhook: Webhook) -> None:
        """Note that a receiver works; what has waited for it follows."""
        there: Webhook | None = webhook
        for _ in range(_TRIES):
            if there is None or not (there.health.failures or there.health.held):
                return
            if (
                await self._open(there)
                if there.sealed == webhook.sealed
                else await self._ask(there)
            ):
                return
            there = await self._again(webhook)
        raise _too_often(webhook)

    async def _open(self, there: Webhook) -> bool:
        if there.health.held:
            await self._stores.delivering.drain(there.name, there.id)
        is_open = await self._put(replace(there, health=there.health.forgotten()))
        if is_open and there.health.held:
            _log.info("webhook %s is held no more: its receiver answers", there.name)
        return is_open

    async def _ask(self, there: Webhook) -> bool:
        return not there.health.held or await self._probe(there, _FIRST_PAUSE, "")

    async def gone(self, webhook: Webhook, why: str) -> bool:
        """Disable a webhook whose receiver says so; False where it is another by now."""
        there: Webhook | None = webhook
        for _ in range(_TRIES):
            if there is None or _has_begun_anew(there, webhook):
                return False
            if not there.is_enabled:
                return True
            health = replace(there.health, disabled=why)
            if await self._put(replace(there, is_enabled=False, health=health)):
                _log.warning("webhook %s is disabled by its receiver: %r", webhook.name, why)
                return True
            there = await self._again(webhook)
        return False

    async def _put(self, webhook: Webhook) -> bool:
        try:
            await self._stores.webhooks.change(webhook)
        except (Conflict, NotFound):
            return False
        return True

    async def _again(self, webhook: Webhook) -> Webhook | None:
        """Read a webhook that has changed; None where it is another."""
        there = await self._stores.webhooks.find(webhook.name)
        return there if there and there.id == webhook.id else None


def _too_often(webhook: Webhook) -> Unavailable:
    return Unavailable(f"webhook {webhook.name} is being changed too often")


def _has_begun_anew(there: Webhook, webhook: Webhook) -> bool:
    return (there.sealed, there.health.begun) != (webhook.sealed, webhook.health.begun)


def _is_other(there: Webhook, webhook: Webhook) -> bool:
    """Tell whether a webhook was held or probed anew since it was read."""
    return (there.health.held, there.health.probe) != (webhook.health.held, webhook.health.probe)
