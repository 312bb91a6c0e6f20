from collections.abc import Sequence

import pytest

from shared.model.webhooks.webhook import Health
from shared.services.webhooks.tending import tend_all
from shared.storage.messages.delivering import Task
from shared.storage.ports import Unavailable
from shared.storage.rows.webhooks.deliveries import State
from tests.support.webhooks import OK, REFUSED, Rig


def never() -> bool:
    return False


async def test_what_is_older_than_events_are_kept_goes(rig: Rig) -> None:
    hook = await rig.hook()
    await rig.push()
    await rig.run(days=6)
    late = await rig.push()
    await rig.run(days=2)
    await rig.tending().tend(never)
    assert [one.name for one in await rig.stores.deliveries.page(hook.id)] == [late]
    await rig.tending(days=1).tend(never)
    assert await rig.stores.deliveries.page(hook.id) == []
    assert await rig.stores.deliveries.next_webhook("") == ""


async def test_a_webhook_that_is_gone_leaves_nothing(rig: Rig) -> None:
    hook = await rig.hook()
    await rig.push()
    await rig.run(minutes=1)
    await rig.stores.webhooks.delete(hook)
    other = await rig.hook()
    await rig.push()
    await rig.tending().tend(never)
    assert await rig.stores.deliveries.next_webhook("") == other.id
    assert await rig.stores.deliveries.next_webhook(other.id) == ""


async def test_a_webhook_made_while_it_looks_loses_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rig.stores.webhooks.all
    await rig.hook()
    await rig.push()
    made: list[str] = []

    async def all_of_them() -> Sequence[object]:
        found = await read()
        made.append((await rig.hook("hookb")).id)
        monkeypatch.undo()
        await rig.push()
        return found

    monkeypatch.setattr(type(rig.stores.webhooks), "all", lambda _: all_of_them())
    await rig.tending().tend(never)
    assert len(await rig.stores.deliveries.page(made[0])) == 1


async def test_a_message_that_was_lost_is_sent_again(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.memory.messages.sent.clear()
    await rig.tending().tend(never)
    assert rig.waiting() == []
    rig.clock.move(hours=2)
    await rig.tending().tend(never)
    await rig.run(minutes=1)
    assert (await rig.find(hook, name)).state is State.DELIVERED
    assert len(rig.poster.posted) == 1


async def test_a_message_that_was_lost_a_day_ago_is_sent_no_more(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.memory.messages.sent.clear()
    rig.clock.move(hours=25)
    await rig.tending().tend(never)
    assert ((await rig.find(hook, name)).state, rig.waiting()) == (State.FAILED, [])


async def test_what_is_parked_for_nobody_and_lost_probes_go_on(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.always = REFUSED
    for _ in range(6):
        await rig.push()
    await rig.run(seconds=30)
    rig.memory.messages.sent.clear()
    rig.clock.move(minutes=30)
    await rig.tending().tend(never)
    assert rig.waiting() == []
    rig.clock.move(hours=1)
    await rig.tending().tend(never)
    (probe,) = rig.waiting()
    assert probe.task is Task.PROBE
    await rig.change(health=Health())
    rig.memory.messages.sent.clear()
    await rig.tending().tend(never)
    rig.poster.always = OK
    await rig.run(minutes=1)
    assert set(await rig.states(hook)) == {State.DELIVERED}


async def test_what_waits_for_a_disabled_webhook_is_kept(rig: Rig) -> None:
    hook = await rig.hook()
    await rig.push()
    rig.memory.messages.sent.clear()
    await rig.change(is_enabled=False)
    await rig.tending().tend(never)
    assert await rig.states(hook) == [State.KEPT]


async def test_it_stops_when_its_time_is_over(rig: Rig) -> None:
    hook = await rig.hook()
    await rig.push()
    await rig.run(days=9)
    await rig.tending().tend(lambda: True)
    assert len(await rig.stores.deliveries.page(hook.id)) == 1


async def test_one_registry_that_fails_keeps_no_other_waiting(rig: Rig) -> None:
    done: list[int] = []

    class Tending:
        async def tend(self, is_over: object) -> None:
            done.append(1)
            if len(done) == 1:
                raise Unavailable("busy")

    with pytest.raises(Unavailable):
        await tend_all([Tending(), Tending()], rig.clock.ticks)  # type: ignore[list-item]
    assert len(done) == 2
