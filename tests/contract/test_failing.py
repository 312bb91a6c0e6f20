"""Letters that fail, over each adapter."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.services.letters.failing import FailingLetters, State
from shared.services.letters.poison import Poison
from shared.services.letters.retries import Retries
from shared.storage import ages, keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter
from shared.storage.ports import Messages, Rows, Unavailable
from shared.storage.rows.failing import Failure, Failures
from tests.support.clock import Clock, Ids

BODY = "Grüße " * 5_800


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Queues and rows of this test alone, and an L of ten seconds."""
    monkeypatch.setattr(keys, "FAILING", name)
    monkeypatch.setattr(keys, "LATER", f"{name}later")
    monkeypatch.setattr(keys, "QUEUES", (name, f"{name}later"))
    monkeypatch.setattr(keys, "POISON", (f"{name}-poison", f"{name}missing-poison"))
    monkeypatch.setattr(ages, "L", timedelta(seconds=10))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def failures(rows: Rows) -> Failures:
    return Failures(rows)


@pytest.fixture
def late(messages: Messages) -> LateMessages:
    return LateMessages(messages, now, Ids())


@pytest.fixture
def retries(late: LateMessages, failures: Failures) -> Retries:
    return Retries(late, failures, now)


@pytest.fixture(autouse=True)
async def prepared(rows: Rows, messages: Messages, own: None, name: str) -> None:
    await rows.prepare(keys.TABLES)
    await messages.prepare([*keys.QUEUES, f"{name}-poison"])


async def fail(_: bytes) -> None:
    raise Unavailable("nobody answers")


async def test_a_letter_that_fails_is_told_and_comes_again(
    late: LateMessages, retries: Retries, failures: Failures, clock: Clock, name: str
) -> None:
    await late.send(name, BODY)
    (received,) = await late.receive(name, 32, 60)
    await retries.run(name, received.body.encode(), bytes, fail)
    await late.delete(name, received)
    (row,) = await failures.page("", 10)
    assert row.due
    assert timedelta() < row.due - now() < timedelta(seconds=1)

    clock.move(seconds=5)
    await asyncio.sleep(1.5)
    (received,) = await late.receive(name, 32, 60)
    letter = Letter.read(received.body, now())
    assert (letter.body, letter.tries, letter.why) == (BODY, 1, "Unavailable: nobody answers")
    assert row.letter == letter

    await retries.run(name, received.body.encode(), bytes, _do_nothing)
    assert await failures.page("", 10) == []


async def test_what_lies_in_poison_is_seen_and_revived(
    late: LateMessages, retries: Retries, failures: Failures, name: str
) -> None:
    poison = Poison(late, retries, failures, now)
    failing = FailingLetters(late, failures, poison, now)
    await late.send(f"{name}-poison", BODY)
    (seen,) = [one async for one in failing.all()]
    assert (seen.queue, seen.state) == (f"{name}-poison", State.GIVEN_UP)

    assert await poison.revive() == 1
    assert await late.peek(f"{name}-poison", 32) == []
    (row,) = [one async for one in failing.all()]
    assert (row.id, row.queue, row.state, row.tries) == (seen.id, name, State.WAITS, 1)
    assert await failing.retry(row.id)
    (text,) = await late.peek(name, 32)
    assert Letter.read(text, now()).is_copy


async def test_the_largest_body_can_fail_for_the_longest_reason(
    late: LateMessages, retries: Retries, failures: Failures, name: str
) -> None:
    letter = Letter("0" * 32, now(), "x" * 46 * 1024, 10**6, "ä" * 300)
    await retries.send_again(name, letter, 300 * ages.L)
    (row,) = await failures.page("", 10)
    assert row.letter == letter


async def test_rows_are_taken_as_they_were_read(failures: Failures) -> None:
    letter = Letter("0" * 32, now(), "text", 3, "why")
    await failures.put(Failure("queue", letter, None))
    key = keys.unreadable(letter.id)
    read = await failures.find(key)
    assert read
    assert read == Failure("queue", letter, None)
    await failures.put(Failure("queue", letter.failed("again"), None))
    await failures.take(key, read.etag)
    assert await failures.find(key)
    await failures.take(key)
    await failures.take(key)
    assert await failures.find(key) is None
    await failures.tell_why(letter)
    assert await failures.page("", 10) == []


async def _do_nothing(_: bytes) -> None:
    pass
