from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import pytest

from shared.errors import BlobUnknown
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.garbage.garbage import Garbage
from shared.services.garbage.leftovers import Leftovers
from shared.services.upkeep.errands import Upkeep
from shared.services.verification import healing as module
from shared.services.verification.healing import Fate, Healing, Page, Stage, Task
from shared.services.verification.verification import Verification
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.messages.errands import Errand, Kind
from shared.storage.origins import BLOB as KIND
from shared.storage.origins import Origin
from shared.storage.ports import Change, Delete, Insert, Row, Update
from shared.storage.rows.holdings import Content
from shared.storage.rows.records import Link
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.support.messages import addressed
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import (
    GRACE,
    LIFETIME,
    REPOSITORY,
    Before,
    Crash,
    hold,
    image_of,
    run_errands,
)
from tests.unit.services.content.test_uploads import part, shown

BLOB = blob(b"0123456789")
DIGEST = Digest.parse(BLOB.digest)
OTHER, THIRD = RepositoryName("other"), RepositoryName("third")


@pytest.fixture
def healing(stores: Stores) -> Healing:
    return Healing(stores)


def spoil(memory: Memory, name: str) -> None:
    """Let an object's bytes rot."""
    container = memory.objects._container
    assert container
    object.__setattr__(container.objects[name], "data", b"rotten")


def rows(memory: Memory) -> dict[str, Row]:
    return dict(memory.rows._tables[keys.BLOBS].get(keys.blob_partition(GENERATION, DIGEST), {}))


async def linked(stores: Stores, repository: RepositoryName = REPOSITORY) -> str:
    link = await stores.contents.link(repository, DIGEST)
    return link.object if link else ""


async def condemned(
    stores: Stores, memory: Memory, verification: Verification, *others: RepositoryName
) -> Task:
    for repository in (REPOSITORY, *others):
        await hold(stores, BLOB, repository=repository)
    name = await linked(stores)
    spoil(memory, name)
    assert (await verification.verify(name)).is_sound is False
    return Task(DIGEST, name, Stage.WITHDRAW)


async def run(healing: Healing, clock: Clock, task: Task | None) -> None:
    """Do a task and all that follow, each when it is time."""
    while task:
        clock.now += task.wait + timedelta(seconds=1)
        task = await healing.do(task)


async def test_sound_bytes_are_marked(
    stores: Stores, memory: Memory, verification: Verification, clock: Clock
) -> None:
    await hold(stores, BLOB)
    for _ in range(2):
        found = await verification.verify(await linked(stores))
        assert found.is_sound
        assert rows(memory)[keys.CONTENT].values["verified"] == clock()


