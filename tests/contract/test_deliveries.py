"""Deliveries, and what is there while they wait or have failed, over each adapter."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.events import Cause, ManifestDeleted, ManifestPushed
from shared.storage import keys
from shared.storage.messages.delivering import Ticket
from shared.storage.ports import Conflict, NotFound
from shared.storage.rows.webhooks.attempts import Attempt
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores

NOW = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
ME = Cause("me", "r", "registry.test", "PUT", "docker/29")
PUSHED = ManifestPushed("sha256:d", "v1", "m", 7, ME, NOW, "s", "p")
HOOK = "i1"


def made(minute: int = 0, **more: object) -> Delivery:
    """Make a delivery of an event of that minute."""
    moment = NOW + timedelta(minutes=minute)
    name = keys.time_id(moment, uuid.uuid4().hex)
    delivery = Delivery.of(name, "push", "team/app", replace(PUSHED, at=moment), moment)
    return replace(delivery, **more)  # type: ignore[arg-type]


async def add(stores: Stores, count: int, **more: object) -> Sequence[Delivery]:
    """Add some, a minute between them."""
    return [await stores.deliveries.add(HOOK, made(minute, **more)) for minute in range(count)]


async def waiting(stores: Stores) -> list[str]:
    return [one.name for one in await stores.deliveries.waiting(HOOK, "", 100)]


async def failed(stores: Stores) -> list[str]:
    return [one.name for one in await stores.deliveries.failed(HOOK)]


async def test_a_delivery_is_read_as_it_was_written(stores: Stores) -> None:
    for delivery in (
        made(is_parked=True, why="it said no", ticket=Ticket(3, "ab"), tries=2, unanswered=1),
        Delivery.of(
            "20260101T000000000000-aa", "delete", "a", ManifestDeleted("d", "m", ME, NOW), NOW
        ),
        Delivery.ping(keys.time_id(NOW, "bb"), NOW),
    ):
        written = await stores.deliveries.add(HOOK, delivery)
        assert await stores.deliveries.find(HOOK, delivery.name) == delivery == written
        assert written.etag
        assert await stores.deliveries.find("another", delivery.name) is None


async def test_what_is_there_already_is_not_added(stores: Stores) -> None:
    delivery = made()
    await stores.deliveries.add(HOOK, delivery)
    with pytest.raises(Conflict):
        await stores.deliveries.add(HOOK, delivery)
    await stores.deliveries.add("another", delivery)


async def test_a_ping_that_failed_is_not_among_those(stores: Stores) -> None:
    now = datetime.now(UTC)
    (one,) = await add(stores, 1)
    ping = await stores.deliveries.add(
        HOOK, Delivery.ping(f"20250101T000000000000-{'f' * 32}", now)
    )
    await stores.deliveries.change(HOOK, ping, replace(ping, state=State.FAILED))
    assert not await stores.deliveries.has_failed(HOOK)
    await stores.deliveries.change(HOOK, one, replace(one, state=State.FAILED))
    assert await failed(stores) == [one.name]


@pytest.mark.parametrize("state", State)
async def test_those_that_wait_or_failed_are_found_as_long_as_they_do(
    stores: Stores, state: State
) -> None:
    (one,) = await add(stores, 1)
    assert await waiting(stores) == [one.name]
    other = await stores.deliveries.change(HOOK, one, replace(one, state=state))
    assert await waiting(stores) == [one.name] * (state is State.WAITING)
    assert await failed(stores) == [one.name] * state.is_owed
    assert await stores.deliveries.has_failed(HOOK) == state.is_owed
    again = await stores.deliveries.change(HOOK, other, one)
    assert (await waiting(stores), await failed(stores)) == ([one.name], [])
    await stores.deliveries.change(HOOK, again, replace(one, state=state))


async def test_how_many_wait_is_counted_up_to_a_bound(stores: Stores) -> None:
    first, *_ = await add(stores, 3)
    await stores.deliveries.change(HOOK, first, replace(first, state=State.DELIVERED))
    assert await stores.deliveries.count_waiting(HOOK, 10) == 2
    assert await stores.deliveries.count_waiting(HOOK, 1) == 1
    assert await stores.deliveries.count_waiting("another", 10) == 0


async def test_one_is_found_by_the_id_of_its_event(stores: Stores) -> None:
    each = await add(stores, 5)
    for one in each:
        assert await stores.deliveries.named(HOOK, one.id) == one.name
    assert await stores.deliveries.named(HOOK, uuid.uuid4().hex) == ""
    assert await stores.deliveries.named("another", each[0].id) == ""


async def test_a_change_of_what_has_changed_is_refused_whole(stores: Stores) -> None:
    (one,) = await add(stores, 1)
    await stores.deliveries.change(HOOK, one, replace(one, attempts=1))
    attempt = Attempt(1, NOW, 0.25, "https://ci.example:443")
    with pytest.raises(Conflict):
        await stores.deliveries.change(HOOK, one, replace(one, state=State.FAILED), attempt)
    assert await waiting(stores) == [one.name]
    assert await stores.deliveries.attempts(HOOK, one.name) == []
    with pytest.raises(NotFound):
        await stores.deliveries.change("another", one, replace(one, attempts=1))


async def test_each_attempt_is_kept_with_its_answer(stores: Stores) -> None:
    (one,) = await add(stores, 1)
    attempts = [
        Attempt(
            1, NOW, 0.25, "https://ci.example", "whsec:ab12", b"{}", {"X": "***"}, why="refused"
        ),
        Attempt(
            2,
            NOW,
            9.875,
            "https://ci.example",
            "",
            b"{}",
            {},
            200,
            "OK",
            "1.1",
            {"A": "b"},
            b"x" * 4096,
        ),
    ]
    for attempt in attempts:
        one = await stores.deliveries.change(
            HOOK, one, replace(one, attempts=attempt.number), attempt
        )
    assert await stores.deliveries.attempts(HOOK, one.name) == attempts


async def test_pages_begin_with_the_newest(stores: Stores) -> None:
    names = [one.name for one in await add(stores, 5)]
    newest = await stores.deliveries.page(HOOK, limit=2)
    assert [one.name for one in newest] == [names[4], names[3]]
    others = await stores.deliveries.page(HOOK, names[3])
    assert [one.name for one in others] == [names[2], names[1], names[0]]
    since = NOW + timedelta(minutes=3)
    assert [one.name for one in await stores.deliveries.page(HOOK, since=since)] == names[:2:-1]


async def test_those_that_wait_begin_with_the_oldest(stores: Stores) -> None:
    names = [one.name for one in await add(stores, 3, is_parked=True)]
    page = await stores.deliveries.waiting(HOOK, "", 2)
    assert [(one.name, one.is_parked) for one in page] == [(name, True) for name in names[:2]]
    assert [one.name for one in await stores.deliveries.waiting(HOOK, names[1], 2)] == names[2:]


async def test_many_are_given_up_but_those_that_changed_meanwhile(stores: Stores) -> None:
    added = await add(stores, 40)
    read = await stores.deliveries.waiting(HOOK, "", 100)
    await stores.deliveries.change(HOOK, added[7], replace(added[7], state=State.DELIVERED))
    await stores.deliveries.change(HOOK, added[9], replace(added[9], due=NOW))
    assert await stores.deliveries.give_up(HOOK, read, "no answer") == 38
    assert await waiting(stores) == [added[9].name]
    assert len(await failed(stores)) == 38
    one = await stores.deliveries.find(HOOK, added[0].name)
    assert one
    assert (one.state, one.why) == (State.FAILED, "no answer")


async def test_old_ones_are_forgotten_with_their_attempts_unless_they_wait(stores: Stores) -> None:
    added = await add(stores, 4)
    for one, state in zip(added[1:], (State.FAILED, State.DELIVERED, State.FAILED), strict=True):
        attempt = Attempt(1, NOW, 0.25, "https://ci.example")
        await stores.deliveries.change(HOOK, one, replace(one, state=state), attempt)
    while await stores.deliveries.forget(HOOK, NOW + timedelta(minutes=2, seconds=30)):
        pass
    left = [one.name for one in await stores.deliveries.page(HOOK)]
    assert left == [added[3].name, added[0].name]
    assert await failed(stores) == [added[3].name]
    counts = [len(await stores.deliveries.attempts(HOOK, one.name)) for one in added]
    assert counts == [0, 0, 0, 1]


async def test_all_of_a_webhook_that_is_gone_goes(stores: Stores) -> None:
    await add(stores, 3)
    other = await stores.deliveries.add("i2", made())
    assert await stores.deliveries.next_webhook("") == HOOK
    assert await stores.deliveries.next_webhook(HOOK) == "i2"
    assert await stores.deliveries.next_webhook("i2") == ""
    while await stores.deliveries.drop(HOOK):
        pass
    assert await stores.deliveries.page(HOOK) == []
    assert await waiting(stores) == []
    assert await stores.deliveries.next_webhook("") == "i2"
    assert await stores.deliveries.find("i2", other.name)
