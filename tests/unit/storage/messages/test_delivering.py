import json
from datetime import timedelta

import pytest

from shared.storage import keys
from shared.storage.messages.delivering import FIRST, Task, Ticket, ToDeliver
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.messages import addressed

EVENT = "20260101T120000000000-" + "a" * 32


async def test_a_message_says_what_to_look_at_and_is_read_again(
    stores: Stores, memory: Memory
) -> None:
    await stores.delivering.deliver("hooka", "i1", EVENT, Ticket(3, "ab"), timedelta(seconds=9.5))
    await stores.delivering.probe("hooka", "i1", Ticket(4, "cd"), timedelta(minutes=10))
    await stores.delivering.drain("hooka", "i1")
    sent = addressed(memory.messages.sent)
    assert [(queue, delay) for queue, _, delay in sent] == [
        (keys.DELIVERIES, 10),
        (keys.DELIVERIES, 600),
        (keys.DELIVERIES, 1),
    ]
    read = [ToDeliver.read(body.encode()) for _, body, _ in sent]
    generation = stores.generation
    assert read == [
        ToDeliver(Task.DELIVER, generation, "hooka", "i1", EVENT, Ticket(3, "ab")),
        ToDeliver(Task.PROBE, generation, "hooka", "i1", "", Ticket(4, "cd")),
        ToDeliver(Task.DRAIN, generation, "hooka", "i1", "", read[2].ticket),
    ]


def test_the_row_s_ticket_is_the_one_that_counts() -> None:
    row = Ticket(2, "aa")
    assert not row.is_before(row)
    assert Ticket(1, "aa").is_before(row)
    assert Ticket(2, "bb").is_before(row)
    assert not Ticket(3, "bb").is_before(row)
    assert row.after("cc") == Ticket(3, "cc")


@pytest.mark.parametrize("ticket", [Ticket(), FIRST, Ticket(12, "0" * 32)])
def test_a_ticket_is_read_as_it_was_written(ticket: Ticket) -> None:
    assert Ticket.read(str(ticket)) == ticket


async def test_what_may_be_early_looks_again_three_times(stores: Stores, memory: Memory) -> None:
    asked = ToDeliver(Task.DELIVER, stores.generation, "hooka", "i1", EVENT)
    waited = 0
    for seen in (10, 100, 200):
        assert await stores.delivering.look_again(asked)
        _, body, delay = addressed(memory.messages.sent)[-1]
        waited += delay
        assert waited == seen
        asked = ToDeliver.read(body.encode())
    assert not await stores.delivering.look_again(asked)


SOUND = json.loads(ToDeliver(Task.DELIVER, "g", "hooka", "i", EVENT).text())


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {**SOUND, "task": "destroy"},
        {**SOUND, "name": "../x"},
        {**SOUND, "id": 7},
        {**SOUND, "event": "tomorrow"},
        {**SOUND, "ticket": "one"},
        {**SOUND, "looks": "some"},
    ],
)
def test_what_is_no_message_is_refused(said: object) -> None:
    assert ToDeliver.read(json.dumps(SOUND).encode())
    with pytest.raises(ValueError, match=r"."):
        ToDeliver.read(json.dumps(said).encode())
