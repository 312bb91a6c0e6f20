from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import ManifestBlobUnknown, ManifestUnknown
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.restores import Restores
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.storage import keys
from shared.storage.ports import Change, Delete, Insert, Update
from shared.storage.ports import Unavailable as Busy
from shared.storage.rows.records import INLINE_BYTES, DeletedRecord
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    KEPT,
    LATEST,
    REPOSITORY,
    Crash,
    hold,
    image_of,
    index_of,
    parts,
    run_errands,
)

TWO = parts(2)
IMAGE = image_of(TWO)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


async def deleted(stores: Stores) -> DeletedRecord:
    (one,) = await stores.deleted.page(REPOSITORY, "", 10)
    return one


async def restore(stores: Stores, restores: Restores) -> None:
    record = (await deleted(stores)).manifest
    await restores.manifest(REPOSITORY, record.digest, record.life, by=ME)


@pytest.mark.parametrize("manifest", [IMAGE, LARGE], ids=["inline", "object"])
async def test_a_manifest_comes_back_with_its_tags_and_attributes(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    memory: Memory,
    manifest: object,
) -> None:
    image = IMAGE if manifest is IMAGE else LARGE
    tags = [Tag(f"v{number:02}") for number in range(30)]
    for start in range(0, 30, 10):
        await pushes.put(REPOSITORY, image, tags[start : start + 10], by=ME)
    locked = Update(keys.manifest(image.digest), {"list_enabled": False})
    await stores.contents.commit(REPOSITORY, [locked])
    await manifests.delete(REPOSITORY, image.digest, by=ME)
    page = await restores.page(REPOSITORY, "", 10)
    assert [one.manifest.digest for one in page.items] == [image.digest]
    await restore(stores, restores)
    stores.bodies._bodies.clear()
    for tag in tags:
        assert (await manifests.read(REPOSITORY, tag))[1] == image.body
    row = await stores.contents.manifest_row(REPOSITORY, image.digest)
    assert row
    assert row.values["list_enabled"] is False
    assert (await restores.page(REPOSITORY, "", 10)).items == []
    assert len(memory.keys("edge|")) == 2
    assert len(memory.keys("newest|")) == 30


async def test_what_was_tagged_anew_keeps_its_tag(
    stores: Stores, pushes: Pushes, manifests: Manifests, restores: Restores, memory: Memory
) -> None:
    other = image_of(TWO[:1])
    await pushes.put(REPOSITORY, IMAGE, [LATEST, Tag("v1")], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await pushes.put(REPOSITORY, other, [LATEST], by=ME)
    await restore(stores, restores)
    assert (await manifests.find(REPOSITORY, LATEST)).digest == other.digest
    assert (await manifests.find(REPOSITORY, Tag("v1"))).digest == IMAGE.digest
    assert len(memory.keys("tagged|")) == 2


async def test_tags_of_an_older_life_stay_away(
    stores: Stores, pushes: Pushes, manifests: Manifests, restores: Restores, clock: Clock
) -> None:
    for tag in ("v1", "v2"):
        await pushes.put(REPOSITORY, IMAGE, [Tag(tag)], by=ME)
        clock.move(hours=1)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    lives = await stores.deleted.page(REPOSITORY, "", 10)
    last = max(lives, key=lambda one: one.at)
    await restores.manifest(REPOSITORY, IMAGE.digest, last.manifest.life, by=ME)
    assert [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 10)] == ["v2"]


