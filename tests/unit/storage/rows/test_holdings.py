import asyncio
from collections.abc import Sequence

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Change, Delete, Put, Row, Unavailable, Update
from shared.storage.rows.holdings import BAD, Content, Gone
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.unit.conftest import GENERATION

A, B, C = RepositoryName("a"), RepositoryName("b/c"), RepositoryName("c")
DIGEST = Digest.of(b"content")
PARTITION = keys.blob_partition(GENERATION, DIGEST)


def content(name: str) -> Content:
    return Content(keys.object_name(GENERATION, name), f"etag of {name}", 7)


FIRST, SECOND, THIRD = content("first"), content("second"), content("third")


def rows(memory: Memory) -> dict[str, Row]:
    return dict(memory.rows._tables[keys.BLOBS].get(PARTITION, {}))


async def change(memory: Memory, *changes: Change) -> None:
    await memory.rows.commit(keys.BLOBS, PARTITION, changes)


async def spoil(memory: Memory, bad: Content) -> None:
    await change(memory, Update(keys.CONTENT, {"state": BAD}), Delete(keys.good(bad.object)))


async def test_the_first_to_store_a_blob_brings_its_bytes(stores: Stores, memory: Memory) -> None:
    assert await stores.holdings.offer(DIGEST, A, FIRST) == FIRST
    assert [*rows(memory)] == [keys.CONTENT, keys.good(FIRST.object), keys.holder(A)]


async def test_the_second_uses_those_that_are_there(stores: Stores) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    assert await stores.holdings.offer(DIGEST, B, SECOND) == FIRST
    assert await stores.holdings.holders(DIGEST, "", 10) == [A, B]
    assert await stores.holdings.holders(DIGEST, "", 1) == [A]
    assert await stores.holdings.holders(DIGEST, keys.holder(A), 10) == [B]
    assert await stores.holdings.gone(DIGEST) == []


async def test_an_offer_that_is_sent_again_is_the_content_that_it_made(stores: Stores) -> None:
    for _ in range(2):
        assert await stores.holdings.offer(DIGEST, A, FIRST) == FIRST


async def test_own_bytes_that_were_found_bad_meanwhile_are_not_offered_again(
    stores: Stores, memory: Memory
) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    assert await stores.holdings.condemn(DIGEST, FIRST, stores.clock())
    with pytest.raises(Unavailable):
        await stores.holdings.offer(DIGEST, A, FIRST)
    assert keys.good(FIRST.object) not in rows(memory)


async def test_bad_bytes_are_replaced_by_the_next_good_ones(stores: Stores, memory: Memory) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    await spoil(memory, FIRST)
    assert not await stores.holdings.join(DIGEST, B, FIRST.object)
    assert await stores.holdings.offer(DIGEST, B, SECOND) == SECOND
    assert await stores.holdings.offer(DIGEST, B, THIRD) == SECOND
    assert keys.good(FIRST.object) not in rows(memory)


async def test_a_blob_is_joined_while_its_object_is_the_content(stores: Stores) -> None:
    assert not await stores.holdings.join(DIGEST, B, FIRST.object)
    assert await stores.holdings.holders(DIGEST, "", 10) == []
    await stores.holdings.offer(DIGEST, A, FIRST)
    assert await stores.holdings.join(DIGEST, B, FIRST.object)
    assert not await stores.holdings.join(DIGEST, C, SECOND.object)
    assert await stores.holdings.holders(DIGEST, "", 10) == [A, B]


async def test_joining_changes_what_the_last_one_out_takes_and_not_the_content(
    stores: Stores, memory: Memory
) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    before = rows(memory)
    await stores.holdings.join(DIGEST, A, FIRST.object)
    after = rows(memory)
    assert after[keys.CONTENT].etag == before[keys.CONTENT].etag
    for key in (keys.good(FIRST.object), keys.holder(A)):
        assert after[key].etag != before[key].etag


