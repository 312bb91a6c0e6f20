from collections.abc import Sequence

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Change, Delete, Put, Unavailable
from shared.storage.rows.holdings import QUARANTINED, Content
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.unit.conftest import GENERATION

A, B = RepositoryName("a"), RepositoryName("b/c")
DIGEST = Digest.of(b"content")
PARTITION = keys.blob_partition(GENERATION, DIGEST)
FIRST, SECOND = Content("first", 7), Content("second", 7)


async def state(memory: Memory, **values: str) -> None:
    row = await memory.rows.get(keys.BLOBS, PARTITION, keys.CONTENT)
    assert row
    await memory.rows.commit(keys.BLOBS, PARTITION, [Put(row.key, {**row.values, **values})])


async def test_the_first_to_store_a_blob_brings_its_bytes(stores: Stores, clock: Clock) -> None:
    assert await stores.holdings.add(DIGEST, A, FIRST, clock()) == FIRST
    assert await stores.holdings.holders(DIGEST, 10) == [A]


async def test_the_second_uses_those_that_are_there(
    stores: Stores, clock: Clock, memory: Memory
) -> None:
    await stores.holdings.add(DIGEST, A, FIRST, clock())
    clock.move(hours=1)
    assert await stores.holdings.add(DIGEST, B, SECOND, clock()) == FIRST
    assert await stores.holdings.holders(DIGEST, 10) == [A, B]
    assert await stores.holdings.holders(DIGEST, 1) == [A]
    row = await memory.rows.get(keys.BLOBS, PARTITION, keys.CONTENT)
    assert row
    assert row.values["seen"] == clock()


async def test_bad_bytes_are_replaced_by_the_next_good_ones(
    stores: Stores, clock: Clock, memory: Memory
) -> None:
    await stores.holdings.add(DIGEST, A, FIRST, clock())
    await state(memory, state=QUARANTINED)
    assert await stores.holdings.add(DIGEST, B, SECOND, clock()) == SECOND
    assert await stores.holdings.add(DIGEST, B, FIRST, clock()) == SECOND


async def test_a_blob_is_shared_while_it_is_there(stores: Stores, clock: Clock) -> None:
    assert not await stores.holdings.share(DIGEST, B, FIRST.object, clock())
    assert await stores.holdings.holders(DIGEST, 10) == []
    await stores.holdings.add(DIGEST, A, FIRST, clock())
    assert await stores.holdings.share(DIGEST, B, FIRST.object, clock())
    assert await stores.holdings.holders(DIGEST, 10) == [A, B]


async def test_a_blob_that_is_another_object_by_now_is_not_shared(
    stores: Stores, clock: Clock
) -> None:
    await stores.holdings.add(DIGEST, A, SECOND, clock())
    assert not await stores.holdings.share(DIGEST, B, FIRST.object, clock())
    assert await stores.holdings.holders(DIGEST, 10) == [A]


async def test_content_collected_between_two_steps_is_brought_again(
    stores: Stores, clock: Clock, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.holdings.add(DIGEST, A, FIRST, clock())
    get = MemoryRows.get

    async def get_after_collector(rows: MemoryRows, *arguments: str) -> object:
        monkeypatch.undo()
        await rows.commit(keys.BLOBS, PARTITION, [Delete(keys.CONTENT)])
        return await get(rows, *arguments)

    monkeypatch.setattr(MemoryRows, "get", get_after_collector)
    assert await stores.holdings.add(DIGEST, B, SECOND, clock()) == SECOND


async def test_content_changed_between_two_steps_is_read_again(
    stores: Stores, clock: Clock, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.holdings.add(DIGEST, A, FIRST, clock())
    get = MemoryRows.get

    async def get_before_another(rows: MemoryRows, *arguments: str) -> object:
        monkeypatch.undo()
        row = await get(rows, *arguments)
        await state(memory, object="third")
        return row

    monkeypatch.setattr(MemoryRows, "get", get_before_another)
    assert (await stores.holdings.add(DIGEST, B, SECOND, clock())).object == "third"


async def test_content_that_never_rests_is_given_up(
    stores: Stores, clock: Clock, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.holdings.add(DIGEST, A, FIRST, clock())
    commit = MemoryRows.commit

    async def restless(
        rows: MemoryRows, table: str, partition: str, changes: Sequence[Change]
    ) -> None:
        row = await rows.get(keys.BLOBS, PARTITION, keys.CONTENT)
        assert row
        await commit(rows, keys.BLOBS, PARTITION, [Put(row.key, row.values)])
        await commit(rows, table, partition, changes)

    monkeypatch.setattr(MemoryRows, "commit", restless)
    with pytest.raises(Unavailable, match="keep changing"):
        await stores.holdings.add(DIGEST, B, SECOND, clock())
