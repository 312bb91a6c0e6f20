"""Uploads and mounts that meet others on their way into service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from shared.errors import BlobUploadUnknown, DigestInvalid, Unavailable
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.upload import Upload
from shared.services.content.blobs import Blobs
from shared.services.content.uploads import Uploads
from shared.services.garbage.garbage import Garbage
from shared.services.turns.turns import Turns
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.memory.objects import MemoryObjects
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Change, Delete, Update
from shared.storage.rows.holdings import BAD
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.images import blob
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import GRACE, REPOSITORY, Before, hold
from tests.unit.services.content.test_uploads import appended, objects, part, shown, tidy

OTHER = RepositoryName("other")
ONE = Digest.of(b"one")


async def bytes_of(stores: Stores, digest: Digest, repository: RepositoryName) -> bytes:
    return await shown(stores, digest, repository)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let others run before every commit, as over a network."""
    commit = MemoryRows.commit

    async def late(self: MemoryRows, table: str, partition: str, changes: Sequence[Change]) -> None:
        await asyncio.sleep(0)
        await commit(self, table, partition, changes)

    monkeypatch.setattr(MemoryRows, "commit", late)


@pytest.mark.parametrize("place", ["one repository", "many repositories"])
async def test_a_crowd_uploads_one_blob_and_nobody_fails(
    stores: Stores, uploads: Uploads, memory: Memory, slow: None, place: str
) -> None:
    started = [await appended(uploads, uploads.start(), b"one") for _ in range(64)]
    names = [
        REPOSITORY if place == "one repository" else RepositoryName(f"r{number}")
        for number in range(64)
    ]
    await asyncio.gather(
        *(
            uploads.commit(name, upload, ONE, part())
            for name, upload in zip(names, started, strict=True)
        )
    )
    for name in set(names):
        assert await bytes_of(stores, ONE, name) == b"one"
    await tidy(stores, memory)
    assert len(objects(memory)) == 1


async def test_a_crowd_mounts_one_blob_and_nobody_fails(
    stores: Stores, uploads: Uploads, slow: None
) -> None:
    await hold(stores, blob(b"one"))
    names = [RepositoryName(f"r{number}") for number in range(64)]
    mounted = await asyncio.gather(*(uploads.mount(name, ONE, REPOSITORY) for name in names))
    assert all(mounted)
    for name in names:
        assert await bytes_of(stores, ONE, name) == b"one"


