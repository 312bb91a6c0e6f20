import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import cast

import pytest

from shared.errors import BlobUnknown, TooManyRequests, Unavailable, Unsupported
from shared.model.digest import Digest
from shared.services.content.blobs import Blobs
from shared.services.content.pushes import Pushes
from shared.storage import keys, ports
from shared.storage.messages import verifying
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Delete, Insert, Update
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.support.messages import addressed
from tests.unit.services.conftest import GRACE, REPOSITORY, Before, hold, image_of

BLOB = blob(b"0123456789")
DIGEST = Digest.parse(BLOB.digest)

type Step = Callable[[], object]


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, BLOB)


@pytest.fixture
def renewals(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The changes that a test makes."""
    made: list[object] = []
    commit = memory.rows.commit

    async def counted(table: str, partition: str, changes: list[Delete | Update]) -> None:
        made.extend(changes)
        await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", counted)
    return made


async def remove(stores: Stores) -> None:
    await stores.contents.commit(REPOSITORY, [Delete(keys.blob(DIGEST))])


async def touch(stores: Stores) -> None:
    await stores.contents.commit(REPOSITORY, [Update(keys.blob(DIGEST), {"touched": True})])


async def test_a_blob_seen_lately_is_found_with_one_read(
    blobs: Blobs, clock: Clock, renewals: list[object]
) -> None:
    clock.now += GRACE / 2
    clock.move(seconds=-1)
    assert (await blobs.find(REPOSITORY, DIGEST)).size == 10
    assert renewals == []


async def test_a_blob_not_seen_for_half_the_grace_is_renewed(
    stores: Stores, blobs: Blobs, clock: Clock, renewals: list[object]
) -> None:
    clock.now += GRACE / 2
    for _ in range(2):
        assert (await blobs.find(REPOSITORY, DIGEST)).size == 10
        assert len(renewals) == 1
    link = await stores.contents.link(REPOSITORY, DIGEST)
    assert link
    assert link.seen == clock()


async def test_a_blob_collected_in_the_midst_of_its_renewal_is_unknown(
    stores: Stores, blobs: Blobs, clock: Clock, memory: Memory, before: Before
) -> None:
    clock.now += GRACE
    before(memory.rows, "commit", lambda: remove(stores))
    with pytest.raises(BlobUnknown):
        await blobs.find(REPOSITORY, DIGEST)


async def test_a_blob_that_is_used_all_the_time_is_found(
    blobs: Blobs, clock: Clock, memory: Memory, before: Before, stores: Stores
) -> None:
    clock.now += GRACE
    before(memory.rows, "commit", lambda: touch(stores))
    assert (await blobs.find(REPOSITORY, DIGEST)).size == 10


async def test_a_blob_that_never_rests_is_not_deleted(
    blobs: Blobs, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = memory.rows.commit

    async def restless(table: str, partition: str, changes: list[Delete | Update]) -> None:
        await commit(table, partition, [Update(keys.blob(DIGEST), {"touched": True})])
        await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", restless)
    with pytest.raises(Unavailable, match="changed too often"):
        await blobs.delete(REPOSITORY, DIGEST)


async def test_a_blob_is_read_whole_or_in_part(blobs: Blobs) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    for start, length in ((0, 10), (3, 4), (9, 1), (0, 0)):
        pieces = await blobs.read(link, start, length)
        read = b"".join([piece async for piece in pieces])
        assert read == BLOB.content[start : start + length]


async def test_a_blob_of_many_pieces_is_read_in_order(stores: Stores, blobs: Blobs) -> None:
    large = blob(bytes(range(256)) * 10_000)
    await hold(stores, large)
    link = await blobs.link(REPOSITORY, Digest.parse(large.digest))
    pieces = [piece async for piece in await blobs.read(link, 1, large.size - 2)]
    assert b"".join(pieces) == large.content[1:-1]
    assert len(pieces) > 1


async def test_a_blob_whose_bytes_are_gone_is_unknown(stores: Stores, blobs: Blobs) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    await stores.discard(link.object)
    with pytest.raises(BlobUnknown):
        await blobs.read(link, 0, 10)


def reported(memory: Memory) -> list[ToVerify]:
    """Give what is to be verified since somebody missed it."""
    sent = addressed(memory.messages.sent)
    return [ToVerify.read(body.encode()) for queue, body, _ in sent if queue == keys.VERIFICATION]


@pytest.mark.parametrize("data", [None, b"0123"])
async def test_bytes_that_a_reader_misses_are_reported_once_a_minute(
    stores: Stores, blobs: Blobs, memory: Memory, clock: Clock, data: bytes | None
) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    assert memory.objects._container
    there = memory.objects._container.objects
    if data is None:
        del there[link.object]
    else:
        object.__setattr__(there[link.object], "data", data)
    for _ in range(3):
        with suppress(BlobUnknown):
            assert b"".join([it async for it in await blobs.read(link, 0, 10)]) == data
    (asked,) = reported(memory)
    assert (asked.name, asked.digest) == (link.object, DIGEST)
    clock.move(seconds=60)
    with suppress(BlobUnknown):
        assert [it async for it in await blobs.read(link, 0, 10)]
    assert len(reported(memory)) == 2


async def test_a_report_that_nobody_takes_fails_no_read(
    stores: Stores, blobs: Blobs, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    await stores.discard(link.object)

    async def down(*_: object) -> None:
        raise ports.Unavailable("the queue is down")

    monkeypatch.setattr(memory.messages, "send", down)
    with pytest.raises(BlobUnknown):
        await blobs.read(link, 0, 10)


async def test_many_reports_take_little_memory(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_MOST_REPORTED", 3)
    for number in range(10):
        await stores.verifying.report(keys.object_name(stores.generation, f"{number}"), DIGEST)
    assert len(reported(memory)) == 10
    assert len(stores.verifying._reported) <= 3


async def test_a_read_of_all_there_is_reports_nothing(blobs: Blobs, memory: Memory) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    assert [it async for it in await blobs.read(link, 4, 6)] == [b"456789"]
    assert reported(memory) == []


async def test_an_address_names_the_object_and_not_the_repository(blobs: Blobs) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    url = await blobs.url(link)
    assert link.object in url
    assert "seconds=60" in url
    assert REPOSITORY not in url


async def test_what_is_not_there_is_unknown(blobs: Blobs) -> None:
    other = Digest.of(b"other")
    for operation in (blobs.find, blobs.link, blobs.delete):
        with pytest.raises(BlobUnknown) as caught:
            await operation(REPOSITORY, other)
        assert caught.value.detail == {"digest": str(other)}


async def test_a_blob_is_taken_out_of_one_repository(stores: Stores, blobs: Blobs) -> None:
    other = type(REPOSITORY)("other")
    await hold(stores, BLOB, repository=other)
    await blobs.delete(REPOSITORY, DIGEST)
    with pytest.raises(BlobUnknown):
        await blobs.find(REPOSITORY, DIGEST)
    assert await blobs.find(other, DIGEST)


async def test_a_blob_in_use_is_not_taken_out(stores: Stores, blobs: Blobs, pushes: Pushes) -> None:
    image = image_of([BLOB])
    await pushes.put(REPOSITORY, image, [], by=ME)
    with pytest.raises(Unsupported, match=f"in use by the manifest {image.digest}"):
        await blobs.delete(REPOSITORY, DIGEST)
    assert await blobs.find(REPOSITORY, DIGEST)


@pytest.mark.parametrize("count", [1, 16, 40])
async def test_edges_of_manifests_that_are_gone_do_not_count(
    stores: Stores, blobs: Blobs, count: int
) -> None:
    """A crash leaves some, and a deleted manifest keeps its own for as long as it can come back."""
    edges = [Insert(keys.edge(DIGEST, Digest.of(bytes([n])), "old"), {}) for n in range(count)]
    await stores.contents.commit(REPOSITORY, edges)
    await blobs.delete(REPOSITORY, DIGEST)
    assert await stores.contents.link(REPOSITORY, DIGEST) is None


async def test_the_one_edge_that_counts_is_found_among_many(
    stores: Stores, blobs: Blobs, pushes: Pushes
) -> None:
    edges = [Insert(keys.edge(DIGEST, Digest.of(bytes([n])), "old"), {}) for n in range(60)]
    await stores.contents.commit(REPOSITORY, edges)
    image = image_of([BLOB])
    await pushes.put(REPOSITORY, image, [], by=ME)
    with pytest.raises(Unsupported, match=f"in use by the manifest {image.digest}"):
        await blobs.delete(REPOSITORY, DIGEST)


async def test_a_push_between_the_look_for_edges_and_the_deletion_is_seen(
    blobs: Blobs, pushes: Pushes, memory: Memory, before: Before
) -> None:
    """Were the edges read before the link, the link read then would be the push's own."""
    before(memory.rows, "scan", lambda: pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME))
    with pytest.raises(Unsupported):
        await blobs.delete(REPOSITORY, DIGEST)


