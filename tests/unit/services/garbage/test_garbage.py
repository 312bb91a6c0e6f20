from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.garbage import leftovers as leftovers_module
from shared.services.garbage.garbage import LONGEST_WAIT, Collected, Garbage
from shared.services.garbage.leftovers import Leftovers, Looked
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import Insert
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock, Ids
from tests.support.images import blob
from tests.support.pauses import no_pause
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import GRACE, LIFETIME, REPOSITORY, Crash, hold, image_of
from tests.unit.services.content.test_uploads import appended, part

BLOB = blob(b"0123456789")
DIGEST = Digest.parse(BLOB.digest)
OTHER = RepositoryName("other")
MINUTES = timedelta(minutes=15)


@pytest.fixture
def garbage(stores: Stores) -> Garbage:
    return Garbage(stores, GRACE)


@pytest.fixture
def leftovers(stores: Stores) -> Leftovers:
    return Leftovers(stores, LIFETIME)


def objects(memory: Memory) -> list[str]:
    assert memory.objects._container
    return [*memory.objects._container.objects]


class TestCollecting:
    async def test_what_was_used_lately_says_when_to_come_again(
        self, stores: Stores, garbage: Garbage, clock: Clock
    ) -> None:
        await hold(stores, BLOB)
        clock.now += GRACE

        assert await garbage.collect(REPOSITORY, DIGEST) == Collected(again=GRACE / 2)
        assert await stores.contents.link(REPOSITORY, DIGEST)

    async def test_nobody_waits_for_longer_than_a_message_can(
        self, stores: Stores, clock: Clock
    ) -> None:
        garbage = Garbage(stores, timedelta(days=30))
        await hold(stores, BLOB)

        waits = []
        while again := (await garbage.collect(REPOSITORY, DIGEST)).again:
            waits.append(again)
            clock.now += again + timedelta(seconds=1)

        assert max(waits) == LONGEST_WAIT
        assert len(waits) == 7
        assert await stores.contents.link(REPOSITORY, DIGEST) is None

    async def test_what_is_not_used_goes_with_its_bytes(
        self, stores: Stores, garbage: Garbage, memory: Memory, clock: Clock
    ) -> None:
        await hold(stores, BLOB)
        clock.now += 2 * GRACE

        collected = await garbage.collect(REPOSITORY, DIGEST)

        assert collected.again is None
        assert keys.blob(DIGEST) in collected.taken
        assert objects(memory) == []
        assert memory.rows._tables[keys.BLOBS][keys.blob_partition(GENERATION, DIGEST)] == {}
        assert await garbage.collect(REPOSITORY, DIGEST) == Collected()

    async def test_a_note_of_an_earlier_object_of_the_same_name_is_in_nobody_s_way(
        self, stores: Stores, garbage: Garbage, clock: Clock, memory: Memory
    ) -> None:
        await hold(stores, BLOB)
        row = await stores.holdings.content(DIGEST)
        assert row
        note = keys.gone(str(row.values["object"]))
        await stores.holdings._commit(DIGEST, [Insert(note, {"etag": "an earlier one"})])
        clock.now += 2 * GRACE

        await garbage.collect(REPOSITORY, DIGEST)

        assert await stores.holdings.content(DIGEST) is None
        assert objects(memory) == []

    async def test_a_dry_run_says_the_same_and_changes_nothing(
        self, stores: Stores, garbage: Garbage, memory: Memory, clock: Clock
    ) -> None:
        await hold(stores, BLOB)
        await hold(stores, BLOB, repository=OTHER)
        for repository in (REPOSITORY, OTHER):
            clock.now += 2 * GRACE
            kept = memory.kept()

            would = await Garbage(stores, GRACE, is_dry=True).collect(repository, DIGEST)

            assert memory.kept() == kept
            assert would == await garbage.collect(repository, DIGEST)

    async def test_a_blob_that_a_manifest_uses_stays(
        self, stores: Stores, garbage: Garbage, pushes: Pushes, clock: Clock
    ) -> None:
        await hold(stores, BLOB)
        await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
        clock.now += 9 * GRACE

        assert await garbage.collect(REPOSITORY, DIGEST) == Collected()
        assert await stores.contents.link(REPOSITORY, DIGEST)

    async def test_nobody_waits_for_a_blob_that_is_in_use_however_lately(
        self, stores: Stores, garbage: Garbage, pushes: Pushes
    ) -> None:
        """Who takes the last edge asks again; until then each look would be for nothing."""
        await hold(stores, BLOB)
        await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)

        assert await garbage.collect(REPOSITORY, DIGEST) == Collected()

    async def test_a_holder_without_a_link_is_left_alone_while_it_is_young(
        self, stores: Stores, garbage: Garbage, clock: Clock
    ) -> None:
        await hold(stores, BLOB)
        link = await stores.contents.link(REPOSITORY, DIGEST)
        assert link
        await stores.holdings.join(DIGEST, OTHER, link.object)

        assert (await garbage.collect(OTHER, DIGEST)).again == 2 * L
        clock.now += 2 * L + timedelta(seconds=1)
        assert (await garbage.collect(OTHER, DIGEST)).taken == (keys.holder(OTHER),)
        assert await stores.holdings.holders(DIGEST, "", 9) == [REPOSITORY]


