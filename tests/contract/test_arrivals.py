"""Events of new objects, over each adapter: one is verified, several are sent on one by one."""

import json
from datetime import UTC, datetime

import pytest

from shared.services.letters.retries import Retries
from shared.services.verification.arrivals import Arrivals
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.created import MOST_EVENTS
from shared.storage.messages.letters import BODY_BYTES
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Messages, Rows, Unavailable
from shared.storage.rows.failing import Failures
from tests.support.clock import Ids
from tests.support.event_grid import event

NAMES = [keys.object_name("g" * 32, f"{number:032x}") for number in range(3)]


@pytest.fixture(autouse=True)
async def prepared(
    rows: Rows, messages: Messages, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queues of this test alone."""
    monkeypatch.setattr(keys, "FAILING", name)
    monkeypatch.setattr(keys, "BLOB_EVENTS", name)
    monkeypatch.setattr(keys, "VERIFICATION", f"{name}v")
    await rows.prepare(keys.TABLES)
    await messages.prepare([name, f"{name}v"])


@pytest.fixture
def late(messages: Messages) -> LateMessages:
    return LateMessages(messages, now, Ids())


@pytest.fixture
def verified() -> list[str]:
    return []


@pytest.fixture
def arrivals(late: LateMessages, rows: Rows, verified: list[str]) -> Arrivals:
    async def verify(asked: ToVerify) -> None:
        verified.append(asked.name)
        if asked.name == NAMES[1]:
            raise Unavailable("nobody answers")

    return Arrivals(late, Retries(late, Failures(rows), now), verify)


def now() -> datetime:
    return datetime.now(UTC)


async def taken(late: LateMessages, queue: str) -> list[str]:
    """Take all that lies on a queue."""
    texts = []
    while received := await late.receive(queue, 32, 60):
        for one in received:
            texts.append(one.body)
            await late.delete(queue, one)
    return texts


async def test_of_several_events_one_that_fails_holds_up_no_other(
    arrivals: Arrivals, late: LateMessages, verified: list[str], name: str
) -> None:
    await arrivals.told(json.dumps([event(one) for one in NAMES]).encode())
    assert verified == []
    sent = await taken(late, name)
    assert len(sent) == 3
    for text in sent:
        await arrivals.told(text.encode())
    assert sorted(verified) == NAMES
    assert await taken(late, name) == []


async def test_as_many_events_as_a_message_holds_are_sent_on(
    arrivals: Arrivals, late: LateMessages, name: str
) -> None:
    one = event(NAMES[0])
    least = {key: one[key] for key in ("id", "eventType", "subject")}
    count = min(MOST_EVENTS, BODY_BYTES // (len(json.dumps(least)) + 2))
    await arrivals.told(json.dumps([least] * count).encode())
    assert len(await taken(late, name)) == count


async def test_where_no_queue_takes_them_the_host_is_told(
    arrivals: Arrivals, late: LateMessages, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("nobody answers")

    monkeypatch.setattr(late, "send_letter", busy)
    with pytest.raises(Unavailable):
        await arrivals.told(json.dumps([event(one) for one in NAMES]).encode())
