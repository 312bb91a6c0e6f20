import json
from datetime import UTC, datetime

import pytest

from shared.errors import NameInvalid
from shared.events import Event, ManifestDeleted, TagDeleted
from shared.services.events.announcements import Announcement, Events
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.unit.services.conftest import REPOSITORY

AT = datetime(2024, 1, 1, tzinfo=UTC)
EVENTS: list[Event] = [TagDeleted("t", "me", AT), ManifestDeleted("d", "m", "me", AT, "s")]


async def announced(stores: Stores, memory: Memory) -> Announcement:
    rows = stores.outbox.rows(EVENTS)
    await stores.contents.commit(REPOSITORY, rows)
    await stores.outbox.announce(REPOSITORY, rows)
    return Announcement.read(memory.messages.sent[-1][1].encode())


async def test_a_message_leads_to_the_events_that_wait(stores: Stores, memory: Memory) -> None:
    announcement = await announced(stores, memory)
    assert await Events(stores).waiting(announcement) == EVENTS


async def test_events_that_were_handed_on_are_gone(stores: Stores, memory: Memory) -> None:
    announcement = await announced(stores, memory)
    for _ in range(2):  # a message may come twice
        await Events(stores).settle(announcement)
        assert memory.keys("outbox|") == []
        assert await Events(stores).waiting(announcement) == []


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'{"repository": "a"}', b'{"repository": "A"}']
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, NameInvalid)):
        Announcement.read(body)


def test_a_message_is_read() -> None:
    message = {"generation": "g", "repository": "a/b", "events": ["outbox|1"]}
    assert Announcement.read(json.dumps(message).encode()) == Announcement(
        "g", REPOSITORY.__class__("a/b"), ["outbox|1"]
    )
