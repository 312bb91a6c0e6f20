"""Who asks the collector to look, when, and that a crash loses none of it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest

from shared.errors import BlobUnknown, Unsupported
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.services.upkeep.builds import Builds
from shared.services.upkeep.purge import Purge
from shared.storage import ages, keys
from shared.storage.messages.collecting import Suspects
from shared.storage.ports import Unavailable
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.messages import addressed
from tests.unit.services.conftest import (
    GRACE,
    KEPT,
    REPOSITORY,
    Before,
    Crash,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)

TWO = parts(2)
DIGESTS = [Digest.parse(each.digest) for each in TWO]
IMAGE = image_of(TWO)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
MANY = parts(120)
OVER = KEPT + timedelta(seconds=401)
SECOND = timedelta(seconds=1)

type Arm = Callable[[Memory, int], Callable[[], None]]


@pytest.fixture
def collection(stores: Stores) -> Collection:
    return Collection(stores, Garbage(stores, GRACE))


def asked(memory: Memory) -> list[tuple[Sequence[Digest], timedelta]]:
    """Tell what the collector was asked to look at, and how much later."""
    return [
        (list(Suspects.read(body.encode()).digests), timedelta(seconds=delay))
        for queue, body, delay in addressed(memory.messages.sent)
        if queue == keys.GARBAGE
    ]


async def collect_all(memory: Memory, collection: Collection, clock: Clock) -> None:
    """Run what the collector was asked, in time, and all that follows from it."""
    while waiting := [it for it in addressed(memory.messages.sent) if it.queue == keys.GARBAGE]:
        memory.messages.sent.clear()
        for message in waiting:
            clock.now += timedelta(seconds=message.delay) + SECOND
            await collection.run(Suspects.read(message.body.encode()))


def links(memory: Memory) -> list[str]:
    return memory.keys("blob|")


def bytes_kept(memory: Memory) -> list[str]:
    """Name the objects, and what knows of them."""
    places = [place for place in memory.kept() if len(place) == 1 or place[0] == keys.BLOBS]
    return [" ".join(place) for place in places]


async def ended(stores: Stores, pushes: Pushes, manifests: Manifests, image: Manifest) -> str:
    """Push a manifest and delete it; give its life, for which it is time to be purged."""
    await pushes.put(REPOSITORY, image, [], by=ME)
    await manifests.delete(REPOSITORY, image.digest, by=ME)
    (deleted,) = await stores.deleted.page(REPOSITORY, "", 10)
    return deleted.manifest.life


class TestPurges:
    async def test_the_collector_is_asked_for_all_that_the_life_used(
        self, stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory
    ) -> None:
        await hold(stores, *TWO)
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        index = index_of([IMAGE])
        life = await ended(stores, pushes, manifests, index)
        memory.clock.now += OVER
        memory.messages.sent.clear()
        await purge.purge(REPOSITORY, index.digest, life)
        assert asked(memory) == [([IMAGE.digest], timedelta())]

    async def test_a_purge_goes_no_deeper_than_one_level(
        self, stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory
    ) -> None:
        """What is in an index stays, however deep: it is there by itself, and was not deleted."""
        await hold(stores, *TWO)
        inner = index_of([IMAGE])
        outer = index_of([inner])
        for manifest in (IMAGE, inner):
            await pushes.put(REPOSITORY, manifest, [], by=ME)
        life = await ended(stores, pushes, manifests, outer)
        memory.clock.now += OVER
        memory.messages.sent.clear()
        await purge.purge(REPOSITORY, outer.digest, life)
        assert asked(memory) == [([inner.digest], timedelta())]
        assert len(memory.keys("manifest|")) == 2
        assert len(memory.keys("edge|")) == 3

    async def test_a_chain_of_referrers_goes_one_after_the_other(
        self, stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory
    ) -> None:
        """Each is deleted, and can come back for as long as any other; a purge takes one step."""
        await hold(stores, *TWO)
        chain = [IMAGE]
        for _ in range(3):
            chain.append(image_of(TWO, subject=described_as(chain[-1])))
        for manifest in chain:
            await pushes.put(REPOSITORY, manifest, [], by=ME)
        memory.clock.now += SECOND
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        for left in (2, 1, 0, 0):
            memory.clock.now += OVER
            (deleted,) = await stores.deleted.page(REPOSITORY, "", 10)
            record = deleted.manifest
            assert record.digest == chain[3 - len(memory.keys("manifest|"))].digest
            await purge.purge(REPOSITORY, record.digest, record.life)
            assert len(memory.keys("manifest|")) == left
        assert memory.keys("deleted|") == memory.keys("edge|") == []

    async def test_it_is_asked_when_the_edges_are_gone_at_which_it_would_stop(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        memory: Memory,
        before: Before,
    ) -> None:
        await hold(stores, *TWO)
        life = await ended(stores, pushes, manifests, IMAGE)
        memory.clock.now += OVER
        memory.messages.sent.clear()

        async def look() -> None:
            assert memory.keys("edge|") == []

        before(memory.messages, "send", look)
        await purge.purge(REPOSITORY, IMAGE.digest, life)
        assert asked(memory) == [(DIGESTS, timedelta())]

    async def test_it_is_not_asked_for_what_the_next_life_uses(
        self, stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory
    ) -> None:
        await hold(stores, *TWO)
        life = await ended(stores, pushes, manifests, IMAGE)
        memory.messages.sent.clear()
        await purge.purge(REPOSITORY, IMAGE.digest, life, is_restored=True)
        assert asked(memory) == []
        assert memory.keys("edge|") == []

    @pytest.mark.parametrize("image", [IMAGE, LARGE], ids=["inline", "object"])
    @pytest.mark.parametrize("writes", range(6))
    async def test_who_dies_at_it_loses_no_blob(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        collection: Collection,
        memory: Memory,
        crash: Arm,
        writes: int,
        image: Manifest,
    ) -> None:
        await hold(stores, *TWO)
        life = await ended(stores, pushes, manifests, image)
        memory.clock.now += OVER
        memory.messages.sent.clear()
        revive = crash(memory, writes)
        try:
            await purge.purge(REPOSITORY, image.digest, life)
        except Crash:
            stores.bodies._bodies.clear()
        revive()
        await purge.purge(REPOSITORY, image.digest, life)
        await collect_all(memory, collection, memory.clock)
        assert links(memory) == []
        assert bytes_kept(memory) == []


class TestBuilds:
    @pytest.mark.parametrize("writes", range(8))
    async def test_the_collector_is_asked_for_all_that_it_was_to_use(
        self,
        stores: Stores,
        pushes: Pushes,
        collection: Collection,
        memory: Memory,
        crash: Arm,
        writes: int,
    ) -> None:
        await hold(stores, *MANY)
        image = image_of(MANY)
        revive = crash(memory, 7)
        with pytest.raises(Crash):
            await pushes.put(REPOSITORY, image, [], by=ME)
        revive()
        (build,) = memory.keys("build|")
        assert memory.keys("edge|")
        memory.clock.now += 2 * GRACE
        memory.messages.sent.clear()
        revive, life = crash(memory, writes), keys.last_part(build)
        try:
            await Builds(stores).end(REPOSITORY, image.digest, life)
        except Crash:
            stores.bodies._bodies.clear()
        revive()
        memory.clock.now += 2 * ages.L + SECOND
        await Builds(stores).end(REPOSITORY, image.digest, life)
        await collect_all(memory, collection, memory.clock)
        assert memory.keys("build|") == links(memory) == bytes_kept(memory) == []


class TestBlobs:
    async def test_the_collector_is_asked_before_the_link_goes_and_looks_later(
        self, stores: Stores, blobs: Blobs, memory: Memory, before: Before
    ) -> None:
        await hold(stores, *TWO)
        memory.messages.sent.clear()

        async def look() -> None:
            assert len(links(memory)) == 2

        before(memory.messages, "send", look)
        await blobs.delete(REPOSITORY, DIGESTS[0])
        assert asked(memory) == [([DIGESTS[0]], 2 * ages.L)]

    async def test_without_a_message_nothing_is_deleted(
        self, stores: Stores, blobs: Blobs, memory: Memory, before: Before
    ) -> None:
        await hold(stores, *TWO)

        async def fail() -> None:
            raise Unavailable("no queue")

        before(memory.messages, "send", fail)
        with pytest.raises(Unavailable):
            await blobs.delete(REPOSITORY, DIGESTS[0])
        assert len(links(memory)) == 2

    async def test_what_is_refused_is_no_message(
        self, stores: Stores, blobs: Blobs, pushes: Pushes, memory: Memory
    ) -> None:
        await hold(stores, *TWO)
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        memory.messages.sent.clear()
        with pytest.raises(Unsupported):
            await blobs.delete(REPOSITORY, DIGESTS[0])
        with pytest.raises(BlobUnknown):
            await blobs.delete(REPOSITORY, Digest.of(b"other"))
        assert memory.messages.sent == []

    @pytest.mark.parametrize("writes", range(3))
    async def test_who_dies_at_it_leaves_no_bytes_behind(
        self,
        stores: Stores,
        blobs: Blobs,
        collection: Collection,
        memory: Memory,
        crash: Arm,
        writes: int,
    ) -> None:
        await hold(stores, *TWO[:1])
        memory.messages.sent.clear()
        revive = crash(memory, writes)
        with suppress(Crash):
            await blobs.delete(REPOSITORY, DIGESTS[0])
        revive()
        await collect_all(memory, collection, memory.clock)
        assert (memory.kept() != {}) == (writes == 0)
