from collections.abc import Sequence

import pytest

from shared.errors import (
    ManifestUnknown,
    NameUnknown,
    RegistryDisallowedOperation,
    Unavailable,
)
from shared.model.attributes import FREE, Attributes, Wanted
from shared.model.names import RepositoryName, Tag
from shared.services.attributes import locks
from shared.services.attributes.changes import AttributeChanges
from shared.services.content import manifests as manifests_module
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.repositories import Repositories
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.retirement import Retirement
from shared.storage import ages, keys
from shared.storage.ports import Change, Delete, Row, Update
from shared.storage.rows.index import Index
from shared.storage.rows.records import TagRecord
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    Before,
    hold,
    image_of,
    parts,
    run_errands,
)

TWO = parts(2)
IMAGE, OTHER = image_of(TWO), image_of(TWO, annotations={"an": "other"})
V1 = Tag("v1")
NO_WRITE, NO_DELETE = Wanted(write_enabled=False), Wanted(delete_enabled=False)
NO_READ, NO_LIST = Wanted(read_enabled=False), Wanted(list_enabled=False)
ALL = Wanted(delete_enabled=True, write_enabled=True, list_enabled=True, read_enabled=True)
NOTHING = Wanted(delete_enabled=False, write_enabled=False, list_enabled=False, read_enabled=False)

refused = pytest.raises(RegistryDisallowedOperation, match="is locked: unlock it first")


@pytest.fixture(autouse=True)
async def filled(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [LATEST, V1], by=ME)


async def tag_rows(stores: Stores, memory: Memory, tag: Tag) -> Sequence[TagRecord]:
    wanted = [keys.tag(tag), *memory.keys("tagged|"), *memory.keys("newest|")]
    rows = await stores.contents.rows(REPOSITORY, wanted)
    return [record for record in map(TagRecord.read, rows) if record.name == tag]


