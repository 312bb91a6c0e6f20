import json
import logging

import pytest

from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Unavailable
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.messages import addressed
from tests.unit.conftest import GENERATION

A = RepositoryName("a/b")


def test_rows_sort_by_time(stores: Stores, clock: Clock) -> None:
    late = stores.outbox.key(clock())
    clock.move(microseconds=-1)
    assert stores.outbox.key(clock()) < late


def test_two_events_of_one_moment_have_two_rows(stores: Stores, clock: Clock) -> None:
    assert stores.outbox.key(clock()) != stores.outbox.key(clock())


async def test_a_message_holds_keys_and_no_more(stores: Stores, memory: Memory) -> None:
    await stores.outbox.promise(A, ["outbox|1"])
    ((queue, body, delay),) = addressed(memory.messages.sent)
    assert (queue, delay) == (keys.EVENTS, 1)
    assert json.loads(body) == {
        "generation": GENERATION,
        "repository": A,
        "events": ["outbox|1"],
        "stage": 0,
    }


@pytest.fixture
def is_busy(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("the queue is busy")

    monkeypatch.setattr(memory.messages, "send", busy)


@pytest.mark.usefixtures("is_busy")
async def test_a_queue_that_does_not_answer_fails_what_has_not_happened(stores: Stores) -> None:
    with pytest.raises(Unavailable):
        await stores.outbox.promise(A, [])


@pytest.mark.usefixtures("is_busy")
async def test_a_queue_that_does_not_answer_fails_nothing_that_has_happened(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await stores.outbox.promise_again(A, [])
    assert "events of a/b may wait" in caplog.text