async def test_a_read_that_goes_wrong_once_condemns_nothing(
    stores: Stores, memory: Memory, verification: Verification, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(stores, BLOB)
    read, reads = memory.objects.read, []

    async def garbled(name: str, start: int) -> AsyncGenerator[bytes]:
        reads.append(name)
        async for piece in read(name, start):
            yield piece if len(reads) > 1 else piece[:-1] + b"?"

    monkeypatch.setattr(memory.objects, "read", garbled)
    assert (await verification.verify(await linked(stores))).is_sound
    assert len(reads) == 2


async def test_an_object_without_its_rows_yet_is_looked_at_later(
    stores: Stores, verification: Verification, uploads: Uploads, memory: Memory, before: Before
) -> None:
    """The blob trigger fires before the upload has written a row."""
    found = []

    async def verify() -> None:
        assert memory.objects._container
        [name] = memory.objects._container.objects
        found.append(await verification.verify(name))

    before(memory.rows, "commit", verify)
    await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    assert found[0].is_sound is None
    assert found[0].again == timedelta(minutes=15)
    assert (await verification.verify(await linked(stores))).is_sound


async def test_bad_bytes_leave_service(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    blobs: Blobs,
    uploads: Uploads,
) -> None:
    task = await condemned(stores, memory, verification, OTHER)
    assert not await uploads.mount(THIRD, DIGEST, REPOSITORY)
    await healing.do(task)
    for repository in (REPOSITORY, OTHER):
        with pytest.raises(BlobUnknown):
            await blobs.find(repository, DIGEST)
    assert await stores.holdings.holders(DIGEST, "", 9) == [OTHER, REPOSITORY]


async def test_bytes_that_are_gone_are_bad(
    stores: Stores, memory: Memory, verification: Verification
) -> None:
    await hold(stores, BLOB)
    name = await linked(stores)
    await stores.discard(name)
    assert (await verification.verify(name)).is_sound is None


async def test_the_next_good_upload_is_shown_wherever_a_manifest_uses_the_blob(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    uploads: Uploads,
    pushes: Pushes,
    clock: Clock,
) -> None:
    await hold(stores, BLOB)
    await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
    task = await condemned(stores, memory, verification, OTHER)
    bad, task = task.bad, await healing.do(task) or task
    await uploads.commit(THIRD, uploads.start(), DIGEST, part(BLOB.content))
    assert await linked(stores) == ""
    for each in await healing.unfinished(DIGEST):
        await run(healing, clock, each)
    await run(healing, clock, task)
    for repository in (REPOSITORY, THIRD):
        assert await shown(stores, DIGEST, repository) == BLOB.content
    assert await linked(stores, OTHER) == ""
    assert keys.gone(bad) not in rows(memory)
    assert await healing.unfinished(DIGEST) == []
    assert await stores.objects.facts(bad) is None


async def test_what_was_deleted_stays_deleted(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    uploads: Uploads,
    pushes: Pushes,
    manifests: Manifests,
    blobs: Blobs,
    clock: Clock,
) -> None:
    """The holder is left, and edges that do not count, or name no link."""
    image = image_of([BLOB])
    await hold(stores, BLOB)
    await pushes.put(REPOSITORY, image, [], by=ME)
    await manifests.delete(REPOSITORY, image.digest, by=ME)
    await blobs.delete(REPOSITORY, DIGEST)
    sparse = [Insert(keys.edge(DIGEST, image.digest, "old"), {"names": ""})]
    await stores.contents.commit(REPOSITORY, sparse)
    await hold(stores, BLOB, repository=OTHER)
    bad = await linked(stores, OTHER)
    spoil(memory, bad)
    await verification.verify(bad)
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    for each in [Task(DIGEST, bad, Stage.WITHDRAW), *await healing.unfinished(DIGEST)]:
        await run(healing, clock, each)
    assert await linked(stores) == ""
    assert await shown(stores, DIGEST, OTHER) == BLOB.content


async def test_a_link_that_was_on_its_way_is_pointed_to_the_new_bytes(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    uploads: Uploads,
    clock: Clock,
) -> None:
    """It joined before the bytes were condemned, and comes after the first pass."""
    task = await condemned(stores, memory, verification, OTHER)
    bad = task.bad
    settle = await healing.do(task)
    late = Link(DIGEST, 10, bad, clock())
    await stores.contents.commit(OTHER, [Insert(keys.blob(DIGEST), late.values())])
    await uploads.commit(THIRD, uploads.start(), DIGEST, part(BLOB.content))
    assert settle
    assert settle.stage is Stage.SETTLE
    early = await healing.do(settle)
    assert early
    assert early.wait > timedelta()
    assert await linked(stores, OTHER) == bad
    await run(healing, clock, settle)
    assert await shown(stores, DIGEST, OTHER) == BLOB.content
    assert await stores.objects.facts(bad) is None


async def test_without_new_bytes_late_links_are_taken_and_the_note_stays(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    uploads: Uploads,
    pushes: Pushes,
    clock: Clock,
) -> None:
    """Healing is not forgotten: an upload a day later, whose process dies, has left the note."""
    await hold(stores, BLOB)
    await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
    task = await condemned(stores, memory, verification)
    await run(healing, clock, task)
    assert await linked(stores) == ""
    assert await stores.objects.facts(task.bad) is None
    assert await healing.unfinished(DIGEST) == []
    clock.move(days=1)
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    [heal] = await healing.unfinished(DIGEST)
    assert heal.stage is Stage.HEAL
    await run(healing, clock, heal)
    assert await shown(stores, DIGEST) == BLOB.content
    assert keys.gone(task.bad) not in rows(memory)


@pytest.mark.parametrize("stage", Stage)
async def test_a_task_that_comes_twice_or_late_takes_nothing_good(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    uploads: Uploads,
    clock: Clock,
    stage: Stage,
) -> None:
    task = await condemned(stores, memory, verification)
    await healing.do(task)
    await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    for _ in range(2):
        await run(healing, clock, Task(DIGEST, task.bad, stage))
    assert await shown(stores, DIGEST) == BLOB.content


async def test_it_goes_through_the_holders_in_pages(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    others = [RepositoryName(f"r{number}") for number in range(4)]
    task = await condemned(stores, memory, verification, *others)
    pages: list[Task] = []
    next_one: Task | None = task
    while next_one and next_one.stage is Stage.WITHDRAW:
        pages.append(next_one)
        next_one = await healing.do(next_one)
    assert [page.after for page in pages] == ["", keys.holder(others[1]), keys.holder(others[3])]
    for repository in (REPOSITORY, *others):
        assert await linked(stores, repository) == ""


async def test_a_push_in_the_midst_of_the_first_pass_does_not_keep_the_link(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    pushes: Pushes,
    before: Before,
) -> None:
    task = await condemned(stores, memory, verification)
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME))
    await healing.do(task)
    assert await linked(stores) == ""