async def test_a_crowd_that_joins_never_collides(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits between reading and writing, as over a network."""
    commit = MemoryRows.commit

    async def slow(self: MemoryRows, table: str, partition: str, changes: Sequence[Change]) -> None:
        await asyncio.sleep(0)
        await commit(self, table, partition, changes)

    monkeypatch.setattr(MemoryRows, "commit", slow)
    names = [RepositoryName(f"r{number}") for number in range(64)]
    own = [content(f"object{number}") for number in range(64)]
    used = await asyncio.gather(
        *(stores.holdings.offer(DIGEST, name, one) for name, one in zip(names, own, strict=True))
    )
    assert len({each.object for each in used}) == 1
    assert len(await stores.holdings.holders(DIGEST, "", 100)) == 64


async def test_content_collected_between_two_steps_is_brought_again(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    get = MemoryRows.get

    async def get_after_collector(port: MemoryRows, *arguments: str) -> object:
        monkeypatch.undo()
        held = await stores.holdings.held(DIGEST, A)
        assert await stores.holdings.leave(DIGEST, held) == (Gone(FIRST.object, FIRST.etag),)
        return await get(port, *arguments)

    monkeypatch.setattr(MemoryRows, "get", get_after_collector)
    assert await stores.holdings.offer(DIGEST, B, SECOND) == SECOND


async def test_rows_that_never_rest_are_given_up(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    await spoil(memory, FIRST)
    commit = MemoryRows.commit

    async def restless(
        port: MemoryRows, table: str, partition: str, changes: Sequence[Change]
    ) -> None:
        row = await port.get(keys.BLOBS, PARTITION, keys.CONTENT)
        assert row
        await commit(port, keys.BLOBS, PARTITION, [Put(row.key, row.values)])
        await commit(port, table, partition, changes)

    monkeypatch.setattr(MemoryRows, "commit", restless)
    with pytest.raises(Unavailable, match="keep changing"):
        await stores.holdings.offer(DIGEST, B, SECOND)


@pytest.mark.parametrize("others", [0, 1, 49, 98, 99, 100, 250])
@pytest.mark.parametrize("notes", [0, 1, 97, 98, 250])
async def test_who_else_holds_a_blob_is_seen_behind_any_number_of_notes(
    stores: Stores, memory: Memory, others: int, notes: int
) -> None:
    await stores.holdings.offer(DIGEST, RepositoryName("z"), FIRST)
    for number in range(others):
        await stores.holdings.join(DIGEST, RepositoryName(f"r{number:04}"), FIRST.object)
    for number in range(notes):
        await change(memory, Put(keys.gone(f"{number:04}"), {"etag": "e"}))
    held = await stores.holdings.held(DIGEST, RepositoryName("z"))
    assert held.is_elsewhere == (others > 0)
    assert len(held.gone) == notes
    assert held.holder
    assert held.content
    assert held.good
    assert held.holder.key == keys.holder(RepositoryName("z"))


async def test_who_holds_a_blob_with_many_others_reads_one_page(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.holdings.offer(DIGEST, RepositoryName("z"), FIRST)
    for number in range(300):
        await stores.holdings.join(DIGEST, RepositoryName(f"r{number:04}"), FIRST.object)
    scans, scan = 0, MemoryRows.scan

    async def counted(*arguments: object, **options: object) -> object:
        nonlocal scans
        scans += 1
        return await scan(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryRows, "scan", counted)
    assert (await stores.holdings.held(DIGEST, RepositoryName("z"))).is_elsewhere
    assert scans == 1


async def test_of_two_that_leave_at_once_one_begins_again(stores: Stores, memory: Memory) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    await stores.holdings.join(DIGEST, B, FIRST.object)
    one, two = [await stores.holdings.held(DIGEST, name) for name in (A, B)]
    assert await stores.holdings.leave(DIGEST, one) == ()
    assert await stores.holdings.leave(DIGEST, two) is None
    again = await stores.holdings.held(DIGEST, B)
    assert await stores.holdings.leave(DIGEST, again) == (Gone(FIRST.object, FIRST.etag),)
    assert [*rows(memory)] == [keys.gone(FIRST.object)]


async def test_the_last_one_out_fails_when_another_has_joined_since(stores: Stores) -> None:
    await stores.holdings.offer(DIGEST, A, FIRST)
    held = await stores.holdings.held(DIGEST, A)
    await stores.holdings.join(DIGEST, B, FIRST.object)
    assert await stores.holdings.leave(DIGEST, held) is None


async def test_who_holds_nothing_leaves_nothing(stores: Stores) -> None:
    held = await stores.holdings.held(DIGEST, A)
    assert await stores.holdings.leave(DIGEST, held) == ()
