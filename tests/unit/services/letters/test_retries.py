"""Letters that fail: they come again, and their rows tell of it."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from shared.errors import Unavailable as Busy
from shared.services.letters.retries import Retries, delay
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter
from shared.storage.ports import Unavailable
from shared.storage.rows.failing import Failure, Failures
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.support.messages import letter_of
from tests.unit.services.letters.conftest import DOWN, RUN, Died, Host, Work, busy, only, read


@pytest.fixture
def rounds(prepared: Memory, clock: Clock) -> LateMessages:
    """The messages of those who come again every day."""
    return LateMessages(prepared.messages, clock, Ids(), is_of_rounds=True)


async def rows(failures: Failures) -> Sequence[Failure]:
    return await failures.page("", 100)


async def test_what_succeeds_at_once_leaves_nothing(
    late: LateMessages, host: Host, failures: Failures, memory: Memory
) -> None:
    work = Work()
    await late.send(keys.UPKEEP, "text")
    await host.run(work.do)
    assert work.done == ["text"]
    assert memory.messages.sent == []
    assert await rows(failures) == []


async def test_what_succeeds_at_once_costs_no_call(
    retries: Retries, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.rows, "commit", None)
    await retries.run(keys.UPKEEP, b"text", read, Work().do)


async def test_what_fails_comes_again_with_its_past(
    late: LateMessages, host: Host, failures: Failures, memory: Memory, clock: Clock
) -> None:
    work, start = Work(DOWN, Busy("busy"), KeyError("x")), clock.now
    await late.send(keys.UPKEEP, "text")
    first = only(memory)
    await host.run(work.do)
    assert only(memory) == Letter(first.id, start, "text", 1, "Unavailable: the table is busy")
    for seconds, tries, why in ((10, 2, "Unavailable: busy"), (40, 3, "KeyError: 'x'")):
        clock.move(seconds=seconds - 1)
        await host.run(work.do)
        assert only(memory).tries == tries - 1
        clock.move(seconds=1)
        await host.run(work.do)
        assert only(memory) == Letter(first.id, start, "text", tries, why)
        (row,) = await rows(failures)
        assert (row.queue, row.letter) == (keys.UPKEEP, only(memory))
    assert row.due == clock.now + timedelta(seconds=160)

    await host.live(2 * RUN, work.do)

    assert work.done == ["text"]
    assert memory.messages.sent == []
    assert await rows(failures) == []


def waits(letter_id: str, tries: int) -> float:
    letter = Letter(letter_id, datetime.now(UTC), "text", tries)
    return delay(letter).total_seconds()


def test_delays_grow_up_to_six_hours() -> None:
    seconds = [waits("0" * 32, tries) for tries in range(1, 9)]
    assert seconds == [10, 40, 160, 640, 2_560, 10_240, 21_600, 21_600]
    assert waits("0" * 32, 100_000) == 216 * L.total_seconds()


@pytest.mark.parametrize("tries", [1, 5, 9, 100_000])
def test_what_failed_together_is_spread_over_a_quarter_of_the_delay(tries: int) -> None:
    longest = waits("0" * 32, tries)
    found = sorted(waits(f"{place:x}" * 32, tries) / longest for place in range(16))
    assert found[0] == pytest.approx(0.75, abs=0.001)
    assert found[-1] == 1
    gaps = [after - before for before, after in pairwise(found)]
    assert max(gaps) < 0.02


async def test_nothing_is_given_up_in_a_month(
    late: LateMessages, host: Host, failures: Failures, memory: Memory, clock: Clock
) -> None:
    async def fail(_: str) -> None:
        raise DOWN

    await late.send(keys.UPKEEP, "text")
    await host.live(timedelta(days=30), fail)
    assert only(memory).tries > 100
    (row,) = await rows(failures)
    assert row.letter == only(memory)

    work = Work()
    await host.live(timedelta(hours=7), work.do)
    assert work.done == ["text"]
    assert await rows(failures) == []


async def test_what_a_round_sends_ends_and_is_reported_until_the_next_one_is_due(
    rounds: LateMessages, host: Host, failures: Failures, memory: Memory, clock: Clock
) -> None:
    """It was tried for ever, and each round added another: letters, rows and runs grew."""
    runs: list[int] = []

    async def fail(_: str) -> None:
        runs[-1] += 1
        raise DOWN

    for _ in range(30):
        runs.append(0)
        await rounds.send(keys.UPKEEP, "text")
        await host.live(timedelta(days=1), fail)
        assert memory.messages.sent == []
        (row,) = await rows(failures)
        assert (row.letter.tries, row.due) == (8, row.letter.sent + timedelta(days=1))
    assert set(runs) == {8}

    await host.live(timedelta(hours=2), Work().do)
    assert await rows(failures) == []


async def test_what_goes_on_with_a_letter_of_a_round_ends_too(
    rounds: LateMessages, late: LateMessages, host: Host, failures: Failures, memory: Memory
) -> None:
    """And what it sends elsewhere, or what another sends after it, is tried for ever."""

    async def lead(text: str) -> None:
        if text != "first":
            raise DOWN
        for queue, body in ((keys.UPKEEP, "page"), (keys.EVENTS, "event")):
            await late.send(queue, body)

    await rounds.send(keys.UPKEEP, "first")
    await host.live(timedelta(days=1), lead)
    ((queue, letter),) = map(letter_of, memory.messages.sent)
    assert (queue, letter.body, letter.is_of_rounds) == (keys.EVENTS, "event", False)
    assert [row.letter.body for row in await rows(failures)] == ["page"]
    memory.messages.sent.clear()
    await late.send(keys.UPKEEP, "of a client")
    await host.live(timedelta(days=30), lead)
    assert only(memory).tries > 100


async def test_what_kills_whoever_reads_it_ends_too_where_a_round_sent_it(
    rounds: LateMessages, host: Host, memory: Memory
) -> None:
    async def die(_: str) -> None:
        raise Died

    await rounds.send(keys.UPKEEP, "text")
    await host.live(timedelta(days=2), die)
    assert memory.messages.sent == []


async def test_what_no_queue_takes_is_left_to_the_host(
    late: LateMessages,
    host: Host,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = Work(DOWN, DOWN)
    await late.send(keys.UPKEEP, "text")
    first = only(memory)
    with monkeypatch.context() as patch:
        patch.setattr(memory.messages, "send", busy)
        await host.run(work.do)
    assert only(memory) == first
    clock.now += 3 * RUN
    await host.run(work.do)
    assert only(memory).tries == 1


async def test_a_report_that_fails_fails_nothing(
    late: LateMessages,
    host: Host,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory.rows, "commit", busy)
    work = Work(DOWN)
    await late.send(keys.UPKEEP, "text")
    await host.run(work.do)
    clock.move(seconds=10)
    await host.run(work.do)
    assert work.done == ["text"]
    assert memory.messages.sent == []


async def test_a_report_that_no_row_takes_makes_no_more_of_a_letter(
    late: LateMessages,
    host: Host,
    failures: Failures,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(_: Failure) -> None:
        raise ValueError("400 PropertyValueTooLarge")

    monkeypatch.setattr(failures, "put", refuse)
    await late.send(keys.UPKEEP, "text")
    for _ in range(3):
        await host.run(Work(DOWN).do)
        assert only(memory).tries
        clock.move(seconds=200)
        await host._sleepers.wake()


async def test_only_what_is_ours_comes_again(
    late: LateMessages, host: Host, memory: Memory
) -> None:
    await late.send(keys.UPKEEP, "text")
    with pytest.raises(KeyboardInterrupt):
        await host.run(Work(KeyboardInterrupt()).do)
    assert only(memory).tries == 0


@pytest.mark.parametrize(
    ("error", "is_told"), [(DOWN, False), (Busy("b"), False), (KeyError(), True)]
)
async def test_what_nobody_foresaw_is_told_with_its_trace(
    retries: Retries, caplog: pytest.LogCaptureFixture, error: Exception, is_told: bool
) -> None:
    await retries.run(keys.UPKEEP, b"text", read, Work(error).do)
    (message,) = caplog.messages
    assert ("Traceback" in message) == is_told
    assert "text" not in message


async def test_no_signed_address_reaches_the_log(
    retries: Retries,
    memory: Memory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in what it says, nor in what its causes say, nor where the report fails."""

    signed = "https://store/content/x?sig=secret"

    async def fail(*_: object) -> None:
        raise RuntimeError(f"no answer of {signed}") from ValueError(f"cannot read {signed}")

    monkeypatch.setattr(memory.rows, "commit", fail)
    await retries.run(keys.UPKEEP, b"text", read, fail)
    failed, report = caplog.messages
    assert "RuntimeError: no answer of https://store/content/x?…" in failed
    assert "report" in report
    assert "secret" not in caplog.text


