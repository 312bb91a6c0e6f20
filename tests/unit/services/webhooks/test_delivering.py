from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from shared.model.webhooks.webhook import Callback
from shared.services.webhooks.attempting import MOST_AT_ONCE, MOST_IN_ALL
from shared.services.webhooks.configuration.registering import Registering, Wish
from shared.services.webhooks.replaying import ReplayRefused
from shared.services.webhooks.telling import Telling
from shared.storage.messages.delivering import Task
from shared.storage.ports import Conflict, Unavailable
from shared.storage.rows.webhooks.deliveries import Deliveries, State
from tests.support.app import Memory
from tests.support.webhooks import OK, REFUSED, REPOSITORY, SILENT, Answer, Rig, replies
from tests.unit.services.conftest import Crash


async def test_an_event_is_delivered_once_and_the_attempt_is_kept(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    await rig.run(hours=30)
    assert rig.poster.ids == [name.partition("-")[2]]
    delivery = await rig.find(hook, name)
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 1)
    (attempt,) = await rig.stores.deliveries.attempts(hook.id, name)
    assert (attempt.status, attempt.address) == (200, "https://ci.example")
    assert attempt.secret
    assert await rig.stores.deliveries.waiting(hook.id, "", 9) == []
    assert rig.waiting() == []


async def test_only_those_who_hear_of_an_event_are_told(rig: Rig) -> None:
    await rig.hook("hooka")
    await rig.hook("hookb", actions=frozenset())
    await rig.push()
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 1


async def test_a_webhook_is_told_once_however_often_the_fan_out_comes(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    delivery = await rig.find(hook, name)
    for _ in range(2):  # its message came again, before and after it was delivered
        assert delivery.event
        telling = Telling(rig.stores)
        hooks = await telling.webhooks()
        await telling.tell(REPOSITORY, f"outbox|{name}", delivery.event, hooks)
        await rig.run(seconds=5)
    assert len(rig.poster.posted) == 1


@pytest.mark.parametrize(
    "answer",
    [REFUSED, *[replies(status) for status in (500, 503, 599, 408, 425, 429, 401, 403, 404)]],
)
async def test_what_may_get_better_is_tried_with_growing_delays(rig: Rig, answer: Answer) -> None:
    await rig.hook()
    name = await rig.push()
    rig.poster.answers = [answer, answer, answer]
    await rig.run(hours=1)
    assert rig.poster.ids == [name.partition("-")[2]] * 4
    times = [int(posting.headers["webhook-timestamp"]) for posting in rig.poster.posted]
    waits = [b - a for a, b in pairwise(times)]
    for wait, longest in zip(waits, (10, 20, 40), strict=True):
        assert longest * 3 / 4 <= wait <= longest + 1


@pytest.mark.parametrize("place", ["posting_of", "masked_reply", "judge", "fingerprint"])
async def test_what_goes_wrong_here_itself_is_a_failed_attempt_that_tells_its_kind_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    def fails(*_: object) -> None:
        raise LookupError("s3cret")

    hook = await rig.hook()
    name = await rig.push()
    with monkeypatch.context() as broken:
        broken.setattr(f"shared.services.webhooks.attempting.{place}", fails)
        await rig.run(seconds=5)
    assert (await rig.find(hook, name)).state is State.WAITING
    await rig.run(hours=1)
    assert await rig.states(hook) == [State.DELIVERED]
    first, second = await rig.stores.deliveries.attempts(hook.id, name)
    assert first.why == "the registry failed at it by itself: LookupError"
    assert (first.status, second.status) == (0, 200)
    assert "LookupError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_poster_that_fails_by_itself_is_told_by_its_kind(rig: Rig) -> None:
    async def fails() -> None:
        raise RuntimeError("s3cret")

    hook = await rig.hook()
    name = await rig.push()
    rig.poster.meanwhile = fails
    await rig.run(hours=1)
    first, second = await rig.stores.deliveries.attempts(hook.id, name)
    assert first.why == "the registry failed at it by itself: RuntimeError"
    assert second.status == 200


@pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 405, 409, 422, 451, 600, 102])
async def test_what_is_final_is_told_and_not_tried_again(rig: Rig, status: int) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.poster.answers = [replies(status, reason="so")]
    await rig.run(hours=30)
    assert len(rig.poster.posted) == 1
    (failed,) = await rig.stores.deliveries.failed(hook.id)
    assert (failed.name, failed.why) == (name, f"it answered {status} so")


