import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import pytest

from shared.errors import BlobUploadInvalid, TooManyRequests
from shared.model.hashing import Hasher
from shared.model.upload import block_id
from shared.services.content import staging as module
from shared.services.content.staging import Place, Staged, Staging
from shared.services.turns import turns
from shared.storage.memory.objects import MemoryObjects
from shared.storage.ports import Unavailable
from tests.support.app import Memory

PLACE = Place("upload", b"n" * 8, bytes(8))
BLOCK = 8


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", BLOCK)


class SlowObjects(MemoryObjects):
    """Objects that are staged only when they are let, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.now = self.most = self.begun = self.cut_off = 0
        self.fails_at = -1

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        self.begun, self.now = self.begun + 1, self.now + 1
        self.most = max(self.most, self.now)
        place = self.begun - 1
        try:
            if place == self.fails_at:
                raise Unavailable("busy")
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.now -= 1
        await super().stage(name, block_id, data)


@pytest.fixture
async def slow() -> SlowObjects:
    objects = SlowObjects()
    await objects.prepare()
    return objects


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class Client:
    """A client that sends whole blocks, and knows how many were taken from it."""

    def __init__(self, blocks: int) -> None:
        self.blocks, self.sent = blocks, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.blocks):
            self.sent += 1
            yield b"x" * BLOCK


async def settled(done: Callable[[], bool] = lambda: False) -> None:
    """Let all run that can."""
    for _ in range(200):
        if done():
            return
        await asyncio.sleep(0)


CUTS = [
    [],
    [b""],
    [b"x"],
    [b"x" * 7],
    [b"x" * 8],
    [b"x" * 9],
    [b"x" * 16],
    [b"x"] * 17,
    [b"abc", b"", b"defgh", b"ij" * 20],
    [bytes(range(100))],
]


@pytest.mark.parametrize("pieces", CUTS, ids=lambda it: f"{len(it)}x{len(b''.join(it))}")
async def test_a_body_is_cut_into_blocks_and_hashed(prepared: Memory, pieces: list[bytes]) -> None:
    hasher, content = Hasher("sha256"), b"".join(pieces)
    staged = await Staging(prepared.objects).stage(PLACE, body(*pieces), hasher, 100)
    count = -(-len(content) // BLOCK)
    assert staged == Staged(len(content), count)
    assert hasher.digest().encoded == hashlib.sha256(content).hexdigest()
    names = [block_id(PLACE.nonce, PLACE.previous, number) for number in range(count)]
    await prepared.objects.commit("upload", names, {})
    assert b"".join([piece async for piece in prepared.objects.read("upload")]) == content


async def test_a_large_block_is_hashed_off_the_loop(
    prepared: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HASHED_IN_PLACE", 4)
    hasher = Hasher("sha512")
    await Staging(prepared.objects).stage(PLACE, body(b"0123456789"), hasher, 10)
    assert hasher.digest().encoded == hashlib.sha512(b"0123456789").hexdigest()


@pytest.mark.parametrize(("blocks", "fits"), [(2, True), (3, True), (4, False), (9, False)])
async def test_a_body_has_at_most_the_blocks_it_has_room_for(
    prepared: Memory, blocks: int, fits: bool
) -> None:
    stage = Staging(prepared.objects).stage(PLACE, aiter(Client(blocks)), Hasher("sha256"), 3)
    if fits:
        assert (await stage).blocks == blocks
    else:
        with pytest.raises(BlobUploadInvalid, match="at most 50000 blocks"):
            await stage


async def test_no_more_is_read_than_storage_takes(slow: SlowObjects) -> None:
    client = Client(50)
    task = asyncio.create_task(Staging(slow).stage(PLACE, aiter(client), Hasher("sha256"), 100))
    await settled()
    assert slow.now == 2  # blocks of one body on their way
    assert client.sent <= 4  # and one waiting, and one being filled
    slow.gate.set()
    assert (await task).blocks == 50
    assert slow.most == 2


async def test_all_bodies_together_have_a_bound(slow: SlowObjects) -> None:
    staging = Staging(slow, in_flight=3)
    places = [Place(f"upload {number}", b"n" * 8, bytes(8)) for number in range(10)]
    tasks = [
        asyncio.create_task(staging.stage(place, aiter(Client(5)), Hasher("sha256"), 100))
        for place in places
    ]
    await settled()
    assert slow.now == 3
    slow.gate.set()
    assert [staged.blocks for staged in await asyncio.gather(*tasks)] == [5] * 10
    assert slow.most == 3


async def test_a_body_too_many_waits_and_is_sent_away(slow: SlowObjects) -> None:
    staging = Staging(slow, bodies=2, patience=0.02)
    tasks = [
        asyncio.create_task(staging.stage(PLACE, aiter(Client(1)), Hasher("sha256"), 9))
        for _ in range(2)
    ]
    await settled()
    third = Client(9)
    with pytest.raises(TooManyRequests) as caught:
        await staging.stage(PLACE, aiter(third), Hasher("sha256"), 9)
    assert caught.value.headers == {"Retry-After": "5"}
    assert third.sent == 1  # what showed that there is a body
    slow.gate.set()
    await asyncio.gather(*tasks)
    assert (await staging.stage(PLACE, aiter(Client(9)), Hasher("sha256"), 9)).blocks == 9


async def test_a_body_without_bytes_waits_for_no_turn(slow: SlowObjects) -> None:
    staging = Staging(slow, bodies=1, patience=0.02)
    one = asyncio.create_task(staging.stage(PLACE, aiter(Client(1)), Hasher("sha256"), 9))
    await settled()
    for empty in (body(), body(b""), body(b"", b"")):
        assert await staging.stage(PLACE, empty, Hasher("sha256"), 9) == Staged(0, 0)
    slow.gate.set()
    await one


class Drip:
    """A body that brings a byte now and then."""

    def __init__(self, seconds: float, count: int = 1_000_000) -> None:
        self.seconds, self.count, self.brought = seconds, count, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.count):
            await asyncio.sleep(self.seconds)
            self.brought += 1
            yield b"x"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PACE_SECONDS", 0.2)
    monkeypatch.setattr(turns, "PACE_BYTES", 10)


async def test_bodies_that_drip_do_not_keep_their_turns(prepared: Memory, hurried: None) -> None:
    staging = Staging(prepared.objects, bodies=64, patience=10)
    dripping = [
        asyncio.create_task(staging.stage(PLACE, aiter(Drip(0.04)), Hasher("sha256"), 9))
        for _ in range(64)
    ]
    await asyncio.sleep(0.06)
    async with asyncio.timeout(5):
        assert await staging.stage(PLACE, body(b"x"), Hasher("sha256"), 9) == Staged(1, 1)
        for one in dripping:
            with pytest.raises(TooManyRequests, match=r"too slowly: . bytes in 0 s, and 10"):
                await one


async def test_a_body_that_never_begins_is_sent_away(slow: SlowObjects, hurried: None) -> None:
    staging = Staging(slow, bodies=1, patience=0.02)
    silent = asyncio.create_task(staging.stage(PLACE, aiter(Drip(60)), Hasher("sha256"), 9))
    await asyncio.sleep(0.01)
    slow.gate.set()
    assert (await staging.stage(PLACE, body(b"x"), Hasher("sha256"), 9)).size == 1
    with pytest.raises(TooManyRequests, match="too slowly: 0 bytes"):
        await silent


async def test_a_slow_body_that_makes_progress_is_taken(
    prepared: Memory, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PACE_SECONDS", 1)
    slow_body = Drip(0.02, count=60)  # longer than the span, with enough in each of them
    staged = await Staging(prepared.objects).stage(PLACE, aiter(slow_body), Hasher("sha256"), 9)
    assert staged.size == 60


async def test_storage_may_be_as_slow_as_it_likes(slow: SlowObjects, hurried: None) -> None:
    task = asyncio.create_task(Staging(slow).stage(PLACE, aiter(Client(20)), Hasher("sha256"), 100))
    await asyncio.sleep(0.4)
    slow.gate.set()
    assert (await task).blocks == 20


@pytest.mark.parametrize("fails_at", range(6))
async def test_a_block_that_fails_stops_the_body_and_its_other_blocks(
    slow: SlowObjects, fails_at: int
) -> None:
    slow.fails_at = fails_at
    staging, client = Staging(slow, in_flight=4), Client(50)
    task = asyncio.create_task(staging.stage(PLACE, aiter(client), Hasher("sha256"), 100))
    await settled(lambda: slow.begun > 1)
    slow.gate.set()
    with pytest.raises(Unavailable):
        await task
    assert slow.now == 0
    assert client.sent <= fails_at + 5
    slow.fails_at = -1
    again = await staging.stage(PLACE, aiter(Client(20)), Hasher("sha256"), 100)
    assert again.blocks == 20  # all places are free again


async def test_a_client_that_goes_stops_its_blocks(slow: SlowObjects) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * BLOCK
        await settled()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await Staging(slow).stage(PLACE, broken(), Hasher("sha256"), 100)
    assert (slow.begun, slow.now, slow.cut_off) == (1, 0, 1)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_cancelling_stops_all_and_frees_every_place(slow: SlowObjects, turns: int) -> None:
    staging = Staging(slow, bodies=1, in_flight=2, patience=1)
    task = asyncio.create_task(staging.stage(PLACE, aiter(Client(50)), Hasher("sha256"), 100))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.now == 0
    slow.gate.set()
    async with asyncio.timeout(5):
        again = await staging.stage(PLACE, aiter(Client(20)), Hasher("sha256"), 100)
    assert again.blocks == 20