class TestARepository:
    async def test_that_is_locked_takes_no_changes_until_it_is_unlocked(
        self,
        pushes: Pushes,
        manifests: Manifests,
        attributes: AttributeChanges,
        memory: Memory,
    ) -> None:
        locked = await attributes.repository(REPOSITORY, NO_WRITE)
        assert locked == Attributes(write_enabled=False)
        assert memory.keys("writable") == []
        with refused:
            await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)
        with refused:
            await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        with refused:
            await manifests.untag(REPOSITORY, LATEST, by=ME)
        assert (await manifests.read(REPOSITORY, LATEST))[1] == IMAGE.body
        assert await attributes.repository(REPOSITORY, Wanted(write_enabled=True)) == FREE
        await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)

    @pytest.mark.parametrize("wanted", [NO_WRITE, NO_DELETE])
    async def test_that_is_locked_is_not_deleted(
        self, deletions: RepositoryDeletions, attributes: AttributeChanges, wanted: Wanted
    ) -> None:
        await attributes.repository(REPOSITORY, wanted)
        with refused:
            await deletions.delete(REPOSITORY, by=ME)

    async def test_with_a_delete_lock_is_pushed_to_and_its_images_go(
        self, pushes: Pushes, manifests: Manifests, attributes: AttributeChanges
    ) -> None:
        await attributes.repository(REPOSITORY, NO_DELETE)
        await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)
        await manifests.delete(REPOSITORY, OTHER.digest, by=ME)

    async def test_that_is_hidden_is_not_in_the_catalog(
        self, stores: Stores, attributes: AttributeChanges
    ) -> None:
        await attributes.repository(REPOSITORY, NO_LIST)
        assert (await Repositories(stores).page("", 10)).items == []
        await attributes.repository(REPOSITORY, NO_LIST)
        await attributes.repository(REPOSITORY, Wanted(list_enabled=True))
        assert (await Repositories(stores).page("", 10)).items == [REPOSITORY]

    async def test_keeps_what_is_not_named(self, attributes: AttributeChanges) -> None:
        assert await attributes.repository(REPOSITORY, NOTHING) == NOTHING.on(FREE)
        assert await attributes.repository(REPOSITORY, Wanted(read_enabled=True)) == Attributes(
            delete_enabled=False, write_enabled=False, list_enabled=False
        )
        assert await attributes.repository(REPOSITORY, ALL) == FREE

    async def test_that_was_never_there_is_unknown(self, attributes: AttributeChanges) -> None:
        with pytest.raises(NameUnknown):
            await attributes.repository(RepositoryName("none"), NO_WRITE)

    async def test_that_has_retired_is_unknown_and_its_attributes_last(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        retirement: Retirement,
        attributes: AttributeChanges,
    ) -> None:
        hidden = Wanted(list_enabled=False, read_enabled=False)
        await attributes.repository(REPOSITORY, hidden)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        assert await retirement.retire(REPOSITORY)
        with pytest.raises(NameUnknown):
            await attributes.repository(REPOSITORY, NO_WRITE)
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        assert await stores.index.page("", 10) == []
        assert await attributes.repository(REPOSITORY, Wanted()) == hidden.on(FREE)

    async def test_that_is_being_deleted_is_not_changed(
        self, stores: Stores, attributes: AttributeChanges
    ) -> None:
        deletion = Update(keys.REPOSITORY, {"deletion": "id"})
        await stores.contents.commit(REPOSITORY, [deletion])
        for change in (
            attributes.repository(REPOSITORY, NO_WRITE),
            attributes.manifest(REPOSITORY, IMAGE.digest, NO_WRITE),
            attributes.tag(REPOSITORY, LATEST, NO_WRITE),
        ):
            with pytest.raises(Unavailable, match="is being deleted"):
                await change

    async def test_that_changes_all_the_time_is_told_so(
        self,
        stores: Stores,
        attributes: AttributeChanges,
        memory: Memory,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        commit, changes = memory.rows.commit, 0

        async def overtaken(table: str, partition: str, wanted: Sequence[Change]) -> list[str]:
            nonlocal changes
            changes += 1
            clock.move(seconds=10)
            await commit(table, partition, [Update(keys.REPOSITORY, {"x": changes})])
            return await commit(table, partition, wanted)

        monkeypatch.setattr(memory.rows, "commit", overtaken)
        with pytest.raises(Unavailable, match="changed too often"):
            await attributes.tag(REPOSITORY, LATEST, NO_WRITE)
        assert changes == ages.L.total_seconds() / 2 / 10 + 1

    async def test_that_changes_meanwhile_is_read_anew(
        self, stores: Stores, attributes: AttributeChanges, memory: Memory, before: Before
    ) -> None:
        before(memory.rows, "commit", lambda: attributes.repository(REPOSITORY, NO_DELETE))
        both = Attributes(delete_enabled=False, list_enabled=False)
        assert await attributes.repository(REPOSITORY, NO_LIST) == both

    async def test_that_loses_its_last_manifest_while_locked_leaves_the_catalog(
        self,
        stores: Stores,
        attributes: AttributeChanges,
        upkeep: Upkeep,
        memory: Memory,
        clock: Clock,
    ) -> None:
        await attributes.repository(REPOSITORY, NO_WRITE)
        gone = [Delete(key) for key in memory.keys("manifest|")]
        await stores.contents.commit(REPOSITORY, gone)  # it has rotted
        clock.move(minutes=10)
        await attributes.repository(REPOSITORY, Wanted(write_enabled=True))
        assert memory.keys("writable") == []
        await run_errands(memory, upkeep)
        assert await stores.index.page("", 10) == []

    async def test_hidden_by_two_at_once_is_as_the_last_one_says(
        self, stores: Stores, attributes: AttributeChanges, memory: Memory, before: Before
    ) -> None:
        async def show() -> None:
            await attributes.repository(REPOSITORY, Wanted(list_enabled=True))

        before(memory.rows, "commit", show, 2)  # once the index has been read
        await attributes.repository(REPOSITORY, NO_LIST)
        assert await stores.index.page("", 10) == [REPOSITORY]

    async def test_hidden_while_the_index_changes_all_the_time_is_told_so(
        self, stores: Stores, attributes: AttributeChanges, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = stores.index.row

        async def overtaken(_: object, repository: RepositoryName) -> Row | None:
            read = await row(repository)
            await stores.index.add(repository)
            return read

        monkeypatch.setattr(Index, "row", overtaken)
        with pytest.raises(Unavailable, match="changed too often"):
            await attributes.repository(REPOSITORY, NO_LIST)


class TestATag:
    @pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
    async def test_that_is_locked_is_not_moved(
        self, stores: Stores, pushes: Pushes, attributes: AttributeChanges, is_known: bool
    ) -> None:
        await attributes.tag(REPOSITORY, LATEST, NO_WRITE)
        service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
        with refused:
            await service.put(REPOSITORY, OTHER, [Tag("v2"), LATEST], by=ME)
        assert await stores.contents.tag(REPOSITORY, Tag("v2")) is None
        await attributes.tag(REPOSITORY, LATEST, ALL)
        await service.put(REPOSITORY, OTHER, [LATEST], by=ME)

    async def test_with_a_delete_lock_moves_and_keeps_it(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        attributes: AttributeChanges,
        memory: Memory,
    ) -> None:
        await attributes.tag(REPOSITORY, LATEST, NO_DELETE)
        await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)
        locked = Attributes(delete_enabled=False)
        rows = await tag_rows(stores, memory, LATEST)
        assert [row.attributes for row in rows] == [locked, locked, locked]
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        with refused:
            await manifests.delete(REPOSITORY, OTHER.digest, by=ME)

    @pytest.mark.parametrize("wanted", [NO_WRITE, NO_DELETE])
    async def test_that_is_locked_is_not_deleted_and_neither_is_its_manifest(
        self,
        pushes: Pushes,
        manifests: Manifests,
        deletions: RepositoryDeletions,
        attributes: AttributeChanges,
        wanted: Wanted,
    ) -> None:
        await attributes.tag(REPOSITORY, V1, wanted)
        with refused:
            await manifests.untag(REPOSITORY, V1, by=ME)
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        with refused:
            await deletions.delete(REPOSITORY, by=ME)
        await manifests.untag(REPOSITORY, LATEST, by=ME)
        await attributes.tag(REPOSITORY, V1, ALL)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)

    async def test_is_written_alike_in_its_three_rows(
        self, stores: Stores, attributes: AttributeChanges, memory: Memory
    ) -> None:
        assert await attributes.tag(REPOSITORY, V1, NOTHING) == NOTHING.on(FREE)
        rows = await tag_rows(stores, memory, V1)
        assert [row.attributes for row in rows] == [NOTHING.on(FREE)] * 3
        (other,) = {row.attributes for row in await tag_rows(stores, memory, LATEST)}
        assert other == FREE

    async def test_that_is_not_there_is_unknown(self, attributes: AttributeChanges) -> None:
        with pytest.raises(ManifestUnknown):
            await attributes.tag(REPOSITORY, Tag("none"), NO_WRITE)
        with pytest.raises(NameUnknown):
            await attributes.tag(RepositoryName("none"), LATEST, NO_WRITE)

    async def test_that_moves_meanwhile_is_read_anew(
        self,
        stores: Stores,
        pushes: Pushes,
        attributes: AttributeChanges,
        memory: Memory,
        before: Before,
    ) -> None:
        before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, OTHER, [V1], by=ME))
        await attributes.tag(REPOSITORY, V1, NO_WRITE)
        rows = await tag_rows(stores, memory, V1)
        assert {(row.digest, row.attributes.write_enabled) for row in rows} == {
            (OTHER.digest, False)
        }

    async def test_that_is_locked_in_the_midst_of_a_deletion_stops_it(
        self,
        manifests: Manifests,
        attributes: AttributeChanges,
        upkeep: Upkeep,
        memory: Memory,
        before: Before,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(manifests_module, "_TAGS", 1)
        before(memory.rows, "commit", lambda: attributes.tag(REPOSITORY, V1, NO_WRITE), 2)
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        assert memory.keys("tag|") == ["tag|v1"]
        await run_errands(memory, upkeep)
        assert memory.keys("tag|") == ["tag|latest", "tag|v1"]

    async def test_among_very_many_is_found_before_any_goes(
        self,
        pushes: Pushes,
        manifests: Manifests,
        deletions: RepositoryDeletions,
        attributes: AttributeChanges,
        memory: Memory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(manifests_module, "_TAGS", 1)
        monkeypatch.setattr(manifests_module, "_PAGE", 1)
        monkeypatch.setattr(locks, "_SOME", 1)
        await attributes.tag(REPOSITORY, V1, NO_DELETE)
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        with refused:
            await deletions.delete(REPOSITORY, by=ME)
        assert memory.keys("tag|") == ["tag|latest", "tag|v1"]


class TestAManifest:
    @pytest.mark.parametrize("wanted", [NO_WRITE, NO_DELETE])
    async def test_that_is_locked_is_not_deleted(
        self,
        pushes: Pushes,
        manifests: Manifests,
        deletions: RepositoryDeletions,
        attributes: AttributeChanges,
        wanted: Wanted,
    ) -> None:
        locked = wanted.on(FREE)
        assert await attributes.manifest(REPOSITORY, IMAGE.digest, wanted) == locked
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        with refused:
            await deletions.delete(REPOSITORY, by=ME)
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        await pushes.put(REPOSITORY, OTHER, [LATEST, V1], by=ME)
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        await attributes.manifest(REPOSITORY, IMAGE.digest, ALL)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)

    async def test_that_is_not_there_is_unknown(self, attributes: AttributeChanges) -> None:
        with pytest.raises(ManifestUnknown):
            await attributes.manifest(REPOSITORY, OTHER.digest, NO_WRITE)

    async def test_changed_in_the_midst_of_a_deletion_is_no_longer_being_deleted(
        self, stores: Stores, attributes: AttributeChanges
    ) -> None:
        begun = Update(keys.manifest(IMAGE.digest), {"deletion": "id"})
        await stores.contents.commit(REPOSITORY, [begun])
        await attributes.manifest(REPOSITORY, IMAGE.digest, NO_LIST)
        record = await stores.contents.manifest(REPOSITORY, IMAGE.digest, with_body=False)
        assert record
        assert record.deletion == ""

    async def test_locked_in_the_midst_of_a_deletion_stays(
        self,
        manifests: Manifests,
        attributes: AttributeChanges,
        upkeep: Upkeep,
        memory: Memory,
        before: Before,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(manifests_module, "_TAGS", 1)

        async def lock() -> None:
            await attributes.manifest(REPOSITORY, IMAGE.digest, NO_DELETE)

        before(memory.rows, "commit", lock, 2)
        with refused:
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        await run_errands(memory, upkeep)
        assert memory.keys("tag|") == ["tag|latest", "tag|v1"]

    async def test_comes_back_with_its_attributes_and_those_of_its_tags(
        self,
        stores: Stores,
        manifests: Manifests,
        restores: Restores,
        attributes: AttributeChanges,
        memory: Memory,
    ) -> None:
        hidden = Wanted(list_enabled=False, read_enabled=False)
        await attributes.manifest(REPOSITORY, IMAGE.digest, hidden)
        await attributes.tag(REPOSITORY, V1, hidden)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        (life,) = [keys.last_part(key) for key in memory.keys("deleted|")]
        await restores.manifest(REPOSITORY, IMAGE.digest, life, by=ME)
        assert await attributes.manifest(REPOSITORY, IMAGE.digest, Wanted()) == hidden.on(FREE)
        rows = await tag_rows(stores, memory, V1)
        assert [row.attributes for row in rows] == [hidden.on(FREE)] * 3

    async def test_pushed_anew_has_none_of_before(
        self, pushes: Pushes, manifests: Manifests, attributes: AttributeChanges
    ) -> None:
        await attributes.manifest(REPOSITORY, IMAGE.digest, NO_LIST)
        await attributes.tag(REPOSITORY, V1, NO_LIST)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        await pushes.put(REPOSITORY, IMAGE, [V1], by=ME)
        assert await attributes.manifest(REPOSITORY, IMAGE.digest, Wanted()) == FREE
        assert await attributes.tag(REPOSITORY, V1, Wanted()) == FREE


async def test_the_registry_knows_of_read_locks_before_there_is_one(
    stores: Stores, attributes: AttributeChanges, noted: list[str]
) -> None:
    for wanted in (NO_WRITE, Wanted(read_enabled=True), Wanted()):
        await attributes.tag(REPOSITORY, LATEST, wanted)
    assert noted == []
    await attributes.tag(REPOSITORY, LATEST, NO_READ)
    await attributes.manifest(REPOSITORY, IMAGE.digest, NO_READ)
    await attributes.repository(REPOSITORY, NO_READ)
    assert len(noted) == 3
