from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared.errors import ManifestUnknown, Unavailable
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.services.content.manifests import Found, Manifests
from shared.services.content.pushes import Pushes
from shared.services.upkeep.errands import Upkeep
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.ports import Change, Conflict
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ANOTHER, ME, YOU
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    Before,
    Crash,
    described_as,
    hold,
    image_of,
    parts,
    run_errands,
)

TWO = parts(2)
IMAGE = image_of(TWO)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
MANY = 130


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


async def push_many_tags(pushes: Pushes, count: int) -> list[Tag]:
    tags = [Tag(f"v{number}") for number in range(count)]
    for start in range(0, count, 11):
        await pushes.put(REPOSITORY, IMAGE, tags[start : start + 11], by=ME)
    return tags


@pytest.mark.parametrize("manifest", [IMAGE, LARGE], ids=["inline", "object"])
@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
async def test_a_manifest_is_read_by_tag_and_by_digest(
    stores: Stores, pushes: Pushes, manifests: Manifests, manifest: object, is_warm: bool
) -> None:
    image = IMAGE if manifest is IMAGE else LARGE
    await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    found = Found(image.digest, image.media_type, len(image.body))
    for reference in (LATEST, image.digest):
        if not is_warm:
            stores.bodies._bodies.clear()
        assert await manifests.read(REPOSITORY, reference) == (found, image.body)
        assert await manifests.find(REPOSITORY, reference) == found


@pytest.mark.parametrize("reference", [LATEST, IMAGE.digest])
async def test_what_is_not_there_is_unknown(
    manifests: Manifests, bodies: Bodies, reference: Tag | Digest
) -> None:
    bodies.keep(IMAGE.digest, IMAGE.body)  # that the process has it says nothing
    with pytest.raises(ManifestUnknown) as by_find:
        await manifests.find(REPOSITORY, reference)
    with pytest.raises(ManifestUnknown) as by_read:
        await manifests.read(REPOSITORY, reference)
    assert by_find.value.entries() == by_read.value.entries()


async def test_a_body_that_gives_way_while_its_row_is_read_is_served(
    pushes: Pushes, manifests: Manifests, bodies: Bodies, memory: Memory, before: Before
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)

    async def forget() -> None:
        bodies._bodies.clear()

    before(memory.rows, "get", forget)
    assert (await manifests.read(REPOSITORY, IMAGE.digest))[1] == IMAGE.body