async def test_what_cannot_be_read_is_put_aside_after_an_hour(
    late: LateMessages,
    host: Host,
    failures: Failures,
    memory: Memory,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work()
    await late.send(keys.UPKEEP, "unreadable")
    first = only(memory)
    await host.run(work.do)
    await host.live(timedelta(minutes=45), work.do)
    (row,) = await rows(failures)
    assert row.due

    await host.live(timedelta(minutes=45), work.do)
    assert memory.messages.sent == []
    (row,) = await rows(failures)
    assert row.key == f"unreadable|{first.id}"
    assert row.due is None
    assert (row.queue, row.letter.body, row.letter.sent) == (keys.UPKEEP, "unreadable", first.sent)
    assert row.letter.why == "ValueError: no message: unreadable"
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert first.id in told.getMessage()


async def test_what_a_newer_app_can_read_is_done_by_it(
    late: LateMessages,
    host: Host,
    retries: Retries,
    failures: Failures,
    memory: Memory,
    clock: Clock,
) -> None:
    done: list[bytes] = []

    async def do(body: bytes) -> None:
        done.append(body)

    await late.send(keys.UPKEEP, "unreadable")
    await host.run(Work().do)
    clock.now += RUN
    (received,) = await memory.messages.receive(keys.UPKEEP, 32, 600)
    await retries.run(keys.UPKEEP, received.body.encode(), lambda body: body, do)
    assert done == [b"unreadable"]
    assert await rows(failures) == []


async def test_what_cannot_be_kept_is_not_let_go(
    retries: Retries, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tired = Letter("0" * 32, clock.now, "unreadable", 5, "why")
    monkeypatch.setattr(memory.rows, "commit", busy)
    with pytest.raises(Unavailable):
        await retries.run(keys.UPKEEP, tired.text().encode(), read, Work().do)


async def test_bytes_that_are_no_text_are_kept_so_that_they_can_be_told(
    retries: Retries, failures: Failures, memory: Memory, clock: Clock
) -> None:
    await retries.run(keys.UPKEEP, b"unreadable \xff\x00", read, Work().do)
    assert only(memory).body == "unreadable \\xff\x00"
    (row,) = await rows(failures)
    assert row.letter == only(memory)


async def test_a_text_without_a_past_is_run_and_has_one_then(
    retries: Retries, memory: Memory, clock: Clock
) -> None:
    work = Work(DOWN)
    await retries.run(keys.UPKEEP, b'{"kind": "k"}', read, work.do)
    assert only(memory) == Letter(only(memory).id, clock.now, '{"kind": "k"}', 1, only(memory).why)


async def test_a_copy_that_fails_is_not_sent_again_and_tells_why(
    retries: Retries, failures: Failures, memory: Memory, clock: Clock
) -> None:
    letter = Letter("0" * 32, clock.now, "text", 3, "why", is_copy=True)
    due = clock.now + RUN
    await failures.put(Failure(keys.UPKEEP, letter, due))
    for _ in range(2):
        await retries.run(keys.UPKEEP, letter.text().encode(), read, Work(DOWN).do)
        assert memory.messages.sent == []
        (row,) = await rows(failures)
        assert (row.due, row.letter) == (due, letter.failed("Unavailable: the table is busy"))
        await failures.take(letter.id)
        await retries.run(keys.UPKEEP, letter.text().encode(), read, Work(DOWN).do)
        assert await rows(failures) == []
        await failures.put(Failure(keys.UPKEEP, letter, due))
