"""All that was deleted comes back: in which order, and how much of it is held at a time."""

import gc

import pytest

from shared.model.digest import Digest
from shared.model.names import Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions import repositories
from shared.services.deletions.repositories import RepositoryDeletions, Returned
from shared.services.deletions.restores import Restores
from shared.storage import keys
from shared.storage.ports import Change, Delete, Update
from shared.storage.rows.records import ROTTEN, DeletedRecord
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    KEPT,
    LATEST,
    REPOSITORY,
    hold,
    image_of,
    index_of,
    parts,
)

TWO = parts(2)
IMAGES = [image_of(TWO, annotations={"n": str(number)}) for number in range(20)]
INDEX = index_of(IMAGES[:2])


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


async def returned(deletions: RepositoryDeletions, deletion: str = "") -> list[Returned]:
    return [one async for one in deletions.returning(REPOSITORY, deletion, by=ME)]


async def test_a_tag_returns_to_what_bore_it_last(
    pushes: Pushes,
    manifests: Manifests,
    deletions: RepositoryDeletions,
    clock: Clock,
) -> None:
    for image in sorted(IMAGES[:5], key=lambda one: str(one.digest)):
        await pushes.put(REPOSITORY, image, [LATEST], by=ME)
        await manifests.delete(REPOSITORY, image.digest, by=ME)
        clock.move(minutes=1)
    assert len(await returned(deletions)) == 5
    last = max(IMAGES[:5], key=lambda one: str(one.digest))
    assert (await manifests.read(REPOSITORY, LATEST))[1] == last.body


async def test_images_return_before_the_indexes_that_went_with_them(
    stores: Stores, pushes: Pushes, deletions: RepositoryDeletions
) -> None:
    for image in IMAGES[:2]:
        await pushes.put(REPOSITORY, image, [], by=ME)
    await pushes.put(REPOSITORY, INDEX, [LATEST], by=ME)
    await deletions.delete(REPOSITORY, by=ME)
    *_, last = await returned(deletions)
    assert last.digest == INDEX.digest
    record = await stores.contents.manifest(REPOSITORY, INDEX.digest, with_body=False)
    assert record
    assert not record.is_incomplete


async def test_few_are_held_however_many_return(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    deletions: RepositoryDeletions,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repositories, "_LIVES", 3)
    for image in IMAGES:
        await pushes.put(REPOSITORY, image, [], by=ME)
        await manifests.delete(REPOSITORY, image.digest, by=ME)
        clock.move(seconds=1)
    back: list[Digest] = []
    async for one in deletions.returning(REPOSITORY, by=ME):
        back.append(one.digest)
        held = sum(type(each) is DeletedRecord for each in gc.get_objects())
        assert held <= 2 * 3 + 1
    assert back == [image.digest for image in reversed(IMAGES)]
    assert await stores.deleted.page(REPOSITORY, "", 10) == []


async def test_only_what_went_with_the_repository_returns_with_it(
    stores: Stores, pushes: Pushes, manifests: Manifests, deletions: RepositoryDeletions
) -> None:
    for image in IMAGES[:3]:
        await pushes.put(REPOSITORY, image, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGES[0].digest, by=ME)
    await deletions.delete(REPOSITORY, by=ME)
    row = await stores.contents.repository(REPOSITORY)
    assert row
    back = await returned(deletions, str(row.values["deleted"]))
    assert {one.digest for one in back} == {image.digest for image in IMAGES[1:3]}


async def test_what_cannot_return_says_why_and_stops_nothing(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    deletions: RepositoryDeletions,
    clock: Clock,
    memory: Memory,
) -> None:
    others = parts(2, "other")
    await hold(stores, *others)
    lacking, bad, sound, late = image_of(others), *IMAGES[:3]
    await pushes.put(REPOSITORY, late, [], by=ME)
    await manifests.delete(REPOSITORY, late.digest, by=ME)
    clock.move(days=KEPT.days, seconds=1)
    for image in (lacking, bad, sound):
        await pushes.put(REPOSITORY, image, [Tag(f"v{image.digest.encoded[:4]}")], by=ME)
        await manifests.delete(REPOSITORY, image.digest, by=ME)
    (rotten,) = [key for key in memory.keys("deleted|") if str(bad.digest) in key]
    gone = Digest.parse(others[1].digest)
    changes: list[Change] = [Update(rotten, {"reason": ROTTEN}), Delete(keys.blob(gone))]
    await stores.contents.commit(REPOSITORY, changes)
    back = {one.digest: one for one in await returned(deletions)}
    assert back[lacking.digest].missing == [str(gone)]
    assert "not there any more" in back[lacking.digest].why
    assert "rotted" in back[bad.digest].why
    assert back[sound.digest].why == ""
    assert late.digest not in back


async def test_the_last_life_that_can_return_is_found(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    clock: Clock,
    memory: Memory,
) -> None:
    assert await restores.last(REPOSITORY, IMAGES[0].digest) is None
    lives = []
    for _ in range(3):
        await pushes.put(REPOSITORY, IMAGES[0], [], by=ME)
        record = await stores.contents.manifest(REPOSITORY, IMAGES[0].digest, with_body=False)
        assert record
        lives.append(record.life)
        await manifests.delete(REPOSITORY, IMAGES[0].digest, by=ME)
        clock.move(hours=1)
    await pushes.put(REPOSITORY, IMAGES[1], [], by=ME)
    await manifests.delete(REPOSITORY, IMAGES[1].digest, by=ME)
    last = keys.deleted(IMAGES[0].digest, lives[2])
    await stores.contents.commit(REPOSITORY, [Update(last, {"reason": ROTTEN})])
    found = await restores.last(REPOSITORY, IMAGES[0].digest)
    assert found
    assert found.manifest.life == lives[1]
    clock.move(days=KEPT.days)
    assert await restores.last(REPOSITORY, IMAGES[0].digest) is None
