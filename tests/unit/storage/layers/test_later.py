from dataclasses import asdict
from datetime import timedelta

import pytest

from shared.events import Cause, ManifestPushed, values
from shared.model.digest import Digest
from shared.model.names import NAME_LENGTH, RepositoryName
from shared.storage import ages, keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.errands import Kind
from shared.storage.messages.letters import BODY_BYTES, Letter, Sleeper, reason
from shared.storage.ports import LONGEST_DELAY, MOST_CHANGES
from shared.storage.stores import Stores
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


async def test_a_text_that_no_queue_would_take_is_refused_where_it_is_sent(
    messages: LateMessages, memory: Memory
) -> None:
    longest = "é" * (BODY_BYTES // 2)
    await messages.send(keys.UPKEEP, longest, L)
    with pytest.raises(ValueError, match="BODY_BYTES"):
        await messages.send(keys.UPKEEP, longest + "x")
    assert len(memory.messages.sent) == 1


@pytest.mark.parametrize("why", ["x", "\x00", '"', "é", "😀"])
def test_the_first_line_of_the_longest_letter_fits_beside_it(clock: Clock, why: str) -> None:
    told = reason(ValueError(why * 1_000))
    letter = Letter("f" * 32, clock(), "x" * BODY_BYTES, 100_000, told, True, True)
    assert len(Sleeper(keys.VERIFICATION, clock(), letter).text().encode()) <= 48 * 1024


async def test_the_longest_that_we_send_is_far_from_that(stores: Stores, prepared: Memory) -> None:
    long, digest = RepositoryName("a" * NAME_LENGTH), Digest.of(b"", "sha512")
    now = stores.clock()
    await stores.outbox.promise(long, [stores.outbox.key(now) for _ in range(MOST_CHANGES)])
    await stores.collecting.ask(long, [Digest.of(b"%d" % n, "sha512") for n in range(200)])
    cause = Cause("b" * 300, "r" * 36, "é" * 40_000, "DELETE", "é" * 40_000)
    pushed = ManifestPushed(str(digest), "t" * 128, "m" * 255, 2**60, cause, now, str(digest))
    await stores.errands.send(Kind.KEEP_LIST, long, event=dict(values(pushed)))
    await stores.errands.send(Kind.END_DELETION, long, digest=str(digest), cause=asdict(cause))
    await stores.verifying.ask("g/" + "f" * 64, part="p" * 900, digest=digest)
    assert max(len(sent.body.encode()) for sent in prepared.messages.sent) < BODY_BYTES / 2


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
