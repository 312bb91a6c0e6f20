"""What the host has given up: it comes back, and is done at last."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from shared.services.letters.failing import FailingLetters
from shared.services.letters.poison import GAVE_UP, Poison
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Row, Unavailable
from shared.storage.rows.failing import Failure, Failures
from tests.support.app import GENERATION, Memory
from tests.support.clock import Clock
from tests.support.messages import addressed, letter_of
from tests.unit.services.letters.conftest import RUN, Died, Host, Work, busy, only

POISON = f"{keys.UPKEEP}-poison"
NAME = f"{GENERATION}/{'a' * 32}"
DAY = timedelta(days=1)


def event(container: object = keys.CONTAINER, name: object = NAME) -> str:
    said = {"FunctionId": "Host.Functions.verify_blob", "ContainerName": container}
    return json.dumps({**said, "BlobName": name, "ETag": '"0x1"'})


async def put_aside(memory: Memory, queue: str, *texts: str) -> None:
    await memory.messages.prepare([queue])
    for text in texts:
        await memory.messages.send(queue, text)


async def test_a_message_on_which_the_process_dies_six_times_is_done_at_last(
    late: LateMessages, host: Host, failures: Failures, memory: Memory
) -> None:
    work = Work(*[Died()] * 6)
    await late.send(keys.UPKEEP, "text")
    first = only(memory)
    await host.run(work.do)
    await host.live(timedelta(hours=2), work.do)
    assert work.done == ["text"]
    assert memory.messages.sent == []
    assert await failures.page("", 10) == []
    assert first.tries == 0


async def test_a_message_that_kills_for_a_month_is_never_lost_and_seen(
    late: LateMessages, host: Host, failures: Failures, memory: Memory
) -> None:
    deadly = Work(*[Died()] * 10_000)
    await late.send(keys.UPKEEP, "text")
    first = only(memory)
    await host.live(timedelta(days=30), deadly.do)
    deaths = 10_000 - len(deadly.failures)
    assert 100 < deaths < 1_000
    assert (only(memory).id, only(memory).sent) == (first.id, first.sent)
    (row,) = await failures.page("", 10)
    assert row.letter.why == GAVE_UP
    work = Work()
    await host.live(timedelta(hours=8), work.do)
    assert work.done == ["text"]
    assert await failures.page("", 10) == []


async def test_what_no_queue_took_for_an_hour_is_done_after_it(
    late: LateMessages, host: Host, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(*[Unavailable("tables are away")] * 5)
    await late.send(keys.UPKEEP, "text")
    with monkeypatch.context() as patch:
        patch.setattr(LateMessages, "send_letter", busy)
        for _ in range(12):
            await host.live(RUN, work.do)
    await host.live(timedelta(hours=1), work.do)
    assert work.done == ["text"]
    assert memory.messages.sent == []


async def test_what_was_given_up_goes_on_with_its_past(
    poison: Poison, failures: Failures, memory: Memory, clock: Clock
) -> None:
    letter = Letter("0" * 32, clock.now - DAY, "text", 2, "KeyError: 'x'")
    await put_aside(memory, POISON, letter.text())
    assert await poison.revive() == 1
    assert only(memory) == letter.failed(f"{GAVE_UP}; KeyError: 'x'")
    (row,) = await failures.page("", 10)
    assert (row.queue, row.letter) == (keys.UPKEEP, only(memory))
    assert row.due == clock.now + timedelta(seconds=160)


async def test_reasons_do_not_pile_up(poison: Poison, memory: Memory, clock: Clock) -> None:
    letter = Letter("0" * 32, clock.now, "text")
    for tries in (1, 2, 3):
        await put_aside(memory, POISON, letter.text())
        await poison.revive(is_at_once=True)
        letter = only(memory)
        memory.messages.sent.clear()
        assert (letter.tries, letter.why) == (tries, GAVE_UP)


async def test_at_once_means_now(poison: Poison, memory: Memory, clock: Clock) -> None:
    await put_aside(memory, POISON, Letter("0" * 32, clock.now, "text", 9, "why").text())
    assert await poison.revive(is_at_once=True) == 1
    ((queue, text, delay),) = addressed(memory.messages.sent)
    assert (queue, text, delay) == (keys.UPKEEP, "text", 0)


async def test_who_dies_between_sending_and_deleting_sends_twice(
    poison: Poison, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_aside(memory, POISON, "one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(memory.messages, "delete", busy)
        with pytest.raises(Unavailable):
            await poison.revive()
    clock.now += 3 * RUN
    await poison.revive()
    texts = [text for queue, text, _ in addressed(memory.messages.sent) if queue == keys.UPKEEP]
    assert sorted(texts) == ["one", "one", "two"]
    assert {queue for queue, *_ in memory.messages.sent} == {keys.UPKEEP}


async def test_what_cannot_be_sent_stays_and_other_queues_are_emptied(
    poison: Poison, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_aside(memory, POISON, "text")
    await put_aside(memory, f"{keys.EVENTS}-poison", "event")
    send = memory.messages.send

    async def failing(queue: str, *more: str) -> None:
        if queue == keys.UPKEEP:
            await busy()
        await send(queue, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(memory.messages, "send", failing)
        with pytest.raises(Unavailable):
            await poison.see_to()
    assert [queue for queue, *_ in memory.messages.sent] == [POISON, keys.EVENTS]
    clock.now += 3 * RUN
    await poison.see_to()
    assert [queue for queue, *_ in memory.messages.sent] == [keys.EVENTS, keys.UPKEEP]


async def test_nothing_given_up_is_a_call_a_queue(
    poison: Poison, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    receive = memory.messages.receive

    async def counted(queue: str, *more: int) -> object:
        calls.append(queue)
        return await receive(queue, *more)

    monkeypatch.setattr(memory.messages, "receive", counted)
    monkeypatch.setattr(memory.rows, "commit", None)
    await poison.see_to()
    assert sorted(calls) == sorted(keys.POISON)
    assert len(calls) == len(keys.QUEUES)


async def test_much_is_revived_in_one_run(poison: Poison, memory: Memory) -> None:
    await put_aside(memory, POISON, *(f"text {number}" for number in range(100)))
    assert await poison.revive() == 100
    assert {queue for queue, *_ in memory.messages.sent} == {keys.UPKEEP}


async def test_a_run_is_bounded_in_time(
    poison: Poison, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_aside(memory, POISON, *(f"text {number}" for number in range(100)))
    receive = memory.messages.receive

    async def slow(queue: str, *more: int) -> object:
        clock.now += timedelta(minutes=3) if queue == POISON else timedelta()
        return await receive(queue, *more)

    monkeypatch.setattr(memory.messages, "receive", slow)
    assert await poison.revive() == 32


async def test_a_run_is_bounded_in_time_where_each_message_takes_half_a_minute(
    poison: Poison, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves is hidden no longer than it is by the time it comes to it."""
    await put_aside(memory, POISON, *(f"text {number}" for number in range(32)))
    send = memory.messages.send

    async def slow(queue: str, *more: Any) -> None:
        clock.now += timedelta(seconds=30)
        await send(queue, *more)

    monkeypatch.setattr(memory.messages, "send", slow)
    assert await poison.revive() == 8
    clock.now += 2 * RUN
    assert await poison.revive() == 8
    sent = [queue for queue, *_ in memory.messages.sent]
    assert (sent.count(POISON), sent.count(keys.UPKEEP)) == (16, 16)


