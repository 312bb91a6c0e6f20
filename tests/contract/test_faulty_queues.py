"""The relay's queues: a message comes twice, late, or both, and always as it was sent."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from azure.storage.queue import QueueClient

from infra.devhost.storage import Azurite
from tests.support.faulty_queues import Deliveries, Delivery
from tests.support.faulty_storage import Chances, faulty
from tests.support.waiting import until

pytestmark = pytest.mark.emulator

type Read = Callable[[], list[str]]


@contextmanager
def queue(emulator: Azurite, deliveries: Deliveries) -> Iterator[tuple[QueueClient, Read]]:
    """A queue through the relay, and a look at what is seen in it now."""
    name = f"q{uuid.uuid4().hex}"
    with (
        faulty(emulator, Chances(), deliveries) as relay,
        QueueClient.from_connection_string(emulator.connection_string, name) as there,
        QueueClient.from_connection_string(relay.connection_string, name) as broken,
    ):
        there.create_queue()
        yield broken, lambda: [message.content for message in there.peek_messages(32)]


def test_a_message_comes_twice(emulator: Azurite) -> None:
    with queue(emulator, Deliveries({Delivery.TWICE: 1}, 0.2)) as (sender, read):
        sender.send_message("a & b")
        until(lambda: read() == ["a & b", "a & b"])


def test_a_message_comes_late(emulator: Azurite) -> None:
    deliveries = Deliveries({Delivery.LATE: 1}, 0.1)
    with queue(emulator, deliveries) as (sender, read):
        sender.send_message("late")
        assert not read()
        until(lambda: read() == ["late"])

    assert deliveries.counts == {Delivery.LATE: 1}


def test_what_is_late_keeps_the_delay_that_it_had(emulator: Azurite) -> None:
    with queue(emulator, Deliveries({Delivery.LATE: 1}, 0.1)) as (sender, read):
        sender.send_message("late", visibility_timeout=2)
        began = time.monotonic()
        until(lambda: read() == ["late"])

    assert time.monotonic() - began > 2


def test_messages_change_places(emulator: Azurite) -> None:
    sent = [str(number) for number in range(12)]
    with queue(emulator, Deliveries({Delivery.LATE: 0.5}, 2)) as (sender, read):
        for text in sent:
            sender.send_message(text)
        until(lambda: sorted(read()) == sorted(sent))
        assert read() != sent


def test_without_chances_a_message_comes_once_and_at_once(emulator: Azurite) -> None:
    with queue(emulator, Deliveries()) as (sender, read):
        sender.send_message("once")
        assert read() == ["once"]
