"""What upkeep costs in calls to storage, counted on the emulator; clients' requests are in budgets.

Before something is removed for good it is asked whether that is halted: one call more.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.events.fan_out import Announcement, FanOut
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.services.upkeep.purge import Purge
from shared.storage import ages
from shared.storage.messages.collecting import Suspects
from shared.storage.stores import Stores
from tests.support.causes import ME
from tests.unit.services.conftest import hold, image_of, index_of, parts, verification_of

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.parametrize("place", ["azure"], indirect=True),
]

A = RepositoryName("a/b")
V1, V2 = Tag("v1"), Tag("v2")
SHORT = timedelta(seconds=0.4)
OLD_SECONDS = 2.1
"""After so long a row is older than twice that: ages are told to the second."""

type Calls = list[str]


@pytest.fixture
def pushes(stores: Stores) -> Pushes:
    return Pushes(stores, is_sparse_allowed=False)


async def cost(deed: Awaitable[object], calls: Calls) -> int:
    """Count the calls of a deed."""
    before = len(calls)
    await deed
    return len(calls) - before


async def test_verification_costs_four_calls_beside_reading(stores: Stores, calls: Calls) -> None:
    (part,) = parts(1)
    await hold(stores, part)
    link = await stores.contents.link(RepositoryName("team/app"), Digest.parse(part.digest))
    assert link
    verification = verification_of(stores)
    assert await cost(verification.verify(link.object), calls) == 5


async def test_collecting_the_last_holder_of_a_blob_costs_seven_and_the_halt(
    stores: Stores, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = parts(1)
    await hold(stores, part, repository=A)
    monkeypatch.setattr(ages, "L", SHORT)
    await asyncio.sleep(OLD_SECONDS)
    garbage = Garbage(stores, timedelta(0))
    assert await cost(garbage.collect(A, Digest.parse(part.digest)), calls) == 7 + 1


async def test_a_message_of_five_blobs_costs_as_much_as_five(
    stores: Stores, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(stores, *parts(5), repository=A)
    monkeypatch.setattr(ages, "L", SHORT)
    await asyncio.sleep(OLD_SECONDS)
    collection = Collection(stores, Garbage(stores, timedelta(0)))
    digests = tuple(Digest.parse(part.digest) for part in parts(5))
    suspects = Suspects(stores.generation, A, digests)
    assert await cost(collection.run(suspects), calls) == 5 * (7 + 1)


async def test_a_look_at_a_blob_that_is_in_use_or_nowhere_costs_three(
    stores: Stores, pushes: Pushes, calls: Calls
) -> None:
    await hold(stores, *parts(2), repository=A)
    await pushes.put(A, image_of(parts(2)), [V1], by=ME)
    garbage = Garbage(stores, timedelta(0))
    assert await cost(garbage.collect(A, Digest.parse(parts(1)[0].digest)), calls) == 3
    assert await cost(garbage.collect(A, Digest.of(b"nowhere")), calls) == 3


async def test_fan_out_costs_five_and_one_for_each_consumer(
    stores: Stores, pushes: Pushes, calls: Calls
) -> None:
    await hold(stores, *parts(2), repository=A)
    image = image_of(parts(2))
    await pushes.put(A, image, [V1], by=ME)
    event = await _event(stores)
    fan_out, announced = FanOut(stores), Announcement(stores.generation, A, [event])
    handing = await cost(fan_out.follow(announced), calls)
    removing = await cost(fan_out.follow(Announcement(stores.generation, A, [event], -1)), calls)
    assert handing + removing == 6  # one of them reads the webhooks


async def test_a_purge_costs_eleven_and_a_transaction_for_98_rows(
    stores: Stores, pushes: Pushes, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row, is its digest live, does it end later, referrers, halt, collector, marks, body."""
    await hold(stores, *parts(3), repository=A)
    image = image_of(parts(3))
    await pushes.put(A, image, [V1, V2], by=ME)
    manifests = Manifests(stores)
    await manifests.delete(A, image.digest, by=ME)
    (life,) = await stores.deleted.page(A, "", 10)
    monkeypatch.setattr(ages, "L", SHORT)
    await asyncio.sleep(OLD_SECONDS + 4 * SHORT.total_seconds())
    deed = Purge(stores, manifests).purge(A, image.digest, life.manifest.life)
    assert await cost(deed, calls) == 11


async def test_128_references_and_10_tags_that_move_cost_sixteen(
    stores: Stores, pushes: Pushes, calls: Calls
) -> None:
    tags = [Tag(f"v{number}") for number in range(10)]
    await hold(stores, *parts(128), repository=A)
    await pushes.put(A, image_of(parts(2)), tags, by=ME)
    assert await cost(pushes.put(A, image_of(parts(128)), tags, by=ME), calls) == 16


async def test_an_index_of_100_children_costs_five(
    stores: Stores, pushes: Pushes, calls: Calls
) -> None:
    (config,) = parts(1)
    await hold(stores, config, repository=A)
    children = [image_of([config], annotations={"n": str(n)}) for n in range(100)]
    for child in children:
        await pushes.put(A, child, [], by=ME)
    assert await cost(pushes.put(A, index_of(children), [V1], by=ME), calls) == 5


@pytest.mark.parametrize("number", [3, 30])
async def test_a_deletion_costs_four_and_a_transaction_for_24_tags(
    stores: Stores, pushes: Pushes, calls: Calls, number: int
) -> None:
    await hold(stores, *parts(2), repository=A)
    image = image_of(parts(2))
    for tag in range(number):
        await pushes.put(A, image, [Tag(f"v{tag}")], by=ME)
    deed = Manifests(stores).delete(A, image.digest, by=ME)
    assert await cost(deed, calls) == 4 + number // 24 + (number >= 24)


async def _event(stores: Stores) -> str:
    walked = await stores.walks.contents("", 1_000)
    return next(row.key for _, row in walked.rows if row.key.startswith("outbox|"))