async def test_a_copy_that_was_given_up_goes(poison: Poison, memory: Memory, clock: Clock) -> None:
    letter = Letter("0" * 32, clock.now, "text", 2, "why", is_copy=True)
    await put_aside(memory, POISON, letter.text())
    await poison.revive()
    assert memory.messages.sent == []


async def test_a_blob_that_its_trigger_gave_up_is_verified(
    poison: Poison, memory: Memory, clock: Clock
) -> None:
    await put_aside(memory, keys.BLOB_POISON, event())
    assert await poison.revive() == 1
    (message,) = memory.messages.sent
    queue, letter = letter_of(message)
    assert queue == keys.VERIFICATION
    assert ToVerify.read(letter.body.encode()) == ToVerify(GENERATION, "a" * 32)
    assert (letter.tries, letter.why) == (1, GAVE_UP)


@pytest.mark.parametrize(
    "text", ["text", "1", "null", "[]", "{}", event(name="x"), event(name=1), event(name="a/b/c")]
)
async def test_an_event_that_cannot_be_read_is_kept_in_a_row(
    poison: Poison, failures: Failures, memory: Memory, text: str
) -> None:
    await put_aside(memory, keys.BLOB_POISON, text)
    assert await poison.revive() == 1
    assert memory.messages.sent == []
    (row,) = await failures.page("", 10)
    assert (row.queue, row.letter.body, row.due) == (keys.BLOB_POISON, text, None)
    assert row.letter.why


