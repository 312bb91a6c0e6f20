from datetime import timedelta

import pytest

from shared.storage import ages, keys
from shared.storage.layers.later import LateMessages
from shared.storage.letters import Letter, Sleeper
from shared.storage.ports import LONGEST_DELAY
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.support.messages import addressed, letter_of

L = int(ages.L.total_seconds())
WEEK = int(LONGEST_DELAY.total_seconds())


@pytest.fixture
def messages(prepared: Memory, clock: Clock) -> LateMessages:
    return LateMessages(prepared.messages, clock, Ids())


async def test_what_waits_for_less_than_l_waits_in_its_own_queue(
    messages: LateMessages, memory: Memory
) -> None:
    for seconds in (0, 1, L - 1):
        await messages.send(keys.UPKEEP, "text", seconds)

    assert addressed(memory.messages.sent) == [
        (keys.UPKEEP, "text", each) for each in (0, 1, L - 1)
    ]


@pytest.mark.parametrize(
    ("seconds", "delay"), [(L, L), (3_600, 3_600), (WEEK, WEEK), (WEEK + 1, WEEK), (9 * WEEK, WEEK)]
)
async def test_what_waits_for_longer_sleeps_elsewhere_as_long_as_a_queue_takes(
    messages: LateMessages, memory: Memory, clock: Clock, seconds: int, delay: int
) -> None:
    await messages.send(keys.UPKEEP, 'a "text"\n', seconds)

    ((queue, text, kept),) = memory.messages.sent
    assert (queue, kept) == (keys.LATER, delay)
    due = clock() + timedelta(seconds=seconds)
    letter = Letter(Ids()(), clock(), 'a "text"\n')
    assert Sleeper.read(text) == Sleeper(keys.UPKEEP, due, letter)


async def test_a_time_that_has_not_come_is_waited_for_and_the_first_is_kept(
    messages: LateMessages, memory: Memory, clock: Clock
) -> None:
    start = clock()
    letter = Letter("0" * 32, start, "text", 3, "the table is busy")
    sleeper = Sleeper(keys.EVENTS, start + timedelta(seconds=WEEK + L), letter)
    waits = []
    for moved in (WEEK, L / 2, L / 2, 9 * WEEK):
        clock.move(seconds=moved)
        await messages.hand_on(sleeper)
        waits.append(memory.messages.sent[-1][::2])

    assert waits == [(keys.LATER, L), (keys.EVENTS, L // 2), (keys.EVENTS, 0), (keys.EVENTS, 0)]
    assert Sleeper.read(memory.messages.sent[0].body) == sleeper
    assert [letter_of(one) for one in memory.messages.sent] == [(keys.EVENTS, letter)] * 4