async def test_an_index_comes_back_without_a_child_and_not_without_its_blobs(
    stores: Stores, pushes: Pushes, manifests: Manifests, restores: Restores
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    cache = index_of([IMAGE], manifests=[*index_of_blobs(), *index_of_image()])
    await pushes.put(REPOSITORY, cache, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, cache.digest, by=ME)
    life = (await deleted(stores)).manifest.life
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    link = keys.blob(Digest.parse(TWO[0].digest))
    row = (await stores.contents.rows(REPOSITORY, [link]))[0]
    await stores.contents.commit(REPOSITORY, [Delete(link)])
    with pytest.raises(ManifestBlobUnknown):
        await restores.manifest(REPOSITORY, cache.digest, life, by=ME)

    await stores.contents.commit(REPOSITORY, [Insert(link, row.values)])
    await restores.manifest(REPOSITORY, cache.digest, life, by=ME)
    record = await stores.contents.manifest(REPOSITORY, cache.digest, with_body=False)
    assert record
    assert record.is_incomplete


def index_of_blobs() -> list[dict[str, object]]:
    return [TWO[0].descriptor()]


def index_of_image() -> list[dict[str, object]]:
    return [{"mediaType": IMAGE.media_type, "digest": str(IMAGE.digest), "size": len(IMAGE.body)}]


async def test_what_is_not_kept_any_more_is_unknown(
    stores: Stores, pushes: Pushes, manifests: Manifests, restores: Restores, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    with pytest.raises(ManifestUnknown):
        await restores.manifest(REPOSITORY, IMAGE.digest, "another life", by=ME)
    clock.now += KEPT + timedelta(seconds=1)
    with pytest.raises(ManifestUnknown):
        await restore(stores, restores)


@pytest.mark.parametrize("writes", range(2, 9))
async def test_a_restore_that_dies_is_brought_to_its_end(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    upkeep: Upkeep,
    memory: Memory,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
) -> None:
    tags = [Tag(f"v{number:02}") for number in range(30)]
    for start in range(0, 30, 10):
        await pushes.put(REPOSITORY, IMAGE, tags[start : start + 10], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    memory.messages.sent.clear()
    revive = crash(memory, writes)
    with pytest.raises(Crash):
        await restore(stores, restores)
    revive()
    is_live = bool(memory.keys("manifest|"))
    await run_errands(memory, upkeep)
    assert len(memory.keys("tag|")) == 30 * is_live
    assert len(memory.keys("deleted|")) == (not is_live)
    assert len(memory.keys("edge|")) == 2


async def test_what_was_restored_is_an_answer_also_where_its_purge_fails(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    commit = memory.rows.commit

    async def busy(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        if changes[0].key.startswith("edge|") and isinstance(changes[0], Delete):
            raise Busy("the table is busy")
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", busy)
    await restore(stores, restores)
    assert memory.keys("tag|") == ["tag|latest"]
    assert len(memory.keys("deleted|")) == 1


async def test_a_tag_goes_back_to_what_it_was(
    stores: Stores, pushes: Pushes, manifests: Manifests, restores: Restores, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    clock.move(seconds=1)
    await pushes.put(REPOSITORY, image_of(TWO[:1]), [LATEST], by=ME)
    await restores.tag(REPOSITORY, LATEST, clock(), by=ME)
    assert (await manifests.find(REPOSITORY, LATEST)).digest == IMAGE.digest
    with pytest.raises(ManifestUnknown):
        await restores.tag(REPOSITORY, LATEST, clock() + timedelta(days=1), by=ME)
    await manifests.delete(REPOSITORY, image_of(TWO[:1]).digest, by=ME)
    moved = clock() + timedelta(microseconds=1)
    with pytest.raises(ManifestUnknown):
        await restores.tag(REPOSITORY, LATEST, moved, by=ME)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_time_is_storages_own_whatever_a_hosts_clock_says(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    prepared: Memory,
    clock: Clock,
    hours: int,
) -> None:
    """Were it a host's, one could still restore what another has begun to purge."""
    elsewhere = replace(stores, clock=lambda: clock() + timedelta(hours=hours))
    purge = Purge(elsewhere, Manifests(elsewhere, KEPT))
    restores = Restores(elsewhere, Pushes(elsewhere, is_sparse_allowed=False), purge)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    life = (await deleted(stores)).manifest.life
    clock.now += KEPT + timedelta(seconds=1)
    with pytest.raises(ManifestUnknown):
        await restores.manifest(REPOSITORY, IMAGE.digest, life, by=ME)
    await purge.purge(REPOSITORY, IMAGE.digest, life)
    assert prepared.messages.sent[-1][2] == 399
    clock.move(seconds=399)
    await purge.purge(REPOSITORY, IMAGE.digest, life)
    assert prepared.keys("deleted|") == []