@pytest.mark.parametrize("is_removed", [False, True], ids=["bad object kept", "removed"])
async def test_the_last_holder_takes_the_note_with_it(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    clock: Clock,
    is_removed: bool,
) -> None:
    task = await condemned(stores, memory, verification)
    settle = await healing.do(task)
    if is_removed:
        await run(healing, clock, settle)
    clock.move(days=9)
    await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
    assert keys.CONTENT not in rows(memory)
    await run(healing, clock, settle)
    assert rows(memory) == {}
    assert memory.objects._container
    assert memory.objects._container.objects == {}


async def test_what_nobody_holds_any_more_is_removed_and_no_repository_named(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    upkeep: Upkeep,
    clock: Clock,
) -> None:
    task = await condemned(stores, memory, verification)
    await healing.do(task)
    clock.move(days=9)
    await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
    assert rows(memory)
    memory.messages.sent.clear()
    await healing.ask(task)
    asked = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.UPKEEP]
    assert [Errand.read(body.encode()).repository for body in asked] == [""]
    for _ in range(3):
        clock.move(days=1)
        await run_errands(memory, upkeep)
    assert rows(memory) == {}


async def test_bad_bytes_are_not_removed_before_their_time(
    stores: Stores, memory: Memory, verification: Verification, clock: Clock
) -> None:
    task = await condemned(stores, memory, verification)
    clock.move(days=9)
    await Leftovers(stores, LIFETIME).look_at(task.bad)
    await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
    assert await stores.objects.facts(task.bad)


async def test_verifying_bad_bytes_twice_condemns_them_once(
    stores: Stores, memory: Memory, verification: Verification
) -> None:
    task = await condemned(stores, memory, verification)
    before = rows(memory)
    again = await verification.verify(task.bad)
    assert again.is_sound is False
    assert rows(memory) == before