@pytest.mark.parametrize(("status", "is_tried"), [(400, True), (422, True), (302, False)])
async def test_other_4xx_are_tried_again_where_that_is_asked(
    rig: Rig, status: int, is_tried: bool
) -> None:
    await rig.hook(retries_4xx=True)
    await rig.push()
    rig.poster.answers = [replies(status)]
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 1 + is_tried


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        *[("120", 120, 600), ("999999999999", 3_600, 4_200), ("soon", 7, 11), ("-5", 7, 11)],
        (f"Thu, 01 Jan {'9' * 20} 12:00:00 GMT", 7, 11),
        (f"Thu, 01 Jan 2026 12:00:00 +{'9' * 20}", 7, 11),
        ("Sat, 01 Jan 0001 00:00:00 +2359", 7, 11),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 7, 3_600 + 600),
    ],
)
async def test_a_receiver_says_how_long_to_wait_up_to_an_hour(
    rig: Rig, said: str, least: int, most: int
) -> None:
    await rig.hook()
    await rig.push()
    rig.poster.answers = [replies(429, {"retry-after": said})]
    began = rig.clock()
    await rig.run(seconds=1)
    (one,) = rig.memory.messages.sent
    await rig.run(seconds=0)
    assert least <= one.delay <= most
    assert rig.clock() - began == timedelta(seconds=1)


