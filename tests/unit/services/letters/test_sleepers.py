import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.services.letters import sleepers as waking
from shared.services.letters.sleepers import Sleepers
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter, Sleeper
from shared.storage.ports import LONGEST_DELAY, Unavailable
from shared.storage.rows.failing import Failures
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.support.messages import LONG_AGO
from tests.unit.services.letters.conftest import RUN, busy

HOUR = timedelta(hours=1)
UNREADABLE = [
    "text",
    "{}",
    Sleeper("others", LONG_AGO, Letter("0" * 32, LONG_AGO, "")).text(),
]


async def waiting(memory: Memory, queue: str) -> list[str]:
    texts = await memory.messages.peek(queue, 10_000)
    return [Letter.read(text, LONG_AGO).body for text in texts]


async def test_what_has_slept_long_enough_is_handed_on_once(
    late: LateMessages, sleepers: Sleepers, memory: Memory, clock: Clock
) -> None:
    await late.send(keys.UPKEEP, "one", 3_600)
    await late.send(keys.EVENTS, "two", 3_600)
    await late.send(keys.EVENTS, "three", 7_200)

    assert await sleepers.wake() == 0
    clock.now += HOUR
    assert await sleepers.wake() == 2
    assert await sleepers.wake() == 0

    assert await waiting(memory, keys.UPKEEP) == ["one"]
    assert await waiting(memory, keys.EVENTS) == ["two"]
    assert [message.queue for message in memory.messages.sent] == [
        keys.LATER,
        keys.UPKEEP,
        keys.EVENTS,
    ]


async def test_a_wait_of_weeks_is_chained(
    late: LateMessages, sleepers: Sleepers, memory: Memory, clock: Clock
) -> None:
    start, wait = clock(), 3 * LONGEST_DELAY + HOUR
    await late.send(keys.UPKEEP, "text", int(wait.total_seconds()))

    runs = 0
    while not await waiting(memory, keys.UPKEEP):
        clock.now += timedelta(days=7)
        runs += await sleepers.wake()
        assert len(memory.messages.sent) == 1

    assert runs == 4
    assert clock() - start >= wait


async def test_who_dies_between_sending_and_deleting_hands_on_twice(
    late: LateMessages,
    sleepers: Sleepers,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await late.send(keys.UPKEEP, "text", 3_600)
    clock.now += HOUR
    with monkeypatch.context() as patch:
        patch.setattr(memory.messages, "delete", busy)
        with pytest.raises(Unavailable):
            await sleepers.wake()
    clock.now += RUN
    assert await sleepers.wake() == 0
    clock.now += RUN
    assert await sleepers.wake() == 1
    assert await waiting(memory, keys.UPKEEP) == ["text"] * 2


async def test_what_could_not_be_sent_stays_and_the_others_go(
    late: LateMessages,
    sleepers: Sleepers,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in ("one", "two", "three"):
        await late.send(keys.UPKEEP, text, 3_600)
    clock.now += HOUR
    with monkeypatch.context() as patch:
        patch.setattr(memory.messages, "send", _failing(memory.messages.send, "one"))
        with pytest.raises(Unavailable):
            await sleepers.wake()
    assert await waiting(memory, keys.UPKEEP) == ["two", "three"]
    clock.now += 2 * RUN
    await sleepers.wake()
    assert await waiting(memory, keys.UPKEEP) == ["two", "three", "one"]


@pytest.mark.parametrize("text", UNREADABLE)
async def test_what_cannot_be_read_is_kept_and_reported(
    sleepers: Sleepers,
    memory: Memory,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    await memory.messages.send(keys.LATER, text)
    for runs in (1, 2, 3):
        await sleepers.wake()
        await sleepers.wake()  # it is hidden
        reports = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert len(reports) == runs
        assert "is kept as it is" in reports[-1].getMessage()
        assert memory.messages.sent == [(keys.LATER, text, 0)]
        (row,) = await Failures(memory.rows).page("", 10)
        assert (row.queue, row.letter.body) == (keys.LATER, text)
        assert row.due == clock.now + 2 * RUN
        clock.now += 2 * RUN


async def test_much_that_cannot_be_read_keeps_nobody_up(
    late: LateMessages, sleepers: Sleepers, memory: Memory, clock: Clock
) -> None:
    for _ in range(100):
        await memory.messages.send(keys.LATER, "text")
    await late.send(keys.UPKEEP, "one", 3_600)
    clock.now += HOUR
    await sleepers.wake()
    assert await waiting(memory, keys.UPKEEP) == ["one"]


async def test_a_run_is_bounded_in_messages_and_the_next_goes_on(
    late: LateMessages,
    sleepers: Sleepers,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waking, "_MOST", 64)
    for _ in range(100):
        await late.send(keys.UPKEEP, "text", 3_600)
    clock.now += HOUR
    assert [await sleepers.wake() for _ in range(3)] == [64, 36, 0]
    assert len(await waiting(memory, keys.UPKEEP)) == 100


async def test_a_run_is_bounded_in_time(
    late: LateMessages,
    sleepers: Sleepers,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(100):
        await late.send(keys.UPKEEP, "text", 3_600)
    clock.now += HOUR
    receive = memory.messages.receive

    async def slow(*arguments: Any) -> Any:
        clock.now += timedelta(minutes=3)
        return await receive(*arguments)

    monkeypatch.setattr(memory.messages, "receive", slow)
    assert await sleepers.wake() == 64


async def test_a_clock_that_is_behind_only_puts_off(
    late: LateMessages, memory: Memory, clock: Clock
) -> None:
    await late.send(keys.UPKEEP, "text", 3_600)
    clock.now += HOUR
    behind = Clock(clock.now - timedelta(minutes=7))
    late_clock = LateMessages(memory.messages, behind, Ids())
    await Sleepers(late_clock, Failures(memory.rows), behind, clock.ticks).wake()
    ((queue, text, delay),) = memory.messages.sent
    assert (queue, delay) == (keys.LATER, 420)
    assert Sleeper.read(text).due == clock()


def _failing(send: Callable[..., Any], text: str) -> Callable[..., Any]:
    async def failing(queue: str, body: str, delay: int) -> None:
        if Letter.read(body, LONG_AGO).body == text:
            await busy()
        await send(queue, body, delay)

    return failing
