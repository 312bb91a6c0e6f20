"""Faults planted in what tells, delivers, holds and replays: the simulation finds each."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.events import Event, read
from shared.model.webhooks.callbacks import CallbackSeal
from shared.model.webhooks.webhook import Callback, Webhook
from shared.services.events import fan_out
from shared.services.webhooks import delivering
from shared.services.webhooks.delivering import Deliverer
from shared.services.webhooks.holding import Holding
from shared.services.webhooks.parking import Parking
from shared.services.webhooks.probing import Probing
from shared.services.webhooks.telling import Telling
from shared.storage.messages.delivering import FIRST, Delivering, Ticket, ToDeliver
from shared.storage.ports import Conflict, Row
from shared.storage.rows.webhooks.deliveries import Delivery, State, Waiting
from tests.simulation.explorer import Broken, explore
from tests.simulation.webhooks.scenarios import ALL, patience

type Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Fault:
    """What is planted, the scenario that finds it, what that says; `faults`: with crashes."""

    plant: Callable[[Patch], None]
    scenario: str
    says: str
    faults: bool = False


def times_are_of_hosts_clocks(patch: Patch) -> None:
    def told(row: Row, _: str) -> Event:
        return read(row.values)

    patch.setattr(fan_out, "told", told)


def no_message_is_sent_for_the_next_try(patch: Patch) -> None:
    deliver = Delivering.deliver

    async def first(
        self: Delivering, name: str, webhook: str, event: str, ticket: Ticket, *after: Any
    ) -> None:
        if ticket == FIRST:
            await deliver(self, name, webhook, event, ticket, *after)

    patch.setattr(Delivering, "deliver", first)


def what_is_told_already_is_not_sent(patch: Patch) -> None:
    async def made(self: Telling, webhook: Webhook, delivery: Delivery) -> Delivery | None:
        with suppress(Conflict):
            return await self._stores.deliveries.add(webhook.id, delivery)
        return None

    patch.setattr(Telling, "_made", made)


def what_another_has_written_down_counts_alone(patch: Patch) -> None:
    def met(before: Delivery, there: Delivery, after: Delivery) -> Delivery:
        counted = replace(there, attempts=there.attempts + 1)
        if after.state is State.DELIVERED and there.since == before.since:
            return replace(after, attempts=counted.attempts)
        return counted

    patch.setattr(delivering, "_met", met)


def a_webhook_is_meant_by_its_name(patch: Patch) -> None:
    async def named(self: Deliverer, asked: ToDeliver) -> Webhook | None:
        return await self._stores.webhooks.find(asked.name)

    patch.setattr(Deliverer, "webhook", named)


def disabled_ones_are_delivered_to(patch: Patch) -> None:
    find = Deliverer.webhook

    async def enabled(self: Deliverer, asked: ToDeliver) -> Webhook | None:
        there = await find(self, asked)
        return there and replace(there, is_enabled=True)

    patch.setattr(Deliverer, "webhook", enabled)


def secrets_are_remembered(patch: Patch) -> None:
    opened, kept = CallbackSeal.open, dict[str, Callback]()

    def remembered(self: CallbackSeal, sealed: bytes, webhook: str) -> Callback:
        return kept.setdefault(webhook, opened(self, sealed, webhook))

    patch.setattr(CallbackSeal, "open", remembered)


def what_is_parked_is_not_looked_at_again(patch: Patch) -> None:
    async def blind(*_: object) -> None:
        return

    patch.setattr(Parking, "release_if_open", blind)


def nothing_is_drained(patch: Patch) -> None:
    async def silent(*_: object) -> None:
        return

    patch.setattr(Delivering, "drain", silent)


def a_probe_is_the_last_one(patch: Patch) -> None:
    async def silent(*_: object) -> bool:
        return True

    patch.setattr(Holding, "still_fails", silent)


def probes_take_pings(patch: Patch) -> None:
    async def longest(self: Probing, webhook: Webhook, live: Sequence[Waiting]) -> Delivery | None:
        one = min(live, key=lambda one: (one.due, one.name))
        delivery = await self._deliveries.find(webhook.id, one.name)
        return delivery if delivery and delivery.state is State.WAITING else None

    patch.setattr(Probing, "_longest", longest)


FAULTS = [
    Fault(
        times_are_of_hosts_clocks, "a tag goes, and comes by another clock", "one before it of no"
    ),
    Fault(no_message_is_sent_for_the_next_try, "a failing delivery twice", "no message comes"),
    Fault(
        what_is_told_already_is_not_sent,
        "a push, and the fan-out",
        "no message comes",
        faults=True,
    ),
    Fault(
        what_another_has_written_down_counts_alone,
        "a delivery, and a replay of it",
        "no message comes",
    ),
    Fault(
        a_webhook_is_meant_by_its_name, "a failing delivery, and it is made anew", "is not for it"
    ),
    Fault(disabled_ones_are_delivered_to, "a failing delivery, and it is disabled", "is closed"),
    Fault(secrets_are_remembered, "a failing delivery, and its secret is changed", "is not signed"),
    Fault(what_is_parked_is_not_looked_at_again, "a probe, and a push is told of", "no message"),
    Fault(nothing_is_drained, "a probe twice", "no message comes"),
    Fault(a_probe_is_the_last_one, "a probe that fails twice", "no message comes|is held"),
    Fault(probes_take_pings, "a probe, and a ping", "was taken 2 times"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.plant.__name__ for fault in FAULTS])
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.plant(monkeypatch)
    with patience(fault.scenario), pytest.raises(Broken, match=fault.says):
        explore(ALL[fault.scenario], faults=fault.faults)
