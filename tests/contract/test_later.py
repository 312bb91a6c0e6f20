"""What sleeps in the queue `later`, over each adapter."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.services.letters.sleepers import Sleepers
from shared.storage import ages, keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter
from shared.storage.ports import Messages, Rows
from shared.storage.rows.failing import Failures
from tests.support.clock import Clock, Ids


@pytest.fixture(autouse=True)
def lowered(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Queues of this test alone, and an L of four seconds: a call may take most of that."""
    monkeypatch.setattr(keys, "FAILING", name)
    monkeypatch.setattr(keys, "LATER", f"{name}later")
    monkeypatch.setattr(keys, "QUEUES", (name, f"{name}later"))
    monkeypatch.setattr(ages, "L", timedelta(seconds=4))


async def test_what_has_slept_long_enough_is_handed_on(
    rows: Rows, messages: Messages, clock: Clock, name: str
) -> None:
    await messages.prepare(keys.QUEUES)
    await rows.prepare(keys.TABLES)
    late = LateMessages(messages, lambda: datetime.now(UTC), Ids())
    sleepers = Sleepers(late, Failures(rows), clock)
    texts = [f"text {number}" for number in range(70)]
    for text in texts:
        await late.send(name, text, 5)
    await late.send(name, "much later", 3_600)
    await messages.send(keys.LATER, "what nobody can read")

    clock.move(seconds=10)
    await asyncio.sleep(5.5)
    assert await messages.peek(name, 32) == []
    await sleepers.wake()

    handed_on = []
    while received := await messages.receive(name, 32, 60):
        handed_on += [Letter.read(one.body, clock()).body for one in received]
    assert sorted(handed_on) == sorted(texts)
    assert await sleepers.wake() == 0
