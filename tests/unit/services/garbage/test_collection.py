"""What a message of the queue `garbage` asks for; `test_garbage` has what becomes of a blob."""

import logging
from datetime import datetime, timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.blobs import Blobs
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.messages.collecting import Suspects
from shared.storage.ports import Unavailable
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.messages import addressed
from tests.unit.services.conftest import GRACE, REPOSITORY, Before, hold, parts

LATELY = GRACE * 3 / 2


@pytest.fixture
def collection(stores: Stores) -> Collection:
    return Collection(stores, Garbage(stores, GRACE))


def suspects(stores: Stores, *digests: Digest) -> Suspects:
    return Suspects(stores.generation, REPOSITORY, digests)


def waiting(memory: Memory) -> list[tuple[Suspects, timedelta]]:
    """Take the messages to the collector that wait, and how long each is to."""
    sent, memory.messages.sent[:] = addressed(memory.messages.sent), []
    return [
        (Suspects.read(body.encode()), timedelta(seconds=delay))
        for queue, body, delay in sent
        if queue == keys.GARBAGE
    ]


async def left(stores: Stores, *digests: Digest) -> list[Digest]:
    return [it for it in digests if await stores.contents.link(REPOSITORY, it)]


async def test_each_blob_of_a_message_is_collected_and_the_log_tells(
    stores: Stores, prepared: Memory, collection: Collection, caplog: pytest.LogCaptureFixture
) -> None:
    three = parts(3)
    one, two, other = (Digest.parse(it.digest) for it in three)
    await hold(stores, *three)
    prepared.clock.now += LATELY + timedelta(seconds=1)
    with caplog.at_level(logging.INFO):
        await collection.run(suspects(stores, one, two))
    assert await left(stores, one, two, other) == [other]
    assert waiting(prepared) == []
    for digest, told in zip((one, two), caplog.messages, strict=True):
        assert told.startswith(f"collected {digest} of {REPOSITORY}: ")


async def test_what_it_is_too_early_for_comes_again_when_the_last_is_due(
    stores: Stores, prepared: Memory, collection: Collection
) -> None:
    early, late, gone = parts(3)
    one, two, three = (Digest.parse(it.digest) for it in (early, late, gone))
    await hold(stores, early)
    prepared.clock.now += timedelta(hours=5)
    await hold(stores, late)
    await collection.run(suspects(stores, one, two, three))
    ((again, wait),) = waiting(prepared)
    assert again == suspects(stores, one, two)
    assert wait == LATELY
    prepared.clock.now += wait + timedelta(seconds=1)
    await collection.run(again)
    assert await left(stores, one, two) == []
    assert waiting(prepared) == []


@pytest.mark.parametrize(("every", "is_seen"), [(4, False), (16, False), (16, True)])
async def test_uploads_of_the_same_leave_no_more_messages_than_wait_at_a_time(
    stores: Stores,
    prepared: Memory,
    collection: Collection,
    blobs: Blobs,
    every: int,
    is_seen: bool,
) -> None:
    """Each message came again for as long as anybody went on: one more with each upload.

    `is_seen`: between uploads somebody asks for it, who sends nothing.
    """
    (one,) = parts(1)
    digest, pending, most = Digest.parse(one.digest), list[tuple[datetime, Suspects]](), 0
    for hour in range(32 * 24):
        now, is_used = prepared.clock.now, hour < 28 * 24
        if is_used and hour % every == 0:
            await hold(stores, one)
            await stores.collecting.ask(REPOSITORY, [digest], after=LATELY, since=now)
        elif is_used and is_seen:
            await blobs.find(REPOSITORY, digest)
        for _, message in [it for it in pending if it[0] < now]:
            await collection.run(message)
        pending = [it for it in pending if it[0] >= now]
        pending += [(now + wait, message) for message, wait in waiting(prepared)]
        most = max(most, len(pending))
        prepared.clock.now += timedelta(hours=1)
    assert most <= LATELY / timedelta(hours=every) + 2
    assert pending == []
    assert bool(await left(stores, digest)) == is_seen  # then it is left to the sweep


async def test_a_message_that_was_sent_just_before_the_use_it_is_of_goes_on(
    stores: Stores, prepared: Memory, collection: Collection
) -> None:
    """An object is verified as soon as it is made; then its upload writes the link."""
    (one,) = parts(1)
    digest, sent = Digest.parse(one.digest), prepared.clock.now
    prepared.clock.now += L / 2
    await hold(stores, one)
    prepared.clock.now = sent + LATELY
    await collection.run(Suspects(stores.generation, REPOSITORY, (digest,), sent))
    ((again, wait),) = waiting(prepared)
    assert (again.since, wait) == (sent, L / 2)
    prepared.clock.now += wait + timedelta(seconds=1)
    await collection.run(again)
    assert await left(stores, digest) == []


@pytest.mark.parametrize("error", [Unavailable("no storage"), KeyError("a row that lacks it")])
async def test_a_blob_that_fails_holds_up_no_other_and_the_message_comes_again(
    stores: Stores, prepared: Memory, collection: Collection, before: Before, error: Exception
) -> None:
    two = parts(2)
    bad, good = (Digest.parse(it.digest) for it in two)
    await hold(stores, *two)
    prepared.clock.now += LATELY + timedelta(seconds=1)

    async def fail() -> None:
        raise error

    before(prepared.rows, "commit", fail)
    with pytest.raises(type(error)):
        await collection.run(suspects(stores, bad, good))
    assert await left(stores, bad, good) == [bad]
    await collection.run(suspects(stores, bad, good))
    assert await left(stores, bad, good) == []


async def test_a_message_that_fails_sends_no_other(
    stores: Stores, prepared: Memory, collection: Collection, before: Before
) -> None:
    """It comes again as it is: with each time there would be one more of them otherwise."""
    old, young = parts(2)
    await hold(stores, old)
    prepared.clock.now += LATELY + timedelta(seconds=1)
    await hold(stores, young)

    async def fail() -> None:
        raise Unavailable("no storage")

    before(prepared.rows, "commit", fail)
    with pytest.raises(Unavailable):
        await collection.run(suspects(stores, *(Digest.parse(it.digest) for it in (old, young))))
    assert waiting(prepared) == []


async def test_while_removal_is_halted_it_comes_again(
    stores: Stores, prepared: Memory, collection: Collection
) -> None:
    (blob,) = parts(1)
    await hold(stores, blob)
    prepared.clock.now += LATELY + timedelta(seconds=1)
    await stores.halt.put(["contents"])
    await collection.run(suspects(stores, Digest.parse(blob.digest)))
    assert waiting(prepared)
    assert await left(stores, Digest.parse(blob.digest))


async def test_what_was_never_there_is_nothing_to_do(
    stores: Stores, prepared: Memory, collection: Collection
) -> None:
    nowhere = Suspects(stores.generation, RepositoryName("no/where"), (Digest.of(b"none"),))
    await collection.run(nowhere)
    assert waiting(prepared) == []
