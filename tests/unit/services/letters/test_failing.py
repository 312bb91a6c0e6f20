"""What an operator sees of letters that fail, and what he may do."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.services.letters.failing import Failing, FailingLetters, State, what
from shared.services.letters.poison import GAVE_UP
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter
from shared.storage.ports import Unavailable
from shared.storage.rows.failing import Failure, Failures
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.messages import letter_of
from tests.unit.services.letters.conftest import DOWN, RUN, Host, Work, busy, only

POISON = f"{keys.UPKEEP}-poison"
BODY = '{"kind": "retire a repository", "generation": "g", "repository": "team/app"}'


async def shown(failing: FailingLetters) -> Sequence[Failing]:
    return [one async for one in failing.all()]


@pytest.fixture
async def waiting(late: LateMessages, host: Host, memory: Memory, clock: Clock) -> Letter:
    """A letter that failed four times, and sleeps for ten minutes."""
    await late.send(keys.UPKEEP, BODY)
    work = Work(*[DOWN] * 4)
    for seconds in (0, 10, 40, 160):
        clock.move(seconds=seconds)
        await host._sleepers.wake()
        await host.run(work.do)
    assert memory.messages.sent[0].queue == keys.LATER
    return only(memory)


async def test_a_sleeper_that_failed_is_seen(
    waiting: Letter, failing: FailingLetters, clock: Clock
) -> None:
    clock.move(seconds=60)
    (one,) = await shown(failing)
    assert one == Failing(
        waiting.id,
        keys.UPKEEP,
        "retire a repository team/app",
        State.WAITS,
        waiting.sent,
        timedelta(seconds=270),
        4,
        clock.now + timedelta(seconds=580),
        "Unavailable: the table is busy",
    )


async def test_it_is_tried_when_an_operator_says_so_and_once(
    waiting: Letter, failing: FailingLetters, host: Host, memory: Memory
) -> None:
    work = Work()
    assert await failing.retry(waiting.id)
    await host.run(work.do)
    assert work.done == [BODY]
    assert await shown(failing) == []
    await host.live(3 * RUN, work.do)
    assert work.done == [BODY] * 2
    assert memory.messages.sent == []


async def test_trying_it_again_and_again_makes_no_more_of_it(
    waiting: Letter, failing: FailingLetters, host: Host, memory: Memory
) -> None:
    for tries in (5, 5, 5):
        assert await failing.retry(waiting.id)
        await host.run(Work(KeyError("x")).do)
        assert only(memory) == waiting
        (one,) = await shown(failing)
        assert (one.tries > 4, one.why) == (tries > 4, "KeyError: 'x'")
    work = Work()
    await host.live(4 * RUN, work.do)
    assert work.done == [BODY]
    assert await shown(failing) == []


async def test_what_could_not_be_read_is_seen_and_sent_as_it_was(
    failing: FailingLetters, failures: Failures, host: Host, memory: Memory, clock: Clock
) -> None:
    letter = Letter("1" * 32, clock.now, "unreadable", 6, "ValueError: no")
    await failures.put(Failure(keys.UPKEEP, letter, None))
    (one,) = await shown(failing)
    assert (one.id, one.state, one.due, one.what) == (letter.id, State.UNREADABLE, None, "")

    assert await failing.retry(letter.id)
    assert await shown(failing) == []
    assert only(memory) == letter
    await host.run(Work().do)
    (one,) = await shown(failing)
    assert (one.id, one.state) == (letter.id, State.UNREADABLE)
    assert memory.messages.sent == []


async def test_what_is_put_aside_again_at_once_is_not_lost(
    failing: FailingLetters,
    failures: Failures,
    host: Host,
    clock: Clock,
    late: LateMessages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    letter = Letter("1" * 32, clock.now, "unreadable", 6, "ValueError: no")
    await failures.put(Failure(keys.UPKEEP, letter, None))
    send = late.send_letter

    async def run_at_once(queue: str, sent: Letter) -> None:
        await send(queue, sent)
        await host.run(Work().do)

    monkeypatch.setattr(late, "send_letter", run_at_once)
    assert await failing.retry(letter.id)
    (one,) = await shown(failing)
    assert one.id == letter.id


async def test_what_could_not_be_read_is_dropped_by_an_operator_and_not_what_waits(
    failures: Failures, failing: FailingLetters, clock: Clock
) -> None:
    gone, waits = (Letter(each * 32, clock(), "?", 6, "ValueError: no") for each in "ab")
    await failures.put(Failure(keys.EVENTS, gone, None))
    await failures.put(Failure(keys.EVENTS, waits, clock()))
    assert await failing.drop(gone.id)
    for other in (gone.id, waits.id, "no id"):
        assert not await failing.drop(other)
    assert [one.id for one in await shown(failing)] == [waits.id]


async def test_what_is_put_aside_again_meanwhile_is_not_dropped(
    failures: Failures, failing: FailingLetters, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = Letter("a" * 32, clock(), "?", 6, "ValueError: no")
    failure = Failure(keys.EVENTS, letter, None)
    await failures.put(failure)
    take = failures.take

    async def late(key: str, etag: str) -> bool:
        await failures.put(failure)
        return await take(key, etag)

    monkeypatch.setattr(failures, "take", late)
    assert not await failing.drop(letter.id)
    assert [one.id for one in await shown(failing)] == [letter.id]


async def test_what_cannot_be_sent_stays(
    failing: FailingLetters,
    failures: Failures,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    letter = Letter("1" * 32, clock.now, "unreadable", 6, "ValueError: no")
    await failures.put(Failure(keys.UPKEEP, letter, None))
    monkeypatch.setattr(memory.messages, "send", busy)
    with pytest.raises(Unavailable):
        await failing.retry(letter.id)
    assert len(await shown(failing)) == 1


async def test_what_the_host_gave_up_is_seen(
    failing: FailingLetters, memory: Memory, clock: Clock
) -> None:
    letter = Letter("2" * 32, clock.now - RUN, BODY, 2, "KeyError: 'x'")
    await memory.messages.prepare([POISON])
    await memory.messages.send(POISON, letter.text())
    await memory.messages.send(POISON, "text")
    one, other = await shown(failing)
    assert (one.id, one.queue, one.age) == (letter.id, POISON, RUN)
    assert (one.state, one.tries, one.due) == (State.GIVEN_UP, 3, None)
    assert one.why == "KeyError: 'x'"
    assert (other.what, other.tries, other.why) == ("", 1, GAVE_UP)


async def test_all_are_tried_at_once(
    waiting: Letter, failing: FailingLetters, failures: Failures, memory: Memory, clock: Clock
) -> None:
    await memory.messages.prepare([POISON])
    await memory.messages.send(POISON, "given up")
    letter = Letter("1" * 32, clock.now, "unreadable", 6, "ValueError: no")
    await failures.put(Failure(keys.UPKEEP, letter, None))

    assert await failing.retry_all() == 3
    now = [letter_of(one)[1] for one in memory.messages.sent if one.delay == 0]
    assert sorted(one.body for one in now) == sorted([BODY, "given up", "unreadable"])
    assert waiting in [letter_of(one)[1] for one in memory.messages.sent if one.delay]


async def test_pages_of_them_are_shown(
    failing: FailingLetters, failures: Failures, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.services.letters.failing._PAGE", 3)
    for number in range(7):
        letter = Letter(f"{number:032x}", clock.now, "text")
        await failures.put(Failure(keys.UPKEEP, letter, clock.now))
    assert [one.id for one in await shown(failing)] == [f"{number:032x}" for number in range(7)]


async def test_a_letter_of_which_no_row_tells_is_not_sent(
    failing: FailingLetters, memory: Memory
) -> None:
    for name in ("0" * 32, "", "no id", "a/b", "x" * 2_000, f"unreadable|{'0' * 32}"):
        assert not await failing.retry(name)
    assert memory.messages.sent == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (BODY, "retire a repository team/app"),
        ('{"object": "a", "digest": 7, "other": "x"}', "a"),
        ('{"kind": "heal a blob", "repository": "", "digest": "sha256:1"}', "heal a blob sha256:1"),
        ("[]", ""),
        ("text", ""),
        ("", ""),
        ("null", ""),
    ],
)
def test_what_a_message_asks_for_is_said_as_far_as_it_tells(body: str, words: str) -> None:
    assert what(body) == words


async def test_a_sleeper_that_nobody_can_read_is_not_made_more_by_trying_it(
    failing: FailingLetters, host: Host, memory: Memory
) -> None:
    await memory.messages.send(keys.LATER, "unreadable")
    await host.live(RUN, Work().do)
    (one,) = await shown(failing)
    assert (one.queue, one.state) == (keys.LATER, State.WAITS)
    for _ in range(2):
        assert not await failing.retry(one.id)
        assert await failing.retry_all() == 0
        await host.live(4 * RUN, Work().do)
    assert [message.body for message in memory.messages.sent] == ["unreadable"]