async def test_a_link_that_others_use_all_the_time_starves_no_upload(
    stores: Stores, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(stores, blob(b"one"))
    commit = MemoryRows.commit

    async def busy(self: MemoryRows, table: str, partition: str, changes: Sequence[Change]) -> None:
        if table == keys.CONTENTS:
            await commit(self, table, partition, [Update(keys.blob(ONE), {"pushed": True})])
        await commit(self, table, partition, changes)

    monkeypatch.setattr(MemoryRows, "commit", busy)
    await uploads.commit(REPOSITORY, uploads.start(), ONE, part(b"one"))


class TestWhoMadeTheObject:
    """Only the call that made an object may put it into service."""

    async def test_one_that_was_made_and_never_hashed_is_taken_up_by_nobody(
        self, stores: Stores, uploads: Uploads, memory: Memory, before: Before
    ) -> None:
        """A1: bytes that were never hashed became the content of a digest."""
        good = Digest.of(b"good", "sha512")
        upload = await appended(uploads, uploads.start(), b"bad!")

        async def second() -> None:
            with pytest.raises(BlobUploadUnknown):
                await uploads.commit(REPOSITORY, upload, good, part())

        with pytest.raises(DigestInvalid):
            await uploads.commit(REPOSITORY, upload, good, part())
        await second()
        assert await stores.contents.link(REPOSITORY, good) is None
        await uploads.commit(REPOSITORY, uploads.start(), good, part(b"good"))
        assert await bytes_of(stores, good, REPOSITORY) == b"good"

    async def test_one_that_another_call_has_made_meanwhile_is_not_taken_up(
        self, stores: Stores, uploads: Uploads, memory: Memory, before: Before
    ) -> None:
        upload = await appended(uploads, uploads.start(), b"one")
        before(memory.rows, "commit", lambda: self.refused(uploads, upload))
        await uploads.commit(REPOSITORY, upload, ONE, part())
        assert await bytes_of(stores, ONE, REPOSITORY) == b"one"

    async def refused(self, uploads: Uploads, upload: Upload) -> None:
        with pytest.raises(BlobUploadUnknown):
            await uploads.commit(REPOSITORY, upload, ONE, part())

    async def test_a_call_whose_first_try_made_it_goes_on(
        self, stores: Stores, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = MemoryObjects.commit

        async def twice(self: MemoryObjects, *arguments: object) -> str:
            await commit(self, *arguments)  # type: ignore[arg-type]
            return await commit(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(MemoryObjects, "commit", twice)
        await uploads.commit(REPOSITORY, uploads.start(), ONE, part(b"one"))
        assert await bytes_of(stores, ONE, REPOSITORY) == b"one"

    async def test_two_that_continue_one_session_make_their_own(
        self, stores: Stores, uploads: Uploads
    ) -> None:
        upload = uploads.start()
        one, two = [await appended(uploads, upload, text) for text in (b"one", b"two")]
        await uploads.commit(REPOSITORY, one, ONE, part())
        await uploads.commit(REPOSITORY, two, Digest.of(b"two"), part())
        assert await bytes_of(stores, ONE, REPOSITORY) == b"one"
        assert await bytes_of(stores, Digest.of(b"two"), REPOSITORY) == b"two"

    async def test_two_that_fork_later_do_not_serve_one_anothers_bytes(
        self, stores: Stores, uploads: Uploads
    ) -> None:
        upload = await appended(uploads, uploads.start(), b"-")
        one, two = [await appended(uploads, upload, text) for text in (b"one", b"two")]
        await uploads.commit(REPOSITORY, one, Digest.of(b"-one"), part())
        with pytest.raises(BlobUploadUnknown):
            await uploads.commit(REPOSITORY, two, Digest.of(b"-two"), part())
        assert await stores.contents.link(REPOSITORY, Digest.of(b"-two")) is None

    async def test_a_repeated_put_of_known_content_is_created_while_that_is_shown(
        self, stores: Stores, uploads: Uploads, memory: Memory, blobs: Blobs
    ) -> None:
        """Its own object was of no use, and has been removed; its blocks went with it."""
        await hold(stores, blob(b"one"))
        upload = await appended(uploads, uploads.start(), b"one")
        await uploads.commit(REPOSITORY, upload, ONE, part())
        await tidy(stores, memory)
        await uploads.commit(REPOSITORY, upload, ONE, part())
        await blobs.delete(REPOSITORY, ONE)
        with pytest.raises(BlobUploadUnknown):
            await uploads.commit(REPOSITORY, upload, ONE, part())

    async def test_a_repeated_put_does_not_show_bad_bytes(
        self, stores: Stores, uploads: Uploads, memory: Memory
    ) -> None:
        upload = await appended(uploads, uploads.start(), b"one")
        await uploads.commit(REPOSITORY, upload, ONE, part())
        link = await stores.contents.link(REPOSITORY, ONE)
        assert link
        await memory.rows.commit(
            keys.BLOBS,
            keys.blob_partition(GENERATION, ONE),
            [Update(keys.CONTENT, {"state": BAD}), Delete(keys.good(link.object))],
        )
        with pytest.raises(BlobUploadUnknown):
            await uploads.commit(REPOSITORY, upload, ONE, part())


class TestTime:
    """What takes too long is done again, or given up: nobody relies on it any more."""

    @pytest.fixture
    def stores(self, stores: Stores, clock: Clock) -> Stores:
        object.__setattr__(stores, "ticks", clock.ticks)
        return stores

    async def test_an_object_that_was_made_too_long_ago_comes_into_no_service(
        self, stores: Stores, uploads: Uploads, memory: Memory, before: Before, clock: Clock
    ) -> None:
        upload = await appended(uploads, uploads.start(), b"one")
        read = MemoryObjects.read

        async def slow(self: MemoryObjects, *arguments: object) -> AsyncIterator[bytes]:
            clock.now += L
            async for piece in read(self, *arguments):  # type: ignore[arg-type]
                yield piece

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryObjects, "read", slow)
            with pytest.raises(Unavailable, match="took too long"):
                await uploads.commit(REPOSITORY, upload, Digest.of(b"one", "sha512"), part())
        assert memory.rows._tables[keys.BLOBS] == {}

    async def test_a_link_that_is_late_is_joined_again(
        self, stores: Stores, uploads: Uploads, memory: Memory, before: Before, clock: Clock
    ) -> None:
        """While a mount stalls the source is deleted and collected: it finds nothing to show."""
        await hold(stores, blob(b"one"))
        calls = 0
        join = stores.holdings.join

        async def stalled(*arguments: object, **options: object) -> bool:
            nonlocal calls
            calls += 1
            joined = await join(*arguments, **options)  # type: ignore[arg-type]
            if calls == 1:
                await self.lose(stores, clock)
            return joined

        object.__setattr__(stores.holdings, "join", stalled)
        assert not await uploads.mount(OTHER, ONE, REPOSITORY)
        assert await stores.contents.link(OTHER, ONE) is None

    async def lose(self, stores: Stores, clock: Clock) -> None:
        await Blobs(stores, GRACE, 60, Turns(2, 0.01)).delete(REPOSITORY, ONE)
        clock.now += 3 * L
        garbage = Garbage(stores, GRACE)
        for name in (REPOSITORY, OTHER):
            await garbage.collect(name, ONE)

    async def test_a_holder_that_has_just_joined_is_left_alone_at_any_grace_period(
        self, stores: Stores, uploads: Uploads, memory: Memory, before: Before, clock: Clock
    ) -> None:
        """A deletion, a join, the collector, and then the link."""
        await hold(stores, blob(b"one"))
        await Blobs(stores, GRACE, 60, Turns(2, 0.01)).delete(REPOSITORY, ONE)
        clock.now += 3 * L

        async def collect() -> None:
            collected = await Garbage(stores, timedelta(seconds=1)).collect(REPOSITORY, ONE)
            assert keys.holder(REPOSITORY) not in collected.taken
            assert collected.again == 2 * L

        commit, made = memory.rows.commit, 0

        async def between(table: str, partition: str, changes: Sequence[Change]) -> None:
            nonlocal made
            if table == keys.CONTENTS:
                made += 1
                await collect()
            await commit(table, partition, changes)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory.rows, "commit", between)
            await uploads.commit(REPOSITORY, uploads.start(), ONE, part(b"one"))
        assert made == 1
        assert await bytes_of(stores, ONE, REPOSITORY) == b"one"


class TestMounts:
    async def test_what_decides_is_the_source_s_own_link(
        self, stores: Stores, uploads: Uploads, blobs: Blobs
    ) -> None:
        """The repository is among the holders still, and shows the blob no more."""
        await hold(stores, blob(b"one"))
        await blobs.delete(REPOSITORY, ONE)
        assert await stores.holdings.holders(ONE, "", 9) == [REPOSITORY]
        assert not await uploads.discover(OTHER, ONE, lambda _: True)
        assert not await uploads.mount(OTHER, ONE, REPOSITORY)

    async def test_only_what_the_caller_may_pull_is_discovered(
        self, stores: Stores, uploads: Uploads
    ) -> None:
        await hold(stores, blob(b"one"))
        assert not await uploads.discover(OTHER, ONE, lambda _: False)
        assert await uploads.discover(OTHER, ONE, lambda name: name == REPOSITORY)

    async def test_few_of_the_holders_that_may_be_pulled_from_are_tried(
        self, stores: Stores, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [RepositoryName(f"r{number:02}") for number in range(40)]
        for name in names:
            await hold(stores, blob(b"one"), repository=name)
        tried: list[RepositoryName] = []

        async def mount(_: object, __: object, ___: object, source: RepositoryName) -> bool:
            tried.append(source)
            return False

        monkeypatch.setattr(Uploads, "mount", mount)
        assert not await uploads.discover(OTHER, ONE, lambda name: name >= "r20")
        assert tried == names[20:23]

    async def test_a_blob_whose_object_has_been_replaced_is_not_mounted_by_an_old_link(
        self, stores: Stores, uploads: Uploads, memory: Memory
    ) -> None:
        await hold(stores, blob(b"one"))
        link = await stores.contents.link(REPOSITORY, ONE)
        assert link
        partition = keys.blob_partition(GENERATION, ONE)
        await memory.rows.commit(keys.BLOBS, partition, [Delete(keys.good(link.object))])
        assert not await uploads.mount(OTHER, ONE, REPOSITORY)


async def test_a_link_that_names_another_object_is_changed_to_what_was_joined(
    stores: Stores, uploads: Uploads
) -> None:
    await hold(stores, blob(b"one"))
    link = await stores.contents.link(REPOSITORY, ONE)
    assert link
    other = keys.object_name(GENERATION, "0" * 32)
    await stores.contents.commit(REPOSITORY, [Update(keys.blob(ONE), {"object": other})])
    await uploads.commit(REPOSITORY, uploads.start(), ONE, part(b"one"))
    again = await stores.contents.link(REPOSITORY, ONE)
    assert again
    assert again.object == link.object