async def test_who_takes_it_and_is_silent_is_asked_three_times_more(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.poster.always = SILENT
    await rig.run(hours=30)
    assert len(rig.poster.posted) == 4
    assert (await rig.find(hook, name)).state is State.UNANSWERED
    assert [one.name for one in await rig.stores.deliveries.failed(hook.id)] == [name]


async def test_who_is_gone_is_sent_nothing_any_more(rig: Rig) -> None:
    hook = await rig.hook()
    first = await rig.push()
    rig.poster.answers = [replies(410, reason="Gone")]
    await rig.run(hours=1)
    second = await rig.push()
    await rig.run(hours=30)
    assert len(rig.poster.posted) == 1
    assert "410" in (await rig.health()).disabled
    assert [(await rig.find(hook, name)).state for name in (first, second)] == [State.KEPT] * 2
    with pytest.raises(ReplayRefused, match="410"):
        await rig.replays.replay(hook := await rig.change(), first)
    assert not hook.is_enabled


async def test_an_address_of_before_that_is_gone_disables_none(rig: Rig) -> None:
    hook = await rig.hook()
    await rig.push()
    sealed = rig.seal.close(Callback("https://elsewhere.example/"), hook.id)
    rig.poster.meanwhile = lambda: rig.change(sealed=sealed)
    rig.poster.answers = [replies(410)]
    await rig.run(hours=1)
    assert [posting.url for posting in rig.poster.posted] == [
        "https://ci.example/hook?code=s3cret",
        "https://elsewhere.example/",
    ]
    assert await rig.states(hook) == [State.DELIVERED]


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_no_attempt_begins_once_a_webhook_is_deleted_or_disabled(
    rig: Rig, is_deleted: bool
) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.poster.answers = [REFUSED]
    await rig.run(seconds=1)
    if is_deleted:
        await rig.stores.webhooks.delete(await rig.change())
        await rig.hook()  # of the same name: it inherits nothing
    else:
        await rig.change(is_enabled=False)
    await rig.run(hours=30)
    assert len(rig.poster.posted) == 1
    if not is_deleted:
        assert (await rig.find(hook, name)).state is State.KEPT


async def test_a_disabled_webhook_keeps_its_events_for_a_replay(rig: Rig) -> None:
    hook = await rig.hook(is_enabled=False)
    name = await rig.push()
    await rig.run(hours=1)
    assert await rig.states(hook) == [State.KEPT]
    with pytest.raises(ReplayRefused, match="disabled"):
        await rig.replays.replay(hook, name)
    hook = await rig.change(is_enabled=True)
    await rig.replays.replay(hook, name)
    await rig.run(hours=1)
    assert rig.poster.ids == [name.partition("-")[2]]


async def test_tries_end_after_24_hours(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.poster.answers = [REFUSED]
    await rig.run(seconds=1)
    rig.clock.move(hours=24)
    rig.poster.always = REFUSED
    await rig.run(hours=1)
    delivery = await rig.find(hook, name)
    assert (delivery.state, len(rig.poster.posted)) == (State.FAILED, 2)
    assert "24 hours" in delivery.why


async def test_at_most_four_run_at_once_for_each_webhook(rig: Rig) -> None:
    hook, other = await rig.hook(), await rig.hook("hookb")
    await rig.push()
    with _taken(rig, hook.id):
        await rig.run(seconds=1)
        assert len(rig.poster.posted) == 1  # the other's
        await rig.run(hours=1)
        assert len(rig.poster.posted) == 1
        waits = [one.waits for one in rig.waiting()]
        assert 10 < waits[0] < 25
    await rig.run(minutes=10)
    assert await rig.states(hook) == await rig.states(other) == [State.DELIVERED]


async def test_one_for_which_no_place_is_ever_free_fails_after_a_day(rig: Rig) -> None:
    hook, name = await rig.hook(), await rig.push()
    with _taken(rig, hook.id):
        await rig.run(hours=24)
        assert 140 < rig.waiting()[0].waits < 300
        await rig.run(hours=2)
    delivery = await rig.find(hook, name)
    assert (delivery.state, delivery.attempts) == (State.FAILED, 0)
    assert "too slow" in delivery.why
    assert [one.name for one in await rig.replays.failed(hook)] == [name]
    assert rig.waiting() == []


async def test_one_that_could_not_be_sent_for_a_day_is_tried_no_more(rig: Rig) -> None:
    hook, name = await rig.hook(), await rig.push()
    rig.clock.move(hours=26)
    await rig.run(seconds=1)
    assert ((await rig.find(hook, name)).state, rig.poster.posted) == (State.FAILED, [])
    await rig.replays.replay(hook, name)
    await rig.run(minutes=1)
    assert (await rig.find(hook, name)).state is State.DELIVERED


def _taken(rig: Rig, webhook: str) -> ExitStack:
    stack = ExitStack()
    for _ in range(MOST_AT_ONCE):
        assert stack.enter_context(rig.underway.place(webhook))
    return stack


async def test_slow_receivers_leave_room_for_others(rig: Rig) -> None:
    with ExitStack() as slow:
        for count in range(8 * MOST_AT_ONCE):
            slow.enter_context(rig.underway.place(f"slow{count % 8}"))
        assert rig.underway.count == MOST_IN_ALL
        hook = await rig.hook()
        await rig.push()
        await rig.run(seconds=0)
        assert await rig.states(hook) == [State.DELIVERED]


async def test_a_late_410_disables_none_that_was_enabled_meanwhile(rig: Rig) -> None:
    hook = await rig.hook()
    registering = Registering(rig.stores, rig.seal, rig.poster)
    await rig.push()

    async def mend() -> None:
        await registering.update(hook.name, Wish(is_enabled=False))
        await registering.update(hook.name, Wish(is_enabled=True))

    rig.poster.meanwhile = mend
    rig.poster.answers = [replies(410)]
    await rig.run(hours=1)
    assert (await rig.change()).is_enabled
    assert await rig.states(hook) == [State.DELIVERED]


async def test_who_cannot_write_an_attempt_down_has_it_come_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.hook()
    await rig.push()

    async def conflict(*_: object) -> None:
        raise Conflict("row", 0)

    monkeypatch.setattr(Deliveries, "change", conflict)
    with pytest.raises(Unavailable, match="too often"):
        await rig.run(seconds=0)


async def test_secrets_stand_in_no_row_message_or_reason(rig: Rig) -> None:
    callback = Callback("https://us3r:passw0rd@ci.example/hook?code=s3cret", {"X-Key": "k3yk3y"})
    await rig.hook(callback=callback)
    await rig.push()
    rig.poster.answers = [replies(500, {"echo": "k3yk3y"}, "passw0rd")]
    await rig.run(seconds=3)
    kept = repr(rig.memory.rows._tables["webhooks"]) + repr(rig.memory.messages.sent)
    assert "ci.example" in kept
    assert not [word for word in ("s3cret", "k3yk3y", "passw0rd", "us3r") if word in kept]


async def test_a_callback_that_nobody_can_open_is_tried_and_told(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    await rig.change(sealed=b"\x01" * 60)
    await rig.run(seconds=1)
    assert "master key" in (await rig.find(hook, name)).why
    assert rig.poster.posted == []
    assert rig.waiting()


# What a crash or a lost answer leaves.


@pytest.mark.parametrize("writes", range(8))
@pytest.mark.parametrize("answer", [OK, REFUSED, SILENT, replies(400), replies(410)])
async def test_whoever_dies_loses_nothing_and_tries_once_more_at_most(
    rig: Rig, memory: Memory, crash: Callable[[Memory, int], Callable[[], None]],
    writes: int, answer: Answer,
) -> None:  # fmt: skip
    hook = await rig.hook()
    name = await rig.push()
    (asked,) = rig.waiting()
    rig.poster.answers = [answer, answer]
    revive = crash(memory, writes)
    try:
        await rig.tasks.do(asked)
    except Crash:
        tried = len(rig.poster.posted)
    else:
        tried = 1
        assert len(rig.poster.posted) == 1
    revive()
    memory.messages.sent[:] = [it for it in memory.messages.sent if it.delay > 0]
    await rig.tasks.do(asked)  # the host shows it again
    assert len(rig.poster.posted) <= tried + 1
    await rig.run(hours=3)
    delivery = await rig.find(hook, name)
    if answer in (OK, REFUSED, SILENT):
        assert delivery.state is State.DELIVERED
    else:
        assert delivery.state in {State.FAILED, State.KEPT}
    assert len(rig.poster.posted) <= 3
    assert rig.waiting() == []


async def test_a_message_that_comes_again_tries_nothing_again(rig: Rig) -> None:
    await rig.hook()
    await rig.push()
    (asked,) = rig.waiting()
    rig.poster.answers = [REFUSED]
    for _ in range(3):
        await rig.tasks.do(asked)
    assert len(rig.poster.posted) == 1
    memory = rig.memory.messages.sent
    memory[:] = [it for it in memory if it.delay]
    assert len(rig.waiting()) == 1


async def test_two_at_once_make_one_chain_of_tries(rig: Rig) -> None:
    await rig.hook()
    await rig.push()
    (asked,) = rig.waiting()
    rig.memory.messages.sent.clear()
    rig.poster.answers = [REFUSED, REFUSED, OK]
    rig.poster.meanwhile = lambda: rig.tasks.do(asked)
    await rig.tasks.do(asked)
    assert len(rig.poster.posted) == 2
    assert len(rig.waiting()) == 2  # one of them bears a ticket that counts
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 3


@pytest.mark.parametrize("inner_first", [OK, REFUSED])
async def test_that_the_receiver_has_it_counts_whoever_was_told_so(
    rig: Rig, inner_first: Answer
) -> None:
    hook = await rig.hook()
    name = await rig.push()
    (asked,) = rig.waiting()
    rig.memory.messages.sent.clear()
    rig.poster.answers = [inner_first, OK if inner_first is REFUSED else REFUSED]
    rig.poster.meanwhile = lambda: rig.tasks.do(asked)
    await rig.tasks.do(asked)
    delivery = await rig.find(hook, name)
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 2)
    attempts = await rig.stores.deliveries.attempts(hook.id, name)
    assert [one.number for one in attempts] == [1, 2]
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 2


async def test_a_late_answer_ends_no_replay(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    rig.poster.meanwhile = lambda: rig.replays.replay(hook, name)
    await rig.run(seconds=0)
    assert (await rig.find(hook, name)).state is State.WAITING
    await rig.run(seconds=5)
    assert len(rig.poster.posted) == 2


async def test_a_change_whose_answer_was_lost_is_made_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await rig.hook()
    name = await rig.push()
    change, lost = Deliveries.change, [True]

    async def losing(self: Deliveries, *of_what: object, **more: object) -> object:
        done = await change(self, *of_what, **more)  # type: ignore[arg-type]
        if lost.pop() if lost else False:
            raise Conflict("the row")  # the SDK repeated it
        return done

    monkeypatch.setattr(Deliveries, "change", losing)
    rig.poster.answers = [REFUSED]
    await rig.run(minutes=5)
    assert len(rig.poster.posted) == 2
    delivery = await rig.find(hook, name)
    assert (delivery.attempts, delivery.state) == (2, State.DELIVERED)


async def test_a_message_before_its_row_looks_again_and_is_dropped_at_last(rig: Rig) -> None:
    hook = await rig.hook()
    name = await rig.push()
    delivery = await rig.find(hook, name)
    rig.memory.messages.sent.clear()
    ticket = delivery.ticket.after("ab")
    await rig.stores.delivering.deliver(hook.name, hook.id, name, ticket)
    await rig.run(seconds=50)
    assert rig.poster.posted == []
    changed = replace(delivery, ticket=ticket)
    await rig.stores.deliveries.change(hook.id, delivery, changed)
    await rig.run(seconds=100)
    assert len(rig.poster.posted) == 1
    await rig.stores.delivering.deliver(hook.name, hook.id, "20260101T000000000000-ab", ticket)
    assert await rig.run(hours=1) == 4
    assert rig.waiting() == []


async def test_storage_that_fails_fails_the_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.hook()
    await rig.push()
    (asked,) = rig.waiting()

    async def busy(*_: object, **__: object) -> None:
        raise Unavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(rig.memory.rows, "commit", busy)
        with pytest.raises(Unavailable):
            await rig.tasks.do(asked)
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 2


# Pings.


async def test_a_ping_is_sent_once_whatever_comes(rig: Rig) -> None:
    hook = await rig.hook()
    for answer in (OK, REFUSED, SILENT, replies(503), replies(429, {"Retry-After": "1"})):
        rig.poster.answers = [answer]
        ping = await rig.replays.ping(hook)
        await rig.run(hours=1)
        state = (await rig.find(hook, ping.name)).state
        assert state is (State.DELIVERED if answer is OK else State.FAILED)
    assert len(rig.poster.posted) == 5
    assert (await rig.health()).failures == 0


@pytest.mark.parametrize("writes", range(4))
async def test_a_ping_is_never_sent_twice_whoever_dies(
    rig: Rig, memory: Memory, crash: Callable[[Memory, int], Callable[[], None]], writes: int
) -> None:
    hook = await rig.hook()
    ping = await rig.replays.ping(hook)
    (asked,) = rig.waiting()
    revive = crash(memory, writes)
    with suppress(Crash):
        await rig.tasks.do(asked)
    revive()
    await rig.tasks.do(asked)
    await rig.run(hours=1)
    assert len(rig.poster.posted) == 1
    assert (await rig.find(hook, ping.name)).state in {State.DELIVERED, State.FAILED}


async def test_a_ping_of_a_disabled_webhook_is_refused_or_not_sent(rig: Rig) -> None:
    hook = await rig.hook()
    ping = await rig.replays.ping(hook)
    disabled = await rig.change(is_enabled=False)
    await rig.run(hours=1)
    assert rig.poster.posted == []
    assert "disabled" in (await rig.find(hook, ping.name)).why
    with pytest.raises(ReplayRefused, match="disabled"):
        await rig.replays.ping(disabled)


async def test_a_ping_that_waits_for_a_place_is_sent_once(rig: Rig) -> None:
    hook = await rig.hook()
    await rig.replays.ping(hook)
    with _taken(rig, hook.id):
        await rig.run(minutes=1)
    assert rig.waiting()[0].task is Task.DELIVER
    await rig.run(minutes=2)
    assert len(rig.poster.posted) == 1
