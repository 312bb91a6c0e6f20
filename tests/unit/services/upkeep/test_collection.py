"""What a message of the queue `garbage` asks for; `test_garbage` has what becomes of a blob."""

import logging
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.upkeep.collection import Collection
from shared.services.upkeep.garbage import Garbage
from shared.storage import keys
from shared.storage.collecting import Suspects
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