@pytest.fixture
def deleted_after_read(
    stores: Stores, manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LARGE is deleted and purged right after its row was read."""
    read = stores.contents.manifest

    async def read_and_delete(*arguments: Any, **options: Any) -> object:
        record = await read(*arguments, **options)
        monkeypatch.setattr(stores.contents, "manifest", read)
        await manifests.delete(REPOSITORY, LARGE.digest, by=ANOTHER)
        assert record
        await stores.discard(record.object)
        stores.bodies._bodies.clear()
        return record

    monkeypatch.setattr(stores.contents, "manifest", read_and_delete)


@pytest.mark.parametrize("extra", [0, INLINE_BYTES], ids=["inline", "object"])
async def test_a_tag_that_moves_while_it_is_read_is_never_unknown(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    before: Before,
    extra: int,
) -> None:
    await hold(stores, *TWO)
    old, new = image_of(TWO, annotations={"long": "x" * extra}), image_of(TWO[:1])
    await pushes.put(REPOSITORY, old, [LATEST], by=ME)
    stores.bodies._bodies.clear()

    async def move() -> None:
        await Pushes(stores, is_sparse_allowed=False).put(REPOSITORY, new, [LATEST], by=ME)
        await Manifests(stores).delete(REPOSITORY, old.digest, by=ME)
        stores.bodies._bodies.clear()

    before(memory.rows, "get", move, at=2)
    _, body = await manifests.read(REPOSITORY, LATEST)
    assert body == new.body


@pytest.mark.parametrize("reference", [LATEST, LARGE.digest])
async def test_a_large_manifest_deleted_while_it_is_read_is_unknown(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    deleted_after_read: None,
    reference: Tag | Digest,
) -> None:
    await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    stores.bodies._bodies.clear()
    with pytest.raises(ManifestUnknown):
        await manifests.read(REPOSITORY, reference)


async def test_a_manifest_goes_with_its_tags_and_its_place_as_a_referrer(
    pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    subject = described_as(IMAGE)
    referrer = image_of(TWO, subject=subject)
    other = image_of(TWO, annotations={})
    await pushes.put(REPOSITORY, referrer, [LATEST, Tag("v1")], by=ME)
    await pushes.put(REPOSITORY, other, [Tag("v2")], by=ME)
    await manifests.delete(REPOSITORY, referrer.digest, by=YOU)
    assert memory.keys("tag|") == ["tag|v2"]
    assert memory.keys("manifest|") == [keys.manifest(other.digest)]
    assert memory.keys("referrer|") == []
    assert len(memory.keys("edge|")) == 4  # they keep what it used, until it is purged
    assert len(memory.keys("deleted|")) == 1
    assert len(memory.keys("blob|")) == 2


async def test_a_deletion_is_an_event_of_its_own(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST, Tag("v1")], by=ME)
    before = memory.keys("outbox|")
    await manifests.untag(REPOSITORY, LATEST, by=YOU)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=YOU)
    rows = [
        await stores.contents.event(REPOSITORY, key)
        for key in memory.keys("outbox|")
        if key not in before
    ]
    assert {row.values["event"]: row.values.get("tag") for row in rows if row} == {
        "TagDeleted": "latest",
        "ManifestDeleted": None,
    }
    assert len(memory.messages.sent) == 3


async def test_what_was_deleted_is_unknown(pushes: Pushes, manifests: Manifests) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.untag(REPOSITORY, LATEST, by=ME)
    with pytest.raises(ManifestUnknown, match='tagged by "latest" is not found'):
        await manifests.untag(REPOSITORY, LATEST, by=ME)
    assert await manifests.find(REPOSITORY, IMAGE.digest)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    with pytest.raises(ManifestUnknown, match="is not found"):
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)


async def test_a_manifest_with_many_tags_goes_with_all_of_them(
    pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await push_many_tags(pushes, MANY)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert (memory.keys("tag|"), memory.keys("manifest|"), memory.keys("newest|")) == ([], [], [])
    assert len(memory.keys("tagged|")) == len(memory.keys("moved|")) == MANY


@pytest.mark.parametrize("at", [1, 2, 6])
async def test_a_tag_pushed_in_the_midst_of_a_deletion_goes_too(
    pushes: Pushes, manifests: Manifests, memory: Memory, before: Before, at: int
) -> None:
    await push_many_tags(pushes, MANY)
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, IMAGE, [Tag("new")], by=YOU), at)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert (memory.keys("tag|"), memory.keys("manifest|")) == ([], [])


@pytest.mark.parametrize("count", [23, 24, 47, 48, 49])
async def test_a_deletion_takes_twenty_four_tags_at_a_time(
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    await push_many_tags(pushes, count)
    commit, sizes = memory.rows.commit, []

    async def counted(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        sizes.append(len(changes))
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", counted)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert len(sizes) == 1 + count // 24
    assert max(sizes) <= 100


@pytest.mark.parametrize("writes", [2, 3, 6])
@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_deletion_that_dies_is_finished_or_undone(
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
    memory: Memory,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
    comes_back: bool,
) -> None:
    await push_many_tags(pushes, MANY)
    memory.messages.sent.clear()
    revive = crash(memory, writes)
    with pytest.raises(Crash):
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    revive()
    assert 0 < len(memory.keys("tag|")) < MANY
    if comes_back:
        await pushes.put(REPOSITORY, IMAGE, [Tag("new")], by=YOU)
    await run_errands(memory, upkeep)
    assert len(memory.keys("tag|")) == (MANY + 1 if comes_back else 0)
    assert len(memory.keys("manifest|")) == comes_back
    assert len(memory.keys("newest|")) == len(memory.keys("tag|"))


async def test_a_tag_moved_in_the_midst_of_a_deletion_stays(
    pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    other = image_of(TWO, annotations={})
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, other, [LATEST], by=YOU))
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert (await manifests.find(REPOSITORY, LATEST)).digest == other.digest


async def test_a_deletion_by_another_in_the_midst_of_ours_leaves_nothing_to_delete(
    pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    before(memory.rows, "commit", lambda: manifests.delete(REPOSITORY, LARGE.digest, by=YOU))
    with pytest.raises(ManifestUnknown):
        await manifests.delete(REPOSITORY, LARGE.digest, by=ME)


@pytest.fixture
def is_repeated(memory: Memory, held: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure answers 500 to each write of contents that it has made, and its client repeats it."""
    commit = memory.rows.commit

    async def repeated(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        etags = await commit(table, partition, changes)
        return await commit(table, partition, changes) if table == keys.CONTENTS else etags

    monkeypatch.setattr(memory.rows, "commit", repeated)


@pytest.mark.usefixtures("is_repeated")
@pytest.mark.parametrize("count", [1, 100])
async def test_a_deletion_that_went_through_and_is_repeated_is_a_success(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, count: int
) -> None:
    await hold(stores, *(contents := parts(count)))
    image = image_of(contents, subject=described_as(IMAGE))
    await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, image.digest, by=ME)
    assert len(memory.keys("outbox|")) == 2
    left = {key.partition("|")[0] for key in memory.keys("")}
    assert left == {
        *("blob", "repository", "writable", "outbox", "edge"),
        *("deleted", "tagged", "moved"),
    }


@pytest.mark.usefixtures("is_repeated")
async def test_an_untagging_that_went_through_and_is_repeated_is_a_success(
    pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.untag(REPOSITORY, LATEST, by=ME)
    assert len(memory.keys("outbox|")) == 2
    assert not memory.keys("tag|")


async def test_a_repository_that_never_rests_is_given_up(
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def conflict(table: str, partition: str, changes: Sequence[Change]) -> None:
        clock.move(seconds=1)
        raise Conflict("row", 1)

    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    monkeypatch.setattr(memory.rows, "commit", conflict)
    with pytest.raises(Unavailable, match="changed too often"):
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    with pytest.raises(Unavailable, match="changed too often"):
        await manifests.untag(REPOSITORY, LATEST, by=ME)
