from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.model.outbound.posting import Posting
from shared.model.webhooks.webhook import Callback, Health, Webhook
from shared.services.webhooks.holding import FAILURES
from shared.services.webhooks.probing import WINDOW
from shared.services.webhooks.telling import Telling
from shared.storage.messages.delivering import Task, Ticket
from shared.storage.ports import Conflict, Unavailable
from shared.storage.rows.webhooks.deliveries import Deliveries, State
from shared.storage.rows.webhooks.webhooks import Webhooks
from tests.support.app import Memory
from tests.support.messages import awake
from tests.support.webhooks import OK, REFUSED, REPOSITORY, SILENT, Answer, Rig, replies
from tests.unit.services.conftest import Crash


async def held(rig: Rig, more: int = 0) -> Webhook:
    """Make a webhook whose receiver is held; so many events come after that."""
    hook = await rig.hook()
    rig.poster.always = REFUSED
    for _ in range(FAILURES):
        await rig.push()
    await rig.run(seconds=1)
    assert (await rig.health()).held
    for _ in range(more):
        await rig.push()
    return hook


async def test_a_receiver_that_fails_five_times_in_a_row_is_held(rig: Rig) -> None:
    await rig.hook()
    rig.poster.always = REFUSED
    for count in range(1, FAILURES):
        await rig.push()
        await rig.run(seconds=0)
        health = await rig.health()
        assert (health.failures, health.held) == (count, None)
    await rig.push()
    await rig.run(seconds=0)
    health = await rig.health()
    assert health.held
    assert health.why == str(REFUSED)
    assert [one.task for one in rig.waiting()].count(Task.PROBE) == 1


@pytest.mark.parametrize("answer", [OK, replies(400), replies(301)])
async def test_any_answer_between_begins_the_count_anew(rig: Rig, answer: Answer) -> None:
    await rig.hook()
    for answers in ([REFUSED] * 4, [answer], [REFUSED] * 4):
        for one in answers:
            rig.poster.answers = [one]
            await rig.push()
            await rig.run(seconds=0)
    health = await rig.health()
    assert (health.failures, health.held) == (4, None)


async def test_since_when_it_fails_is_known_before_it_is_held(rig: Rig) -> None:
    await rig.hook()
    rig.poster.always = REFUSED
    times = []
    for _ in range(FAILURES):
        times.append(rig.clock())
        await rig.push()
        await rig.run(seconds=0)
        health = await rig.health()
        assert health.failing
        assert times[0] <= health.failing <= times[0] + timedelta(seconds=1)
        rig.clock.move(seconds=2)
    assert (await rig.health()).held
    rig.poster.always = OK
    await rig.run(minutes=5)
    assert (await rig.health()).failing is None


async def test_a_dead_receiver_costs_neither_attempts_nor_messages(rig: Rig) -> None:
    hook = await held(rig)
    await rig.run(seconds=60)
    before, waiting = len(rig.poster.posted), len(rig.waiting())
    for _ in range(200):
        await rig.push()
    assert len(rig.waiting()) == waiting == 1
    assert len(rig.poster.posted) == before
    await rig.run(minutes=10)
    assert len(rig.poster.posted) - before <= 6
    assert (await rig.states(hook)).count(State.WAITING) == 200 + FAILURES


async def test_probes_go_out_with_growing_pauses_one_at_a_time(rig: Rig) -> None:
    await held(rig, 3)
    before = len(rig.poster.posted)
    await rig.run(hours=2)
    times = [int(posting.headers["webhook-timestamp"]) for posting in rig.poster.posted[before:]]
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert 10 <= waits[0] <= 20
    assert all(sooner <= later + 1 for sooner, later in pairwise(waits))
    assert max(waits) == 600
    assert len(times) < 25
    assert len(rig.waiting()) == 1


