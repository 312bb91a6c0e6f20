import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import cast

import pytest

from shared.errors import ManifestBlobUnknown, NameUnknown, Unavailable, Unsupported
from shared.events import ManifestDeleted, read
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.retirement import Retirement
from shared.storage import keys
from shared.storage.ports import Change, Delete, Update
from shared.storage.ports import Unavailable as Busy
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME, YOU
from tests.support.clock import Clock
from tests.support.messages import addressed
from tests.unit.services.conftest import (
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
INDEX = index_of([IMAGE])
TAGS = [Tag(f"v{number:02}") for number in range(50)]


@pytest.fixture(autouse=True)
async def filled(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    for start in range(0, 50, 10):
        await pushes.put(REPOSITORY, IMAGE, TAGS[start : start + 10], by=ME)
    await pushes.put(REPOSITORY, INDEX, [LATEST], by=ME)


async def test_a_repository_goes_and_comes_back(
    stores: Stores, manifests: Manifests, deletions: RepositoryDeletions, memory: Memory
) -> None:
    await deletions.delete(REPOSITORY, by=ME)
    assert (memory.keys("tag|"), memory.keys("manifest|"), memory.keys("newest|")) == ([], [], [])
    assert await stores.index.page("", 10) == []
    assert memory.keys("writable") == []
    events = await stores.contents.rows(REPOSITORY, memory.keys("outbox|"))
    assert events[-1].values["event"] == "RepositoryDeleted"
    row = await stores.contents.repository(REPOSITORY)
    assert row
    deletion = str(row.values["deleted"])
    assert await deletions.restore(REPOSITORY, deletion, by=ME) == 2
    assert sorted(memory.keys("tag|")) == sorted(map(keys.tag, [*TAGS, LATEST]))
    assert await stores.index.page("", 10) == [REPOSITORY]
    record = await stores.contents.manifest(REPOSITORY, INDEX.digest, with_body=False)
    assert record
    assert not record.is_incomplete


async def told(stores: Stores, memory: Memory) -> list[ManifestDeleted]:
    """Give the deletions of manifests that the fan-out hears of."""
    sent = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.EVENTS]
    said = {key for body in sent for key in json.loads(body)["events"]}
    rows = await stores.contents.rows(REPOSITORY, sorted(said))
    events = [read(row.values) for row in rows]
    return [event for event in events if isinstance(event, ManifestDeleted)]


async def test_each_manifest_that_goes_with_its_repository_is_told_once(
    stores: Stores, deletions: RepositoryDeletions, memory: Memory
) -> None:
    record = await stores.contents.manifest(REPOSITORY, IMAGE.digest, with_body=False)
    assert record
    memory.messages.sent.clear()
    await deletions.delete(REPOSITORY, by=YOU)
    row = await stores.contents.repository(REPOSITORY)
    assert row
    gone = await told(stores, memory)
    events = {event.digest: event for event in gone}
    assert len(events) == len(gone) == 2
    assert events[str(IMAGE.digest)] == ManifestDeleted(
        digest=str(IMAGE.digest),
        media_type=IMAGE.media_type,
        cause=YOU,
        at=cast("datetime", row.values["deletion_at"]),
        life=record.life,
        deletion=str(row.values["deleted"]),
    )


async def test_a_page_of_manifests_is_told_in_one_message(
    pushes: Pushes, deletions: RepositoryDeletions, memory: Memory
) -> None:
    for number in range(8):
        await pushes.put(REPOSITORY, image_of(TWO, annotations={"n": str(number)}), [], by=ME)
    memory.messages.sent.clear()
    await deletions.delete(REPOSITORY, by=YOU)
    sent = [queue for queue, _, _ in addressed(memory.messages.sent) if queue == keys.EVENTS]
    assert len(sent) == 2  # all manifests, and the repository


async def test_a_manifest_that_goes_long_after_it_was_told_of_is_told_again(
    deletions: RepositoryDeletions, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = memory.rows.commit

    async def slow(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        if any(change.key == keys.manifest(IMAGE.digest) for change in changes):
            clock.move(seconds=101)
        return await commit(table, partition, changes)

    memory.messages.sent.clear()
    monkeypatch.setattr(memory.rows, "commit", slow)
    with pytest.raises(Unavailable, match="goes on"):
        await deletions.delete(REPOSITORY, by=ME)
    sent = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.EVENTS]
    [gone] = [key for key in memory.keys("outbox|") if key in sent[0]]
    assert json.loads(sent[1])["events"] == [gone]


async def test_what_lacks_a_blob_keeps_nothing_else_from_coming_back(
    stores: Stores, pushes: Pushes, deletions: RepositoryDeletions, memory: Memory
) -> None:
    others = [image_of(TWO[:1], annotations={"n": str(number)}) for number in range(3)]
    for number, image in enumerate(others):
        await pushes.put(REPOSITORY, image, [Tag(f"other{number}")], by=ME)
    await deletions.delete(REPOSITORY, by=ME)
    row = await stores.contents.repository(REPOSITORY)
    assert row
    lost = Digest.parse(TWO[1].digest)
    await stores.contents.commit(REPOSITORY, [Delete(keys.blob(lost))])
    for _ in range(2):
        with pytest.raises(ManifestBlobUnknown) as caught:
            await deletions.restore(REPOSITORY, str(row.values["deleted"]), by=ME)
        assert caught.value.digests == [str(lost)]
        back = ["tag|latest", "tag|other0", "tag|other1", "tag|other2"]
        assert sorted(memory.keys("tag|")) == back


async def test_what_is_no_repository_or_locked_is_not_deleted(
    stores: Stores, deletions: RepositoryDeletions
) -> None:
    with pytest.raises(NameUnknown):
        await deletions.delete(Tag("none"), by=ME)  # type: ignore[arg-type]
    locked = Update(keys.REPOSITORY, {"write_enabled": False})
    changes: list[Change] = [locked, Delete(keys.WRITABLE)]
    await stores.contents.commit(REPOSITORY, changes)
    with pytest.raises(Unsupported):
        await deletions.delete(REPOSITORY, by=ME)


@pytest.mark.parametrize("writes", range(2, 8))
async def test_a_deletion_that_dies_is_gone_on_with(
    stores: Stores,
    pushes: Pushes,
    deletions: RepositoryDeletions,
    upkeep: Upkeep,
    memory: Memory,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
) -> None:
    memory.messages.sent.clear()
    revive = crash(memory, writes)
    with pytest.raises(Crash):
        await deletions.delete(REPOSITORY, by=ME)
    revive()
    gone = await told(stores, memory)
    if not memory.keys("writable"):
        row = await stores.contents.repository(REPOSITORY)
        if row and row.values["deletion"]:
            with pytest.raises(Unavailable, match="being deleted"):
                await pushes.put(REPOSITORY, IMAGE, [LATEST], by=YOU)
    await run_errands(memory, upkeep)
    assert memory.keys("manifest|") == []
    gone += await told(stores, memory)
    assert {event.digest for event in gone} == {str(IMAGE.digest), str(INDEX.digest)}
    assert len(gone) == 2
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=YOU)
    await run_errands(memory, upkeep)
    assert memory.keys("tag|") == ["tag|latest"]


async def test_a_catalog_that_does_not_answer_fails_no_deletion(
    stores: Stores,
    deletions: RepositoryDeletions,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = memory.rows.commit

    async def busy(table: str, *arguments: object) -> list[str]:
        if table == keys.REPOSITORIES:
            raise Busy("the table is busy")
        return await commit(table, *arguments)  # type: ignore[arg-type]

    memory.messages.sent.clear()
    with monkeypatch.context() as patch:
        patch.setattr(memory.rows, "commit", busy)
        await deletions.delete(REPOSITORY, by=ME)
    assert memory.keys("manifest|") == []
    assert await stores.index.page("", 10) == [REPOSITORY]
    clock.now += timedelta(seconds=201)
    await Retirement(stores).retire(REPOSITORY)
    assert await stores.index.page("", 10) == []


async def test_a_deletion_that_takes_long_is_told_and_goes_on(
    deletions: RepositoryDeletions, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = memory.rows.commit

    async def slow(*arguments: object) -> list[str]:
        clock.move(seconds=20)
        return await commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(memory.rows, "commit", slow)
    with pytest.raises(Unavailable, match="goes on"):
        await deletions.delete(REPOSITORY, by=ME)
    await deletions.delete(REPOSITORY, by=ME)
    assert memory.keys("manifest|") == []