class TestLeftovers:
    async def test_what_died_after_its_object_is_removed_when_it_is_old_enough(
        self, stores: Stores, uploads: Uploads, leftovers: Leftovers, memory: Memory, clock: Clock
    ) -> None:
        upload = await appended(uploads, uploads.start(), BLOB.content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory.rows, "commit", _die)
            with pytest.raises(Crash):
                await uploads.commit(REPOSITORY, upload, DIGEST, part())
        [name] = objects(memory)

        clock.now += MINUTES - timedelta(seconds=1)
        assert await leftovers.look_at(name) == Looked(again=timedelta(seconds=1))
        clock.now += timedelta(seconds=1)
        assert await Leftovers(stores, LIFETIME, is_dry=True).look_at(name) == Looked(True)
        assert objects(memory) == [name]
        assert await leftovers.look_at(name) == Looked(True)
        assert objects(memory) == []
        assert await leftovers.look_at(name) == Looked()

    async def test_what_is_used_stays(
        self,
        stores: Stores,
        leftovers: Leftovers,
        pushes: Pushes,
        manifests: Manifests,
        memory: Memory,
        clock: Clock,
    ) -> None:
        await hold(stores, BLOB)
        large = image_of([BLOB], annotations={"": "x" * 300_000})
        await pushes.put(REPOSITORY, large, [], by=ME)
        clock.now += 9 * GRACE
        for name in objects(memory):
            assert await leftovers.look_at(name) == Looked()
        assert len(objects(memory)) == 2

    async def test_a_manifest_s_body_that_nothing_names_is_removed(
        self, stores: Stores, leftovers: Leftovers, memory: Memory, clock: Clock
    ) -> None:
        about = Origin(MANIFEST, clock(), "call", REPOSITORY, DIGEST, "a/b")
        name = keys.object_name(stores.generation, stores.new_id())
        await stores.objects.put(name, b"{}", about.metadata())
        clock.now += MINUTES

        assert await leftovers.look_at(name) == Looked(True)
        assert objects(memory) == []

    async def test_the_mark_of_a_cancellation_stays_as_long_as_its_tokens(
        self, uploads: Uploads, leftovers: Leftovers, memory: Memory, clock: Clock
    ) -> None:
        upload = await appended(uploads, uploads.start(), b"x")
        await uploads.cancel(REPOSITORY, upload)
        [name] = objects(memory)

        assert (await leftovers.look_at(name)).again == LIFETIME
        clock.now += LIFETIME
        assert await leftovers.look_at(name) == Looked(True)

    async def test_the_sweep_goes_through_all_objects_in_pages(
        self,
        stores: Stores,
        memory: Memory,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(leftovers_module, "_PAGE", 2)
        about = Origin(MANIFEST, clock(), "call", REPOSITORY, DIGEST, "a/b")
        unused = [keys.object_name(stores.generation, stores.new_id()) for _ in range(3)]
        for name in unused:
            await stores.objects.put(name, b"{}", about.metadata())
        await hold(stores, BLOB)
        await stores.objects.put("other/x", b"{}", about.metadata())
        clock.now += MINUTES

        for is_dry in (True, False):
            sweep = Leftovers(stores, LIFETIME, is_dry=is_dry).sweep
            swept = await sweep()
            removed = [*swept.removed]
            while swept.position:
                swept = await sweep(swept.position)
                removed += swept.removed
            assert removed == unused

        assert len(objects(memory)) == 2

    async def test_an_object_of_another_registry_is_none_of_ours(
        self, stores: Stores, memory: Memory, clock: Clock
    ) -> None:
        """Two live generations in one container, with one digest."""
        other = Stores.over(
            memory.rows,
            memory.objects,
            memory.messages,
            "h" * 32,
            beside=memory.beside,
            bodies=stores.bodies,
            clock=clock,
            new_id=Ids(),
            pause=no_pause,
        )
        await hold(stores, BLOB)
        await hold(other, BLOB)
        clock.now += 9 * GRACE
        [theirs] = [name for name in objects(memory) if name.startswith("h")]

        with pytest.raises(ValueError, match="is of another registry"):
            await Leftovers(stores, LIFETIME).look_at(theirs)
        await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)

        assert objects(memory) == [theirs]
        assert await other.contents.link(REPOSITORY, DIGEST)


async def _die(*_: object) -> None:
    raise Crash
