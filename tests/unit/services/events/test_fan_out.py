import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import NameInvalid
from shared.events import (
    Event,
    ManifestDeleted,
    ManifestPushed,
    ManifestRotted,
    TagDeleted,
    read,
    values,
)
from shared.model.digest import Digest
from shared.services.events.fan_out import Announcement, FanOut
from shared.storage import keys
from shared.storage.messages.errands import Errand, Kind
from shared.storage.ports import Insert, Unavailable
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.messages import addressed, awake
from tests.unit.services.conftest import REPOSITORY

AT = datetime(2024, 1, 1, tzinfo=UTC)
SUBJECT = str(Digest.of(b"s"))
DELETED = ManifestDeleted("d", "m", ME, AT, SUBJECT, "l")


@pytest.fixture
def fan_out(stores: Stores) -> FanOut:
    return FanOut(stores)


async def told(stores: Stores, memory: Memory, *events: Event, is_in: bool = True) -> Announcement:
    """Send the message of events, and write their rows or not."""
    wanted = [stores.outbox.key(AT) for _ in events]
    await stores.outbox.promise(REPOSITORY, wanted)
    if is_in:
        rows = [Insert(key, values(event)) for key, event in zip(wanted, events, strict=True)]
        await stores.contents.commit(REPOSITORY, rows)
    return next_one(memory)


def next_one(memory: Memory) -> Announcement:
    """Take the only message to the fan-out that waits."""
    sent = [message for message in memory.messages.sent if awake(message).queue == keys.EVENTS]
    assert len(sent) == 1
    memory.messages.sent.remove(sent[0])
    return Announcement.read(awake(sent[0]).body.encode())


def errands(memory: Memory) -> list[Errand]:
    return [
        Errand.read(body.encode())
        for queue, body, _ in addressed(memory.messages.sent)
        if queue == keys.UPKEEP
    ]


async def test_an_event_reaches_each_consumer_with_all_it_says(
    stores: Stores, memory: Memory, fan_out: FanOut
) -> None:
    await fan_out.follow(await told(stores, memory, DELETED))
    sent = errands(memory)
    assert [errand.kind for errand in sent] == [Kind.KEEP_LIST, Kind.AFTER_DELETION]
    assert all(read(errand.fields["event"]) == DELETED for errand in sent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (ManifestPushed("d", "t", "m", 7, ME, AT), [Kind.AFTER_PUSH]),
        (ManifestPushed("d", "t", "m", 7, ME, AT, SUBJECT), [Kind.KEEP_LIST, Kind.AFTER_PUSH]),
        (
            ManifestPushed("d", "sha256-" + "0" * 64, "m", 7, ME, AT),
            [Kind.KEEP_LIST, Kind.AFTER_PUSH],
        ),
        (ManifestDeleted("d", "m", ME, AT), [Kind.AFTER_DELETION]),
        (ManifestDeleted("d", "m", ME, AT, SUBJECT, "l", deletion="of all"), []),
        (ManifestRotted("d", "m", ME, AT), [Kind.AFTER_DELETION]),
        (TagDeleted("t", ME, AT), []),
    ],
)
async def test_only_those_hear_of_an_event_whom_it_concerns(
    stores: Stores, memory: Memory, fan_out: FanOut, event: Event, kinds: list[Kind]
) -> None:
    await fan_out.follow(await told(stores, memory, event))
    assert [errand.kind for errand in errands(memory)] == kinds


async def test_a_message_that_comes_twice_hands_on_once_and_removes_later(
    stores: Stores, memory: Memory, fan_out: FanOut
) -> None:
    announcement = await told(stores, memory, DELETED)
    await fan_out.follow(announcement)
    removal = next_one(memory)
    await fan_out.follow(announcement)
    assert next_one(memory) == removal
    assert len(errands(memory)) == 2
    assert len(memory.keys("outbox|")) == 1
    for _ in range(2):
        await fan_out.follow(removal)
        assert memory.keys("outbox|") == []


async def test_rows_of_several_transactions_are_found_one_after_the_other(
    stores: Stores, memory: Memory, fan_out: FanOut
) -> None:
    first, second = (stores.outbox.key(AT) for _ in range(2))
    await stores.outbox.promise(REPOSITORY, [first, second])
    await stores.contents.commit(REPOSITORY, [Insert(second, values(DELETED))])
    await fan_out.follow(next_one(memory))
    sent = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.EVENTS]
    removal, copy = (Announcement.read(body.encode()) for body in sent)
    assert (removal.events, removal.stage) == ([second], -1)
    assert (copy.events, copy.stage) == ([first], 1)
    await stores.contents.commit(REPOSITORY, [Insert(first, values(DELETED))])
    await fan_out.follow(copy)
    assert len(errands(memory)) == 4


async def test_rows_that_come_late_are_found_by_a_copy(
    stores: Stores, memory: Memory, fan_out: FanOut
) -> None:
    announcement = await told(stores, memory, DELETED, is_in=False)
    waited = timedelta()
    for seen in (10, 100, 200):
        await fan_out.follow(announcement)
        waited += timedelta(seconds=memory.messages.sent[-1][2])
        assert waited == timedelta(seconds=seen)
        announcement = next_one(memory)
    await stores.contents.commit(REPOSITORY, [Insert(announcement.events[0], values(DELETED))])
    await fan_out.follow(announcement)
    assert len(errands(memory)) == 2


@pytest.mark.parametrize("is_listed", [True, False])
async def test_the_last_copy_drops_and_has_what_is_listed_for_nothing_retired(
    stores: Stores, memory: Memory, fan_out: FanOut, is_listed: bool
) -> None:
    announcement = await told(stores, memory, DELETED, is_in=False)
    if is_listed:
        await stores.index.add(REPOSITORY)
    for _ in range(3):
        await fan_out.follow(announcement)
        announcement = next_one(memory)
    await fan_out.follow(announcement)
    assert [errand.kind for errand in errands(memory)] == [Kind.RETIRE] * is_listed
    assert len(memory.messages.sent) == is_listed


async def test_who_meets_a_storage_error_raises_and_can_be_repeated(
    stores: Stores, memory: Memory, fan_out: FanOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("the table is busy")

    announcement = await told(stores, memory, DELETED)
    with monkeypatch.context() as patch:
        patch.setattr(memory.rows, "get", busy)
        with pytest.raises(Unavailable):
            await fan_out.follow(announcement)
    await fan_out.follow(announcement)
    assert len(errands(memory)) == 2


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'{"repository": "a"}', b'{"repository": "A"}']
)
@pytest.mark.parametrize("reader", [Announcement.read, Errand.read])
def test_what_is_no_message_is_refused(reader: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, NameInvalid, AttributeError)):
        reader(body)


def test_a_message_is_read() -> None:
    message = {"generation": "g", "repository": "a/b", "events": ["outbox|1"], "stage": 2}
    assert Announcement.read(json.dumps(message).encode()) == Announcement(
        "g", REPOSITORY.__class__("a/b"), ["outbox|1"], 2
    )
