import json
import logging

import pytest

from shared.events import TagDeleted
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Unavailable
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.unit.conftest import GENERATION

A = RepositoryName("a/b")


def test_rows_sort_by_time(stores: Stores, clock: Clock) -> None:
    late = stores.outbox.rows([TagDeleted("t", "me", clock())])
    clock.move(microseconds=-1)
    early = stores.outbox.rows([TagDeleted("t", "me", clock())])
    assert early[0].key < late[0].key


def test_two_events_of_one_moment_have_two_rows(stores: Stores, clock: Clock) -> None:
    rows = stores.outbox.rows([TagDeleted("t", "me", clock())] * 2)
    assert rows[0].key != rows[1].key
    assert rows[0].values["event"] == "TagDeleted"


async def test_a_message_holds_keys_and_no_more(
    stores: Stores, clock: Clock, memory: Memory
) -> None:
    rows = stores.outbox.rows([TagDeleted("t", "me", clock())])
    await stores.outbox.announce(A, rows)
    ((queue, body, delay),) = memory.messages.sent
    assert (queue, delay) == (keys.EVENTS, 0)
    assert json.loads(body) == {
        "generation": GENERATION,
        "repository": A,
        "events": [rows[0].key],
    }


async def test_a_queue_that_does_not_answer_fails_nothing(
    stores: Stores,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("the queue is busy")

    monkeypatch.setattr(memory.messages, "send", busy)
    with caplog.at_level(logging.WARNING):
        await stores.outbox.announce(A, [])
    assert "events of a/b stay in the outbox" in caplog.text