async def test_a_blob_that_a_push_uses_in_the_midst_of_its_deletion_stays(
    blobs: Blobs, pushes: Pushes, memory: Memory, before: Before
) -> None:
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME))
    with pytest.raises(Unsupported):
        await blobs.delete(REPOSITORY, DIGEST)
    assert await blobs.find(REPOSITORY, DIGEST)


async def test_few_are_read_at_once_however_slowly(blobs: Blobs) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    slow = [await blobs.read(link, 0, link.size) for _ in range(2)]
    with pytest.raises(TooManyRequests, match="too many downloads"):
        await blobs.read(link, 0, link.size)
    assert b"".join([piece async for piece in slow.pop()]) == BLOB.content
    slow.append(await blobs.read(link, 0, link.size))
    for pieces in slow:
        await cast("AsyncGenerator[bytes]", pieces).aclose()


async def test_who_goes_away_gives_the_place_back(blobs: Blobs) -> None:
    link = await blobs.link(REPOSITORY, DIGEST)
    for _ in range(5):
        await blobs.read(link, 0, link.size)  # nobody reads on
        gc.collect()
        await asyncio.sleep(0)
    for _ in range(5):
        pieces = cast("AsyncGenerator[bytes]", await blobs.read(link, 0, link.size))
        assert await anext(pieces)
        await pieces.aclose()