async def test_bytes_replaced_while_they_are_hashed_are_not_condemned(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    uploads: Uploads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = await condemned(stores, memory, verification)
    read = memory.objects.read

    async def replaced(name: str, start: int) -> AsyncGenerator[bytes]:
        monkeypatch.undo()
        await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
        async for piece in read(name, start):
            yield piece

    monkeypatch.setattr(memory.objects, "read", replaced)
    assert (await verification.verify(task.bad)).is_sound is None
    assert await shown(stores, DIGEST, OTHER) == BLOB.content
    assert (await verification.verify(await linked(stores, OTHER))).is_sound


def waiting(memory: Memory) -> list[tuple[Errand, int]]:
    """Give the errands of healing that have been sent, and how long each waits."""
    errands = [
        (Errand.read(body.encode()), delay)
        for queue, body, delay in addressed(memory.messages.sent)
        if queue == keys.UPKEEP
    ]
    return [(errand, delay) for errand, delay in errands if errand.kind is Kind.HEAL]


async def run_all(memory: Memory, upkeep: Upkeep, clock: Clock) -> int:
    """Run all errands of healing, each when it is time, and those they lead to; count them."""
    count = 0
    while found := waiting(memory):
        memory.messages.sent.clear()
        for errand, delay in sorted(found, key=lambda it: it[1]):
            clock.now += timedelta(seconds=delay)
            await upkeep.run(errand)
            count += 1
        assert count < 50
    return count


class TestMessages:
    @pytest.fixture(autouse=True)
    async def used(self, stores: Stores, pushes: Pushes) -> None:
        await hold(stores, BLOB)
        await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)

    async def test_who_condemns_sends_a_message_first(
        self,
        stores: Stores,
        memory: Memory,
        verification: Verification,
        upkeep: Upkeep,
        clock: Clock,
        before: Before,
    ) -> None:
        async def look() -> None:
            [(errand, delay)] = waiting(memory)
            assert errand.fields == {"digest": str(DIGEST)}
            assert delay == 1

        name = await linked(stores)
        spoil(memory, name)
        before(memory.rows, "commit", look)
        await verification.verify(name)
        await run_all(memory, upkeep, clock)
        assert await linked(stores) == ""
        assert await stores.objects.facts(name) is None

    async def test_so_does_who_finds_it_condemned(
        self, stores: Stores, memory: Memory, verification: Verification
    ) -> None:
        task = await condemned(stores, memory, verification)
        memory.messages.sent.clear()
        await verification.verify(task.bad)
        assert len(waiting(memory)) == 1

    async def test_a_message_that_is_early_comes_once_more(
        self, memory: Memory, upkeep: Upkeep, stores: Stores
    ) -> None:
        """The bytes were not condemned, nor replaced, in the second before it was seen."""
        await stores.errands.announce_healing(REPOSITORY, DIGEST)
        for waits in ([1], [200], []):
            found = waiting(memory)
            assert [delay for _, delay in found] == waits
            memory.messages.sent.clear()
            for errand, _ in found:
                await upkeep.run(errand)

    @pytest.mark.parametrize("passed", [0, 1], ids=["in the midst of it", "a day later"])
    async def test_who_replaces_bad_bytes_sends_a_message_first(
        self,
        stores: Stores,
        memory: Memory,
        verification: Verification,
        uploads: Uploads,
        upkeep: Upkeep,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
        passed: int,
    ) -> None:
        """Its process dies right after; nobody comes by but upkeep."""
        task = await condemned(stores, memory, verification)
        if passed:
            await run_all(memory, upkeep, clock)
            clock.move(days=1)
        memory.messages.sent.clear()
        commit = memory.rows.commit

        async def die(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
            etags = await commit(table, partition, changes)
            if any(change.key == keys.CONTENT for change in changes):
                raise Crash
            return etags

        monkeypatch.setattr(memory.rows, "commit", die)
        with pytest.raises(Crash):
            await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
        monkeypatch.undo()
        assert waiting(memory)
        await run_all(memory, upkeep, clock)
        assert await shown(stores, DIGEST) == BLOB.content
        assert await linked(stores, OTHER) == ""
        assert keys.gone(task.bad) not in rows(memory)

    async def test_a_message_that_comes_before_the_good_bytes_does_not_miss_them(
        self,
        stores: Stores,
        memory: Memory,
        verification: Verification,
        uploads: Uploads,
        upkeep: Upkeep,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It finds bad bytes that are yet to be removed, and begins with that."""
        await condemned(stores, memory, verification)
        memory.messages.sent.clear()
        commit = memory.rows.commit

        async def wait(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
            if isinstance(changes[0], Update) and changes[0].key == keys.CONTENT:
                monkeypatch.undo()
                [(errand, _)] = waiting(memory)
                memory.messages.sent.clear()
                await upkeep.run(errand)
            return await commit(table, partition, changes)

        monkeypatch.setattr(memory.rows, "commit", wait)
        await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
        await run_all(memory, upkeep, clock)
        assert await shown(stores, DIGEST) == BLOB.content

    async def test_where_nothing_is_bad_nothing_is_sent(
        self, memory: Memory, uploads: Uploads
    ) -> None:
        await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
        assert waiting(memory) == []

    async def test_each_page_is_a_message_with_its_position(
        self,
        stores: Stores,
        memory: Memory,
        verification: Verification,
        uploads: Uploads,
        upkeep: Upkeep,
        pushes: Pushes,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(module, "_PAGE", 2)
        others = [RepositoryName(f"r{number}") for number in range(4)]
        for repository in others:
            await hold(stores, BLOB, repository=repository)
            await pushes.put(repository, image_of([BLOB]), [], by=ME)
        memory.messages.sent.clear()
        await condemned(stores, memory, verification)
        await uploads.commit(THIRD, uploads.start(), DIGEST, part(BLOB.content))
        seen = set()
        while found := waiting(memory):
            memory.messages.sent.clear()
            for errand, delay in found:
                clock.now += timedelta(seconds=delay)
                await upkeep.run(errand)
                seen.add((errand.text("stage"), errand.text("holder")))
        positions = ["", *(keys.holder(it) for it in (others[1], others[3], THIRD))]
        assert seen == {("", ""), *((stage, at) for stage in Stage for at in positions)}
        for repository in (REPOSITORY, *others):
            assert await shown(stores, DIGEST, repository) == BLOB.content

    async def test_the_collector_sends_one_where_it_meets_bad_bytes(
        self, stores: Stores, memory: Memory, verification: Verification, clock: Clock
    ) -> None:
        await condemned(stores, memory, verification, OTHER)
        memory.messages.sent.clear()
        clock.move(days=9)
        await Garbage(stores, GRACE, is_dry=True).collect(OTHER, DIGEST)
        assert waiting(memory) == []
        await Garbage(stores, GRACE).collect(OTHER, DIGEST)
        assert len(waiting(memory)) == 1


class TestDryRun:
    async def test_it_tells_what_would_be_done_and_does_nothing(
        self,
        stores: Stores,
        memory: Memory,
        verification: Verification,
        uploads: Uploads,
        pushes: Pushes,
    ) -> None:
        await hold(stores, BLOB)
        await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
        task = await condemned(stores, memory, verification, OTHER)
        await uploads.commit(THIRD, uploads.start(), DIGEST, part(BLOB.content))
        kept, sent = memory.kept(), list(memory.messages.sent)
        dry = Healing(stores, is_dry=True)
        assert {one.stage: await dry.page(one) for one in await dry.unfinished(DIGEST)} == {
            Stage.WITHDRAW: Page(
                {OTHER: Fate.WITHDRAWN, REPOSITORY: Fate.WITHDRAWN, THIRD: Fate.LEFT}
            ),
            Stage.HEAL: Page({OTHER: Fate.LEFT, REPOSITORY: Fate.HEALED, THIRD: Fate.LEFT}),
        }
        settle = Task(DIGEST, task.bad, Stage.SETTLE)
        assert await dry.page(settle) == Page(
            {OTHER: Fate.POINTED, REPOSITORY: Fate.POINTED, THIRD: Fate.LEFT}, task.bad
        )
        assert memory.kept() == kept
        assert memory.messages.sent == sent

    async def test_it_tells_what_is_done(
        self,
        stores: Stores,
        memory: Memory,
        verification: Verification,
        uploads: Uploads,
        pushes: Pushes,
        healing: Healing,
        clock: Clock,
    ) -> None:
        await hold(stores, BLOB)
        await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
        task = await condemned(stores, memory, verification, OTHER)
        withdrawn = await healing.page(task)
        assert withdrawn.fates == {OTHER: Fate.WITHDRAWN, REPOSITORY: Fate.WITHDRAWN}
        late = Link(DIGEST, 10, task.bad, clock())
        await stores.contents.commit(OTHER, [Insert(keys.blob(DIGEST), late.values())])
        await uploads.commit(THIRD, uploads.start(), DIGEST, part(BLOB.content))
        clock.now += 3 * L
        assert withdrawn.task
        settled = await healing.page(withdrawn.task)
        assert settled.fates == {OTHER: Fate.POINTED, REPOSITORY: Fate.LEFT, THIRD: Fate.LEFT}
        assert settled.removed == task.bad
        healed = await healing.page(Task(DIGEST, task.bad, Stage.HEAL))
        assert healed.fates == {OTHER: Fate.LEFT, REPOSITORY: Fate.HEALED, THIRD: Fate.LEFT}


async def test_when_bytes_were_last_verified_is_said_of_those_that_were(
    stores: Stores, memory: Memory, verification: Verification, uploads: Uploads, clock: Clock
) -> None:
    task = await condemned(stores, memory, verification)
    assert rows(memory)[keys.CONTENT].values["verified"] == clock()
    clock.move(seconds=9)
    await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    assert not rows(memory)[keys.CONTENT].values["verified"]
    assert await linked(stores) not in ("", task.bad)
    await verification.verify(await linked(stores))
    assert rows(memory)[keys.CONTENT].values["verified"] == clock()


async def test_a_collector_that_sleeps_before_it_forgets_leaves_a_later_note_alone(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    healing: Healing,
    clock: Clock,
    before: Before,
) -> None:
    """Meanwhile another has, a token played again makes the object anew, and that is condemned."""
    await hold(stores, BLOB)
    name = await linked(stores)
    link = keys.blob(DIGEST)
    await stores.contents.commit(REPOSITORY, [Delete(link)])
    clock.move(hours=1)

    async def meanwhile() -> None:
        await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
        about = Origin(KIND, clock(), "another call", REPOSITORY, DIGEST)
        etag = await stores.objects.put(name, BLOB.content, about.metadata())
        await stores.holdings.offer(DIGEST, REPOSITORY, Content(name, etag, BLOB.size))
        again = Link(DIGEST, BLOB.size, name, clock())
        await stores.contents.commit(REPOSITORY, [Insert(link, again.values())])
        spoil(memory, name)
        assert (await verification.verify(name)).is_sound is False

    before(memory.rows, "commit", meanwhile, at=2)  # the first one takes the last holder
    await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)

    (task, *_) = await healing.unfinished(DIGEST)
    await run(healing, clock, task)
    assert await stores.contents.link(REPOSITORY, DIGEST) is None