async def test_one_that_no_queue_takes_holds_up_no_other(
    poison: Poison, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = memory.messages.send

    async def limited(queue: str, body: str, delay_seconds: int = 0) -> None:
        if len(body) > 48 * 1024:
            raise ValueError("413 RequestBodyTooLarge")
        await send(queue, body, delay_seconds)

    monkeypatch.setattr(memory.messages, "send", limited)
    await put_aside(memory, POISON, "x" * 48 * 1024, "one", "two")
    for _ in range(2):
        await poison.see_to()
        clock.now += 3 * RUN
    queues = [queue for queue, *_ in memory.messages.sent]
    assert queues == [POISON, keys.UPKEEP, keys.UPKEEP]


async def test_an_event_that_is_tried_again_is_read_as_it_was(
    poison: Poison, failing: FailingLetters, failures: Failures, memory: Memory, clock: Clock
) -> None:
    await put_aside(memory, keys.BLOB_POISON, "text")
    for _ in range(3):
        await poison.revive()
        (row,) = await failures.page("", 10)
        assert row.letter.body == "text"
        assert await failing.retry(row.letter.id)

    await put_aside(memory, keys.BLOB_POISON, Letter.bare(event(), clock.now).text())
    await poison.revive()
    assert [letter_of(message)[0] for message in memory.messages.sent] == [keys.VERIFICATION]


async def test_events_of_others_are_left_alone(poison: Poison, memory: Memory) -> None:
    await put_aside(memory, keys.BLOB_POISON, *[event("theirs")] * 40, event())
    assert await poison.revive() == 0
    assert await poison.revive() == 1
    assert [queue for queue, *_ in memory.messages.sent].count(keys.BLOB_POISON) == 40


async def test_no_body_is_read_to_see_which_rows_are_to_be_forgotten(
    poison: Poison,
    failures: Failures,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand rows may have 46 KiB each."""
    for number, due in enumerate([clock.now - DAY, clock.now, None, clock.now - DAY]):
        letter = Letter(f"{number:032x}", clock.now, "text")
        await failures.put(Failure(keys.UPKEEP, letter, due))
    monkeypatch.setattr("shared.storage.rows.failing._PAGE", 1)
    scan, read = memory.rows.scan, list[str]()

    async def noted(*of: Any, **how: Any) -> list[Row]:
        rows = await scan(*of, **how)
        read.extend(name for row in rows for name in row.values)
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(memory.rows, "scan", noted)
        await poison.see_to()
    assert read == ["due"] * 3
    assert [one.due for one in await failures.page("", 10)] == [clock.now, None]


async def test_rows_of_what_has_long_succeeded_are_forgotten(
    poison: Poison, failures: Failures, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def failure(number: int, due: timedelta | None) -> Failure:
        letter = Letter(f"{number:032x}", clock.now - 9 * DAY, "text")
        return Failure(keys.UPKEEP, letter, clock.now - due if due is not None else None)

    hour = timedelta(hours=1)
    stale = [failure(1, hour + L), failure(2, 3 * DAY)]
    kept = [failure(3, hour - L), failure(4, -DAY), failure(5, None)]
    for one in (*stale, *kept):
        await failures.put(one)
    await poison.see_to()
    assert [*await failures.page("", 10)] == kept
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