async def test_when_it_answers_all_follows_the_oldest_first(rig: Rig) -> None:
    hook = await held(rig, 100)
    await rig.run(minutes=5)
    rig.poster.always = OK
    before = len(rig.poster.posted)
    await rig.run(minutes=15)
    assert set(await rig.states(hook)) == {State.DELIVERED}
    health = await rig.health()
    assert (health.held, health.failures, health.why) == (None, 0, "")
    page = await rig.stores.deliveries.page(hook.id, limit=1_000)
    names = [one.id for one in reversed(page)]
    posted = rig.poster.ids[before:]
    assert posted[0] in names[: FAILURES + 4]  # the probe
    in_order = [names.index(one) for one in posted[1:]]
    assert in_order == sorted(in_order)
    assert len(set(posted)) == len(posted) == len(names)
    assert rig.waiting() == []


async def test_a_drain_goes_at_a_bounded_rate(rig: Rig) -> None:
    hook = await held(rig, 300)
    await rig.run(seconds=30)
    rig.poster.always = OK
    while (await rig.health()).held:
        await rig.run(seconds=1)
    before = len(rig.poster.posted)
    await rig.run(seconds=10)
    assert 0 < len(rig.poster.posted) - before < 300
    with_messages = [one for one in rig.waiting() if one.task is Task.DELIVER]
    assert len(with_messages) <= WINDOW
    await rig.run(minutes=2)
    assert set(await rig.states(hook)) == {State.DELIVERED}


async def test_one_that_always_fails_holds_up_no_probe(rig: Rig) -> None:
    hook = await held(rig, 5)
    bad = (await rig.stores.deliveries.waiting(hook.id, "", 1))[0].name.partition("-")[2]

    def picky(posting: Posting) -> Answer:
        is_bad = posting.headers["webhook-id"].replace("-", "") == bad
        return replies(500) if is_bad else OK

    rig.poster.decides = picky
    await rig.run(hours=1)
    states = await rig.states(hook)
    assert states.count(State.DELIVERED) == len(states) - 1


async def test_what_waited_for_24_hours_fails_for_good(rig: Rig) -> None:
    hook = await held(rig, 7)
    await rig.run(hours=25)
    assert set(await rig.states(hook)) == {State.FAILED}
    one = (await rig.stores.deliveries.failed(hook.id))[-1]
    assert "24 hours" in one.why
    assert (await rig.health()).held is None  # nothing is left to ask with: the next event tells
    rig.poster.always = OK
    await rig.push()
    await rig.run(minutes=1)
    assert (await rig.states(hook))[-1] is State.DELIVERED