async def test_a_deletion_that_is_repeated_by_itself_is_done(
    stores: Stores, blobs: Blobs, memory: Memory, before: Before
) -> None:
    """The answer to the first try is lost, and the storage client sends it again."""
    link = await blobs.link(REPOSITORY, DIGEST)
    first = [Delete(keys.blob(DIGEST), link.etag)]
    before(memory.rows, "commit", lambda: stores.contents.commit(REPOSITORY, first))
    await blobs.delete(REPOSITORY, DIGEST)
    with pytest.raises(BlobUnknown):
        await blobs.delete(REPOSITORY, DIGEST)


async def test_a_deletion_that_is_seen_to_is_done_though_others_meet_it(
    stores: Stores, blobs: Blobs, memory: Memory, before: Before
) -> None:
    async def touched_then_gone() -> None:
        await touch(stores)
        before(memory.rows, "get", lambda: remove(stores))

    before(memory.rows, "commit", touched_then_gone)
    await blobs.delete(REPOSITORY, DIGEST)


async def test_a_deletion_looks_at_edges_for_so_long(
    stores: Stores, blobs: Blobs, clock: Clock, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = [Insert(keys.edge(DIGEST, Digest.of(bytes([n])), "old"), {}) for n in range(90)]
    await stores.contents.commit(REPOSITORY, edges)
    scan = memory.rows.scan

    async def slow(*arguments: object, **options: object) -> object:
        clock.move(seconds=20)
        return await scan(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(memory.rows, "scan", slow)
    with pytest.raises(ports.Unavailable, match="too many manifests that are deleted"):
        await blobs.delete(REPOSITORY, DIGEST)
    assert await blobs.link(REPOSITORY, DIGEST)
