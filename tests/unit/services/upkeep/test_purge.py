import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from shared.events import ManifestDeleted
from shared.model.digest import Digest
from shared.model.manifests.media_types import OCI_MANIFEST
from shared.model.names import Tag, referrers_tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.endings import Deletion
from shared.services.deletions.restores import Restores
from shared.services.events.fallback_lists import FallbackLists
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Leavings, Purge
from shared.storage import ages, keys
from shared.storage.messages.errands import Errand, Kind
from shared.storage.messages.letters import Sleeper
from shared.storage.ports import LONGEST_DELAY, Row
from shared.storage.rows.records import INLINE_BYTES, DeletedRecord
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    KEPT,
    LATEST,
    REPOSITORY,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)

TWO = parts(2)
IMAGE = image_of(TWO)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
REFERRER = image_of(TWO, subject=described_as(IMAGE))
OTHER = image_of(TWO, subject=described_as(IMAGE), annotations={"other": "yes"})
LIST = referrers_tag(IMAGE.digest)
SECOND = timedelta(seconds=1)
OVER = KEPT + timedelta(seconds=401)


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


async def only(stores: Stores) -> DeletedRecord:
    (deleted,) = await stores.deleted.page(REPOSITORY, "", 10)
    return deleted


async def purge_it(stores: Stores, purge: Purge) -> None:
    record = (await only(stores)).manifest
    await purge.purge(REPOSITORY, record.digest, record.life)


