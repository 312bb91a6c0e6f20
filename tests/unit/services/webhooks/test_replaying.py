import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.model.webhooks.webhook import Health
from shared.services.webhooks import replaying
from shared.services.webhooks.replaying import ReplayRefused
from shared.storage.messages.delivering import Task
from shared.storage.rows.webhooks.deliveries import State
from tests.support.app import Memory
from tests.support.webhooks import OK, REFUSED, Rig, replies
from tests.unit.services.conftest import Crash

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("status", [200, 400, 302])
async def test_what_is_over_is_sent_again_under_its_id(rig: Rig, status: int) -> None:
    hook = await rig.hook()
    rig.poster.answers = [replies(status)]
    name = await rig.push()
    await rig.run(days=2)
    await rig.replays.replay(hook, name)
    await rig.run(hours=1)
    first, second = rig.poster.posted
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    delivery = await rig.find(hook, name)
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 2)
    assert await rig.stores.deliveries.failed(hook.id) == []


async def test_a_replay_has_24_hours_of_its_own(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.answers = [replies(400)]
    name = await rig.push()
    await rig.run(days=2)
    rig.poster.answers = [REFUSED]
    await rig.replays.replay(hook, name)
    await rig.run(hours=1)
    assert (await rig.find(hook, name)).state is State.DELIVERED


async def test_what_waits_may_be_sent_at_once(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.answers = [replies(503, {"Retry-After": "3600"})]
    name = await rig.push()
    await rig.run(seconds=1)
    await rig.replays.replay(hook, name)
    await rig.run(seconds=5)
    assert len(rig.poster.posted) == 2
    await rig.run(days=1)
    assert len(rig.poster.posted) == 2


async def test_a_stretch_of_time_follows_the_oldest_first(rig: Rig) -> None:
    hook = await rig.hook()
    began = rig.clock()
    names = []
    for _ in range(8):
        names.append(await rig.push())
        await rig.run(hours=1)
    await rig.replays.ping(hook)
    await rig.run(minutes=1)
    rig.poster.posted.clear()
    count = await rig.replays.replay_between(hook, began + HOUR * 3 / 2, began + HOUR * 11 / 2)
    await rig.run(hours=1)
    assert count == 4
    assert rig.poster.ids == [name.partition("-")[2] for name in names[2:6]]


async def test_a_long_stretch_of_time_sends_one_drain(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, began = await rig.hook(), rig.clock()
    monkeypatch.setattr(replaying, "_PAGE", 2)
    for _ in range(7):
        await rig.push()
    await rig.run(minutes=1)
    assert await rig.replays.replay_between(hook, began, rig.clock()) == 7
    assert [one.task for one in rig.waiting()] == [Task.DRAIN]
    rig.memory.messages.sent.clear()  # it died before
    assert await rig.replays.replay_between(hook, began, rig.clock()) == 0
    await rig.run(minutes=1)
    assert len(rig.poster.posted) == 14


async def test_only_those_that_failed_where_that_is_asked(rig: Rig) -> None:
    hook = await rig.hook()
    began = rig.clock()
    rig.poster.answers = [OK, replies(400), OK]
    for _ in range(3):
        await rig.push()
    await rig.run(seconds=1)
    count = await rig.replays.replay_between(hook, began, rig.clock(), {State.FAILED})
    await rig.run(hours=1)
    assert (count, len(rig.poster.posted)) == (1, 4)


async def test_events_of_a_stretch_of_time_are_given(rig: Rig) -> None:
    hook, names, times = await rig.hook(), [], []
    for _ in range(5):
        times.append(rig.clock())
        names.append(await rig.push())
        await rig.run(hours=1)
    page = await rig.replays.events(hook, limit=2, since=times[1], until=times[4])
    assert [one.name for one in page] == [names[3], names[2]]
    page = await rig.replays.events(hook, names[2], since=times[1], until=times[4])
    assert [one.name for one in page] == [names[1]]


async def test_an_event_is_known_by_the_id_that_its_receiver_has(rig: Rig) -> None:
    hook = await rig.hook()
    names = [await rig.push() for _ in range(3)]
    await rig.run(seconds=1)
    told = rig.poster.posted[1].headers["webhook-id"]
    assert await rig.replays.named(hook, told) == names[1]
    with pytest.raises(ReplayRefused, match="has no event 0000"):
        await rig.replays.named(hook, str(UUID(int=0)))


async def test_what_is_sent_again_to_a_receiver_that_is_held_waits(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    await rig.run(seconds=1)
    now = rig.clock()
    hook = await rig.change(health=Health(5, now, "it is dead", probe="1-ab", due=now))
    await rig.replays.replay(hook, name)
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 1
    assert (await rig.find(hook, name)).is_parked
    await rig.stores.delivering.drain(hook.name, hook.id)
    await rig.change(health=Health())
    await rig.run(minutes=1)
    assert len(rig.poster.posted) == 2


@pytest.mark.parametrize("writes", range(3))
async def test_a_replay_that_dies_is_whole_or_nothing(
    rig: Rig, memory: Memory, crash: Callable[[Memory, int], Callable[[], None]], writes: int
) -> None:
    hook = await rig.hook()
    name = await rig.push()
    await rig.run(seconds=1)
    revive = crash(memory, writes)
    with suppress(Crash):
        await rig.replays.replay(hook, name)
    revive()
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 1 + (writes == 2)
    assert (await rig.find(hook, name)).state is State.DELIVERED
    assert rig.waiting() == []


async def test_what_cannot_be_sent_is_refused(rig: Rig) -> None:
    hook = await rig.hook()
    ping = await rig.replays.ping(hook)
    with pytest.raises(ReplayRefused, match="sent once"):
        await rig.replays.replay(hook, ping.name)
    with pytest.raises(ReplayRefused, match="has no event"):
        await rig.replays.replay(hook, "20260101T000000000000-ab")
    disabled = await rig.change(is_enabled=False)
    with pytest.raises(ReplayRefused, match="enable it"):
        await rig.replays.replay_between(disabled, rig.clock() - HOUR, rig.clock())


async def test_events_and_attempts_are_listed(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.answers = [replies(400)]
    names = [await rig.push() for _ in range(3)]
    await rig.run(seconds=1)
    assert [one.name for one in await rig.replays.events(hook)] == names[::-1]
    assert [one.name for one in await rig.replays.failed(hook)] == names[:1]
    assert [one.status for one in await rig.replays.attempts(hook, names[0])] == [400]


async def test_a_ping_that_the_storage_client_wrote_twice_is_sent_once(
    rig: Rig, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, commit = await rig.hook(), memory.rows.commit

    async def twice(*arguments: Any) -> list[str]:
        await commit(*arguments)
        return await commit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(memory.rows, "commit", twice)
        ping = await rig.replays.ping(hook)
    await rig.run(hours=1)
    assert (await rig.find(hook, ping.name)).state is State.DELIVERED
    assert len(rig.poster.posted) == 1


async def test_who_delivers_meanwhile_leaves_a_replay_that_fails_its_next_try(rig: Rig) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()
    hook, name = await rig.hook(), await rig.push()

    async def hangs() -> None:
        begun.set()
        await goes_on.wait()

    [asked] = rig.waiting()
    rig.memory.messages.sent.clear()
    rig.poster.meanwhile, rig.poster.answers = hangs, [OK, REFUSED]
    first = asyncio.create_task(rig.tasks.do(asked))
    await begun.wait()
    await rig.replays.replay(hook, name)

    async def first_ends() -> None:
        goes_on.set()
        await first

    rig.poster.meanwhile = first_ends
    await rig.run(hours=1)
    delivery = await rig.find(hook, name)
    assert (delivery.state, delivery.attempts, len(rig.poster.posted)) == (State.DELIVERED, 3, 3)
