from datetime import timedelta

import pytest

from shared.errors import BlobUnknown
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.upkeep import healing as module
from shared.services.upkeep.garbage import Garbage
from shared.services.upkeep.healing import Healing, Stage, Task
from shared.services.upkeep.leftovers import Leftovers
from shared.services.upkeep.verification import Verification
from shared.storage import keys
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Insert, Row
from shared.storage.rows.records import Link
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import GRACE, LIFETIME, REPOSITORY, Before, hold, image_of
from tests.unit.services.content.test_uploads import part, shown

BLOB = blob(b"0123456789")
DIGEST = Digest.parse(BLOB.digest)
OTHER, THIRD = RepositoryName("other"), RepositoryName("third")


@pytest.fixture
def healing(stores: Stores) -> Healing:
    return Healing(stores)


@pytest.fixture
def verification(stores: Stores) -> Verification:
    return Verification(stores, Leftovers(stores, LIFETIME))


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
    spoil(memory, await linked(stores))
    found = await verification.verify(await linked(stores))
    assert found.is_sound is False
    assert found.healing
    return found.healing


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
    spoil(memory, await linked(stores, OTHER))
    found = await verification.verify(await linked(stores, OTHER))
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    for each in [found.healing, *await healing.unfinished(DIGEST)]:
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
    again = await verification.verify(task.bad)
    assert again.is_sound is False
    assert again.healing == task


async def test_bytes_replaced_while_they_are_hashed_are_not_condemned(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    uploads: Uploads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = await condemned(stores, memory, verification)
    commit = MemoryRows.commit

    async def replaced(*arguments: object) -> None:
        monkeypatch.undo()
        await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
        await commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryRows, "commit", replaced)
    await verification.verify(task.bad)
    assert await shown(stores, DIGEST, OTHER) == BLOB.content
    assert (await verification.verify(await linked(stores, OTHER))).is_sound