@pytest.mark.parametrize("manifest", [IMAGE, LARGE], ids=["inline", "object"])
async def test_nothing_is_left_of_a_life_once_it_is_time(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    memory: Memory,
    clock: Clock,
    manifest: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    image = IMAGE if manifest is IMAGE else LARGE
    objects = len(memory.objects._container.objects)  # type: ignore[union-attr]
    await pushes.put(REPOSITORY, image, [LATEST, Tag("v1")], by=ME)
    await manifests.delete(REPOSITORY, image.digest, by=ME)
    clock.now += OVER
    await purge_it(stores, purge)
    for prefix in ("edge|", "tagged|", "deleted|"):
        assert memory.keys(prefix) == []
    assert len(memory.objects._container.objects) == objects  # type: ignore[union-attr]
    assert f"purged {image.digest} of {REPOSITORY}, deleted " in caplog.text


async def test_a_purge_that_comes_too_early_comes_again(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    memory: Memory,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await purge_it(stores, purge)
    assert await only(stores)
    queue, body, delay = memory.messages.sent[-1]
    assert (queue, delay) == (keys.LATER, LONGEST_DELAY.total_seconds())
    sleeper = Sleeper.read(body)
    assert sleeper.due - sleeper.letter.sent == KEPT + 4 * ages.L
    assert Errand.read(sleeper.letter.body.encode()).kind is Kind.PURGE


async def test_a_dry_run_tells_what_would_go_and_takes_nothing(
    stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await pushes.put(REPOSITORY, REFERRER, [], by=ME)
    clock.move(seconds=1)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    kept = memory.kept()
    leavings = await purge.look(REPOSITORY, await only(stores))
    assert leavings == Leavings(
        [REFERRER.digest], [Digest.parse(one.digest) for one in TWO], leavings.marks, ""
    )
    assert [mark.name for mark in leavings.marks] == [LATEST]
    assert memory.kept() == kept


@dataclass
class Scene:
    """An image with a referrer: the image is deleted, and in time purged."""

    stores: Stores
    pushes: Pushes
    manifests: Manifests
    purging: Purge
    memory: Memory
    clock: Clock
    life: str = ""

    async def push(self, *tags: Tag) -> None:
        await self.pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await self.pushes.put(REPOSITORY, REFERRER, tags, by=ME)

    async def delete(self, after: timedelta = SECOND) -> None:
        record = await self.stores.contents.manifest(REPOSITORY, IMAGE.digest, with_body=False)
        assert record
        self.life = record.life
        self.clock.now += after
        await self.manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        self.clock.now += SECOND

    async def purge(self) -> None:
        self.clock.now += OVER
        await self.purging.purge(REPOSITORY, IMAGE.digest, self.life)

    @property
    def has_referrer(self) -> bool:
        return keys.manifest(REFERRER.digest) in self.memory.keys("manifest|")


@pytest.fixture
def scene(
    stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory, clock: Clock
) -> Scene:
    return Scene(stores, pushes, manifests, purge, memory, clock)


@pytest.mark.parametrize("stays", ["no", "pushed again", "subject is live", "another life"])
async def test_referrers_go_with_the_last_life_of_their_subject(scene: Scene, stays: str) -> None:
    await scene.push()
    await scene.delete()
    if stays == "pushed again":
        await scene.pushes.put(REPOSITORY, REFERRER, [LATEST], by=ME)
    elif stays != "no":
        await scene.pushes.put(REPOSITORY, IMAGE, [], by=ME)
    if stays == "another life":
        await scene.manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await scene.purge()
    assert scene.has_referrer is (stays != "no")


async def test_a_referrer_of_a_moment_before_goes_however_slowly_all_is_read(
    scene: Scene, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.push()
    await scene.delete(after=timedelta(milliseconds=1))
    get = memory.rows.get

    async def slow(*args: Any, **kwargs: Any) -> Row | None:
        clock.move(seconds=1)
        return await get(*args, **kwargs)

    monkeypatch.setattr(memory.rows, "get", slow)
    await scene.purge()
    assert not scene.has_referrer


@pytest.mark.parametrize("how", ["untagged", "moved"])
@pytest.mark.parametrize("ahead", [timedelta(), timedelta(minutes=5)], ids=["alike", "ahead"])
async def test_a_tag_that_leaves_a_referrer_does_not_keep_it_whatever_clocks_say(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, how: str, ahead: timedelta
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(scene.pushes, "_clock", lambda: scene.clock.now + ahead)
        await scene.push(LATEST)
    await scene.delete()
    if how == "untagged":
        await scene.manifests.untag(REPOSITORY, LATEST, by=ME)
    else:
        await scene.pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    await scene.purge()
    assert not scene.has_referrer


@pytest.mark.parametrize("how", ["untagged", "retagged"])
async def test_a_tag_that_leaves_a_referrer_in_the_midst_of_the_purge_does_not_keep_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    await scene.push(LATEST)
    await scene.delete()
    carry_out, met = scene.manifests.carry_out, list[Deletion]()

    async def carried_out(deletion: Deletion) -> None:
        met.append(deletion)
        if len(met) == 1:
            await scene.manifests.untag(REPOSITORY, LATEST, by=ME)
            if how == "retagged":
                await scene.pushes.put(REPOSITORY, REFERRER, [LATEST], by=ME)
        await carry_out(deletion)

    monkeypatch.setattr(scene.manifests, "carry_out", carried_out)
    await scene.purge()
    assert scene.has_referrer is (how == "retagged")


@pytest.mark.parametrize("how", ["retagged", "listed"])
@pytest.mark.parametrize("behind", [timedelta(), timedelta(minutes=5)], ids=["alike", "behind"])
async def test_a_referrer_that_was_relied_on_stays_though_a_tag_left_it_then(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, how: str, behind: timedelta
) -> None:
    await scene.push(LATEST)
    await scene.delete()
    relied = REFERRER if how == "retagged" else index_of([REFERRER])
    with monkeypatch.context() as patch:
        patch.setattr(scene.pushes, "_clock", lambda: scene.clock.now - behind)
        await scene.pushes.put(REPOSITORY, relied, [Tag("other")], by=ME)
    scene.clock.move(seconds=1)
    await scene.manifests.untag(REPOSITORY, LATEST, by=ME)
    await scene.purge()
    assert scene.has_referrer


@pytest.mark.parametrize("who", ["the registry", "a client"])
async def test_a_list_of_referrers_keeps_those_that_a_client_named_in_it_since(
    scene: Scene, stores: Stores, who: str
) -> None:
    await scene.push()
    await scene.pushes.put(REPOSITORY, OTHER, [], by=ME)
    await scene.pushes.put(REPOSITORY, index_of([REFERRER, OTHER]), [LIST], by=ME)
    await scene.delete()
    subject = str(IMAGE.digest)
    if who == "the registry":
        await scene.manifests.delete(REPOSITORY, OTHER.digest, by=ME)
        gone = ManifestDeleted(str(OTHER.digest), OCI_MANIFEST, ME, scene.clock(), subject)
        await FallbackLists(stores).follow(REPOSITORY, gone)
    else:
        await scene.pushes.put(REPOSITORY, index_of([REFERRER]), [LIST], by=ME)
    tag = await stores.contents.tag(REPOSITORY, LIST)
    assert tag
    assert tag.digest == index_of([REFERRER]).digest
    await scene.purge()
    assert scene.has_referrer is (who == "a client")


async def test_referrers_go_whatever_is_listed_while_they_do(
    scene: Scene, stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.push()
    await scene.pushes.put(REPOSITORY, OTHER, [], by=ME)
    await scene.pushes.put(REPOSITORY, index_of([REFERRER, OTHER]), [LIST], by=ME)
    await scene.delete()
    carry_out, subject = scene.manifests.carry_out, str(IMAGE.digest)

    async def listed_anew(deletion: Deletion) -> None:
        await carry_out(deletion)
        gone = ManifestDeleted(str(deletion.digest), OCI_MANIFEST, ME, scene.clock(), subject)
        await FallbackLists(stores).follow(REPOSITORY, gone)

    monkeypatch.setattr(scene.manifests, "carry_out", listed_anew)
    await scene.purge()
    assert memory.keys("referrer|") == []


async def test_referrers_that_were_pushed_again_cost_a_purge_no_reads(
    scene: Scene, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await scene.delete()
    for number in range(100):
        referrer = image_of(TWO, subject=described_as(IMAGE), annotations={"n": str(number)})
        await scene.pushes.put(REPOSITORY, referrer, [], by=ME)
    get, read = memory.rows.get, list[str]()

    async def counted(table: str, partition: str, key: str, *rest: Any) -> Row | None:
        read.append(key)
        return await get(table, partition, key, *rest)

    monkeypatch.setattr(memory.rows, "get", counted)
    await scene.purge()
    assert [key for key in read if key.startswith("manifest|")] == [keys.manifest(IMAGE.digest)]
    assert len(memory.keys("manifest|")) == 100


async def test_a_referrer_whose_tags_came_back_since_stays(
    scene: Scene, stores: Stores, restores: Restores
) -> None:
    await scene.push(LATEST)
    await scene.manifests.delete(REPOSITORY, REFERRER.digest, by=ME)
    before = (await only(stores)).manifest.life
    await scene.pushes.put(REPOSITORY, REFERRER, [], by=ME)
    await scene.delete()
    await restores.bring_back(REPOSITORY, REFERRER.digest, before, by=ME)
    await scene.purge()
    assert scene.has_referrer


async def test_a_referrer_goes_with_a_life_that_an_earlier_one_outlasts(
    stores: Stores, pushes: Pushes, purge: Purge, memory: Memory, clock: Clock
) -> None:
    lives = []
    for kept in (2 * KEPT, KEPT):
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await pushes.put(REPOSITORY, REFERRER, [], by=ME)
        clock.move(seconds=1)
        await Manifests(stores, kept).delete(REPOSITORY, IMAGE.digest, by=ME)
        there = [one.manifest.life for one in await stores.deleted.page(REPOSITORY, "", 10)]
        lives += [life for life in there if life not in lives]
        clock.move(seconds=1)
    longer, shorter = lives
    clock.now += OVER
    assert not await purge.purge(REPOSITORY, IMAGE.digest, shorter)
    assert keys.manifest(REFERRER.digest) in memory.keys("manifest|")
    clock.now += OVER
    for life in (longer, shorter):
        assert await purge.purge(REPOSITORY, IMAGE.digest, life)
    assert keys.manifest(REFERRER.digest) not in memory.keys("manifest|")


async def test_a_purge_can_be_repeated(
    stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, LARGE, [], by=ME)
    await manifests.delete(REPOSITORY, LARGE.digest, by=ME)
    deleted = await only(stores)
    clock.now += OVER
    await stores.discard(deleted.manifest.object)
    stores.bodies._bodies.clear()
    for _ in range(2):
        await purge.purge(REPOSITORY, LARGE.digest, deleted.manifest.life)
    assert memory.keys("deleted|") == []


async def test_a_repository_is_listed_among_those_that_keep_something(
    stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, upkeep: Upkeep, clock: Clock
) -> None:
    await upkeep.keep(REPOSITORY)
    assert await stores.index.kept("", 10) == []
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await upkeep.keep(REPOSITORY)
    assert await stores.index.kept("", 10) == [REPOSITORY]
    clock.now += OVER
    await purge_it(stores, purge)
    await upkeep.keep(REPOSITORY)
    assert await stores.index.kept("", 10) == []


async def test_a_purge_reads_no_body_of_another_life(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A manifest may have been deleted a thousand times, and a row may hold 256 KiB of it."""
    image = image_of(TWO, annotations={"long": "x" * 100_000})
    for _ in range(10):
        await pushes.put(REPOSITORY, image, [], by=ME)
        await manifests.delete(REPOSITORY, image.digest, by=ME)
    first, *_ = await stores.deleted.page(REPOSITORY, "", 10)
    clock.now += OVER
    scan, read = memory.rows.scan, 0

    async def counted(*arguments: Any, **options: Any) -> list[Row]:
        nonlocal read
        rows = await scan(*arguments, **options)
        read += sum(len(it) for row in rows for it in row.values.values() if isinstance(it, bytes))
        return rows

    monkeypatch.setattr(memory.rows, "scan", counted)
    await purge.purge(REPOSITORY, image.digest, first.manifest.life)
    assert len(memory.keys("deleted|")) == 9
    assert read == 0