async def test_a_silent_receiver_is_asked_four_times_for_each_even_by_probes(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.always = SILENT
    names = [await rig.push() for _ in range(FAILURES)]
    await rig.run(hours=24)
    for name in names:
        assert rig.poster.ids.count(name.partition("-")[2]) == 4
    assert set(await rig.states(hook)) == {State.UNANSWERED}


async def test_a_probe_heeds_how_long_the_receiver_asks_to_wait(rig: Rig) -> None:
    await held(rig)
    rig.poster.always = replies(429, {"Retry-After": "3600"})
    await rig.run(seconds=11)
    before = len(rig.poster.posted)
    await rig.run(minutes=59)
    assert len(rig.poster.posted) == before


async def test_a_probe_that_is_answered_410_disables(rig: Rig) -> None:
    hook = await held(rig, 2)
    rig.poster.always = replies(410)
    await rig.run(hours=1)
    there = await rig.change()
    assert not there.is_enabled
    assert (await rig.states(hook)).count(State.KEPT) == 1
    assert rig.waiting() == []


@pytest.mark.parametrize("how", ["disabled", "deleted", "made anew"])
async def test_probes_and_drains_of_what_is_gone_end(rig: Rig, how: str) -> None:
    await held(rig, 3)
    await rig.stores.delivering.drain("hooka", (await rig.change()).id)
    before = len(rig.poster.posted)
    if how == "disabled":
        await rig.change(is_enabled=False)
    else:
        await rig.stores.webhooks.delete(await rig.change())
    if how == "made anew":
        await rig.hook()
    await rig.run(hours=3)
    assert len(rig.poster.posted) == before
    assert rig.waiting() == []


async def test_what_was_left_before_goes_on_once_it_is_enabled(rig: Rig) -> None:
    hook = await held(rig, 3)
    await rig.change(is_enabled=False)
    await rig.run(hours=3)
    rig.poster.always = OK
    await rig.stores.delivering.drain(hook.name, hook.id)
    await rig.change(is_enabled=True, health=Health())
    await rig.run(minutes=10)
    states = await rig.states(hook)
    assert states[-3:] == [State.DELIVERED] * 3


async def test_a_ping_that_is_answered_ends_the_hold(rig: Rig) -> None:
    hook = await held(rig, 3)
    rig.poster.always = OK
    await rig.replays.ping(hook)
    await rig.run(seconds=9)
    assert (await rig.health()).held is None
    assert State.WAITING not in await rig.states(hook)


async def test_a_ping_answered_while_a_probe_runs_leaves_nothing_parked(rig: Rig) -> None:
    hook = await held(rig)
    (probe,) = [one for one in rig.waiting() if one.task is Task.PROBE]
    sent = rig.memory.messages.sent
    sent[:] = [one for one in sent if awake(one).body != probe.text()]
    rig.poster.answers = [OK, REFUSED]

    async def ping() -> None:
        await rig.replays.ping(hook)
        await rig.run(seconds=2)  # the ping, and the drain after it

    rig.poster.meanwhile = ping
    rig.poster.always = OK
    await rig.tasks.do(probe)
    assert (await rig.health()).held is None
    assert any(one.is_parked for one in await rig.stores.deliveries.waiting(hook.id, "", 9))
    await rig.run(hours=1)
    assert State.WAITING not in await rig.states(hook)


# Interleavings: who parks while the hold ends.


async def test_what_is_parked_while_the_hold_ends_is_released(rig: Rig) -> None:
    hook = await held(rig)
    rig.poster.always = OK
    read = await rig.stores.webhooks.all()  # W1: held
    await rig.run(minutes=1)  # the hold ends, the drain has gone through
    assert (await rig.health()).held is None
    delivered = (await rig.stores.deliveries.page(hook.id))[0]
    assert delivered.event
    key = rig.stores.outbox.key(rig.clock())
    await Telling(rig.stores).tell(REPOSITORY, key, delivered.event, read)
    await rig.run(seconds=2)
    assert set(await rig.states(hook)) == {State.DELIVERED}


async def test_who_finds_a_row_parked_by_another_tells_of_it_again(rig: Rig) -> None:
    hook = await held(rig)
    name = await rig.push()  # W2, and its process died
    await rig.change(health=Health())
    there = await rig.find(hook, name)
    assert there.event
    rig.poster.always = OK
    hooks = await rig.stores.webhooks.all()
    await Telling(rig.stores).tell(REPOSITORY, f"outbox|{name}", there.event, hooks)
    await rig.run(seconds=3)
    assert (await rig.find(hook, name)).state is State.DELIVERED


async def test_what_a_message_parks_while_the_hold_ends_is_released(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await held(rig)
    name = await rig.push()
    delivery = await rig.find(hook, name)
    ticket = delivery.ticket.after("ab")
    await rig.stores.deliveries.change(
        hook.id, delivery, replace(delivery, is_parked=False, ticket=ticket)
    )
    await rig.stores.delivering.deliver(hook.name, hook.id, name, ticket)
    asked = next(one for one in rig.waiting() if one.event == name)
    rig.memory.messages.sent.clear()
    rig.poster.always = OK
    read, change = type(rig.stores.deliveries).change, [True]

    async def late(*of_what: Any, **more: Any) -> Any:
        if change.pop() if change else False:  # K2 comes after A2, and after the drain
            await rig.change(health=Health())
        return await read(*of_what, **more)

    monkeypatch.setattr(type(rig.stores.deliveries), "change", late)
    await rig.tasks.do(asked)
    await rig.run(seconds=3)
    assert (await rig.find(hook, name)).state is State.DELIVERED


@pytest.mark.parametrize("how", ["repeated", "answer lost", "not read again"])
async def test_what_is_parked_is_looked_at_again_whatever_is_heard_of_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    hook = await held(rig)
    name = await rig.push()
    delivery = await rig.find(hook, name)
    ticket = delivery.ticket.after("ab")
    awake_row = replace(delivery, is_parked=False, ticket=ticket)
    await rig.stores.deliveries.change(hook.id, delivery, awake_row)
    await rig.stores.delivering.deliver(hook.name, hook.id, name, ticket)
    asked = next(one for one in rig.waiting() if one.event == name)
    rig.memory.messages.sent.clear()
    rig.poster.always = OK
    change, find = Deliveries.change, Webhooks.find

    async def unreadable(*_: Any) -> Any:
        raise Unavailable("the rows do not answer")

    async def late(*of_what: Any, **more: Any) -> Any:
        monkeypatch.setattr(Deliveries, "change", change)
        await rig.change(health=Health())
        done = await change(*of_what, **more)
        if how == "not read again":
            monkeypatch.setattr(Webhooks, "find", unreadable)
            return done
        raise Conflict("row", 0) if how == "repeated" else Unavailable("the answer was lost")

    monkeypatch.setattr(Deliveries, "change", late)
    with suppress(Unavailable):
        await rig.tasks.do(asked)
    monkeypatch.setattr(Webhooks, "find", find)
    if how != "repeated":
        await rig.tasks.do(asked)  # the host shows it again
    await rig.run(seconds=3)
    assert (await rig.find(hook, name)).state is State.DELIVERED


@pytest.mark.parametrize("answer", [OK, REFUSED])
async def test_other_secrets_while_a_probe_runs_end_no_chain_of_probes(
    rig: Rig, answer: Answer
) -> None:
    hook = await held(rig, 2)
    sealed = rig.seal.close(Callback("https://elsewhere.example/"), hook.id)
    rig.poster.meanwhile = lambda: rig.change(sealed=sealed)
    rig.poster.answers = [answer]
    rig.poster.always = OK
    await rig.run(minutes=5)
    assert (await rig.health()).held is None
    assert State.WAITING not in await rig.states(hook)


async def test_a_probe_that_comes_again_after_the_hold_releases_what_it_parked(rig: Rig) -> None:
    hook = await held(rig, 1)
    (probe,) = [one for one in rig.waiting() if one.task is Task.PROBE]
    rig.memory.messages.sent.clear()
    await rig.change(health=replace(await rig.health(), held=None, failures=0, due=None))
    rig.poster.always = OK
    await rig.tasks.do(probe)
    await rig.run(minutes=1)
    assert (await rig.states(hook))[-1] is State.DELIVERED


async def test_two_drains_release_each_once(rig: Rig) -> None:
    hook = await held(rig, 20)
    await rig.run(seconds=60)
    await rig.change(health=Health())
    rig.poster.always = OK
    before = len(rig.poster.posted)
    for _ in range(3):
        await rig.stores.delivering.drain(hook.name, hook.id)
    sent = rig.memory.messages.sent
    sent.append(sent[-1])  # the host shows it twice
    await rig.run(seconds=1)
    assert [one.task for one in rig.waiting()].count(Task.DRAIN) == 1
    await rig.run(minutes=5)
    assert len(rig.poster.posted) - before == 20 + FAILURES


async def test_one_that_waited_for_too_long_is_tried_once_its_receiver_answers(rig: Rig) -> None:
    hook = await held(rig, 3)
    await rig.run(minutes=1)
    rig.clock.move(hours=25)
    rig.poster.always = OK
    await rig.run(minutes=5)
    assert set(await rig.states(hook)) == {State.DELIVERED}


async def test_new_ones_that_are_due_keep_no_drain_back(rig: Rig) -> None:
    hook = await held(rig, 1)
    await rig.change(health=Health())
    for number in range(WINDOW + 1):
        await rig.push(f"new{number}")
    rig.memory.messages.sent.clear()
    await rig.stores.delivering.drain(hook.name, hook.id)
    rig.poster.always = OK
    await rig.run(minutes=1)
    assert not [
        one for one in await rig.stores.deliveries.waiting(hook.id, "", 99) if one.is_parked
    ]


@pytest.mark.parametrize("writes", range(9))
@pytest.mark.parametrize("answer", [OK, REFUSED, SILENT, replies(400)])
async def test_a_probe_that_dies_anywhere_is_followed_by_one(
    rig: Rig,
    memory: Memory,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
    answer: Answer,
) -> None:
    hook = await held(rig, 3)
    await rig.run(seconds=9)
    (probe,) = [one for one in rig.waiting() if one.task is Task.PROBE]
    memory.messages.sent[:] = []
    rig.poster.always = answer
    before = len(rig.poster.posted)
    revive = crash(memory, writes)
    with suppress(Crash):
        await rig.tasks.do(probe)
    revive()
    await rig.tasks.do(probe)  # the host shows it again
    assert len(rig.poster.posted) - before <= 2
    rig.poster.always = OK
    await rig.run(hours=1)
    states = await rig.states(hook)
    assert set(states) <= {State.DELIVERED, State.FAILED}
    assert (await rig.health()).held is None
    assert rig.waiting() == []


@pytest.mark.parametrize("writes", range(9))
async def test_a_drain_that_dies_anywhere_loses_nothing(
    rig: Rig, memory: Memory, crash: Callable[[Memory, int], Callable[[], None]], writes: int
) -> None:
    hook = await held(rig, 3)
    await rig.run(minutes=1)
    await rig.change(health=Health())
    memory.messages.sent[:] = []
    rig.poster.always = OK
    before = len(rig.poster.posted)
    await rig.stores.delivering.drain(hook.name, hook.id)
    (drain,) = rig.waiting()
    revive = crash(memory, writes)
    with suppress(Crash):
        await rig.tasks.do(drain)
    revive()
    await rig.tasks.do(drain)  # the host shows it again
    await rig.run(minutes=10)
    assert set(await rig.states(hook)) == {State.DELIVERED}
    assert len(rig.poster.posted) - before == 3 + FAILURES


@pytest.mark.parametrize("writes", range(6))
async def test_who_dies_while_it_holds_a_receiver_leaves_one_chain_of_probes(
    rig: Rig, memory: Memory, crash: Callable[[Memory, int], Callable[[], None]], writes: int
) -> None:
    await rig.hook()
    rig.poster.always = REFUSED
    for _ in range(FAILURES - 1):
        await rig.push()
    await rig.run(seconds=0)
    name = await rig.push()
    (asked,) = [one for one in rig.waiting() if one.event == name]
    memory.messages.sent[:] = [one for one in memory.messages.sent if one.delay]
    revive = crash(memory, writes)
    with suppress(Crash):
        await rig.tasks.do(asked)
    revive()
    await rig.tasks.do(asked)
    await rig.run(minutes=30)
    assert (await rig.health()).held
    assert len(rig.waiting()) == 1


async def test_an_old_probe_is_none_of_a_new_hold(rig: Rig) -> None:
    hook = await held(rig)
    ticket = Ticket.read((await rig.health()).probe)
    rig.poster.always = OK
    await rig.run(minutes=1)
    rig.poster.always = REFUSED
    for _ in range(FAILURES):
        await rig.push()
    await rig.run(seconds=0)
    assert (await rig.health()).held
    before = len(rig.poster.posted)
    await rig.stores.delivering.probe(hook.name, hook.id, ticket, timedelta())
    await rig.run(seconds=5)
    assert len(rig.poster.posted) == before


async def test_how_an_address_of_before_did_says_nothing_of_another(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.always = REFUSED
    for _ in range(FAILURES - 1):
        await rig.push()
    await rig.run(seconds=0)
    await rig.push()
    callback = replace(rig.seal.open(hook.sealed, hook.id), uri="https://new.example/")
    rig.poster.meanwhile = lambda: rig.change(
        sealed=rig.seal.close(callback, hook.id), health=Health()
    )
    await rig.run(seconds=0)
    assert await rig.health() == Health()


async def test_no_probe_sends_a_ping_that_has_its_own_message(rig: Rig) -> None:
    hook = await rig.hook()
    rig.poster.always = REFUSED
    await rig.push()
    await rig.run(hours=1)
    assert (await rig.health()).held
    await rig.replays.ping(hook)
    rig.memory.messages.sent.pop()  # it is slow
    rig.poster.posted.clear()
    await rig.run(hours=1)
    assert rig.poster.posted
    assert not [posting for posting in rig.poster.posted if b'"action":"ping"' in posting.body]
