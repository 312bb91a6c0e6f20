"""Objects that take longer than a message may: each message goes on where another stopped."""

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import Unavailable as TooBusy
from shared.model.digest import Digest
from shared.model.progress import ProgressSeal
from shared.services.content.pushes import Pushes
from shared.services.verification import hashing
from shared.services.verification import verification as module
from shared.services.verification.verification import Verification
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.messages.collecting import Suspects
from shared.storage.messages.verifying import ToVerify
from shared.storage.origins import BLOB as KIND
from shared.storage.origins import Origin
from shared.storage.ports import Unavailable, Update
from shared.storage.rows.holdings import BAD, GOOD, Content, Holdings
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import Blob, blob
from tests.support.messages import addressed
from tests.unit.services.conftest import GRACE, REPOSITORY, SEAL, Before, hold, image_of
from tests.unit.services.verification.test_healing import spoil

BLOCK = 100
LONG = blob(bytes(range(256)) * 4 + b"and a rest")
DIGEST = Digest.parse(LONG.digest)
PARTS = -(-LONG.size // BLOCK)

type Reads = list[tuple[int, int]]


@pytest.fixture
def reads(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What was read: from where, and how many bytes of it."""
    read, found = memory.objects.read, list[tuple[int, int]]()

    async def noted(name: str, start: int = 0, *more: Any) -> AsyncGenerator[bytes]:
        place = len(found)
        found.append((start, 0))
        async for piece in read(name, start, *more):
            for at in range(0, len(piece), 30):
                found[place] = start, found[place][1] + len(piece[at : at + 30])
                yield piece[at : at + 30]

    monkeypatch.setattr(memory.objects, "read", noted)
    return found


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let so many blocks of 100 bytes be what a message has time for."""
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", BLOCK)

    def allow(blocks: int) -> None:
        seconds = iter(range(10_000))
        allowed = timedelta(seconds=blocks - 0.5)
        monkeypatch.setattr(module, "LONGEST", allowed)
        monkeypatch.setattr(module, "Span", lambda _, length: Span(seconds.__next__, length))

    allow(1)
    return allow


async def held(stores: Stores, content: Blob = LONG) -> str:
    await hold(stores, content)
    row = await stores.holdings.content(Digest.parse(content.digest))
    assert row
    return str(row.values["object"])


def asked(memory: Memory) -> list[ToVerify]:
    """Take the messages to verify at once that have been sent."""
    sent = memory.messages.sent
    found = [message for message in sent if message[0] == keys.VERIFICATION]
    sent[:] = [message for message in sent if message[0] != keys.VERIFICATION]
    return [ToVerify.read(body.encode()) for _, body, _ in addressed(found)]


async def go_on(verification: Verification, memory: Memory, message: ToVerify) -> int:
    """Read a message and those that follow; tell how many there were."""
    for count in range(1, 100):
        await verification.go_on(message)
        following = asked(memory)
        if not following:
            return count
        (message,) = following
    raise AssertionError("messages follow without end")


def rot(memory: Memory, name: str) -> None:
    """Change the last byte of an object."""
    bad = bytearray(LONG.content)
    bad[-1] ^= 1
    assert memory.objects._container
    object.__setattr__(memory.objects._container.objects[name], "data", bytes(bad))


async def state(stores: Stores) -> tuple[object, object]:
    row = await stores.holdings.content(DIGEST)
    return (row.values["state"], row.values.get("verified")) if row else ("", "")


async def test_each_message_reads_a_part_and_the_last_one_marks(
    stores: Stores, memory: Memory, verification: Verification, reads: Reads, clock: Clock
) -> None:
    name = await held(stores)
    assert await go_on(verification, memory, ToVerify.named(name)) == PARTS
    assert [start for start, _ in reads] == [*range(0, LONG.size, BLOCK)]
    assert sum(size for _, size in reads) < LONG.size + (BLOCK + 30) * len(reads)
    assert await state(stores) == (GOOD, clock())


async def test_a_longer_time_takes_fewer_messages(
    stores: Stores, memory: Memory, verification: Verification, slow: Callable[[int], None]
) -> None:
    slow(5)
    assert await go_on(verification, memory, ToVerify.named(await held(stores))) == 3


async def test_bad_bytes_are_read_once_more_before_they_are_condemned(
    stores: Stores, memory: Memory, verification: Verification, reads: Reads, clock: Clock
) -> None:
    name = await held(stores)
    rot(memory, name)
    await go_on(verification, memory, ToVerify.named(name))
    firsts = [start for start, _ in reads]
    assert firsts == 2 * [*range(0, LONG.size, BLOCK)]
    assert await state(stores) == (BAD, clock())


async def test_a_message_that_comes_twice_does_no_harm(
    stores: Stores, memory: Memory, verification: Verification, clock: Clock
) -> None:
    name = await held(stores)
    await verification.go_on(ToVerify.named(name))
    (part,) = asked(memory)
    await go_on(verification, memory, part)
    clock.move(days=1)
    assert await go_on(verification, memory, part) == PARTS - 1
    assert await state(stores) == (GOOD, clock())


@pytest.mark.parametrize("harm", ["tampered", "another key", "another object"])
async def test_a_part_that_is_not_of_this_object_begins_anew(
    stores: Stores, memory: Memory, verification: Verification, reads: Reads, harm: str
) -> None:
    name, other = await held(stores), await held(stores, blob(b"another" * 99))
    await verification.go_on(ToVerify.named(other if harm == "another object" else name))
    (message,) = asked(memory)
    text = message.part
    if harm == "tampered":
        text = f"{text[:40]}{'A' if text[40] != 'A' else 'B'}{text[41:]}"
    if harm == "another key":
        progress = SEAL.open(text)
        assert progress
        text = ProgressSeal(b"x" * 32).close(progress)
    reads.clear()
    await go_on(verification, memory, ToVerify(message.generation, keys.drawn(name), text))
    assert reads[0][0] == 0
    assert (await state(stores))[0] == GOOD


async def test_an_object_made_anew_under_the_name_begins_anew(
    stores: Stores, memory: Memory, verification: Verification, reads: Reads, clock: Clock
) -> None:
    """A token played again, after its object was removed: the digest is another."""
    name = await held(stores)
    await verification.go_on(ToVerify.named(name))
    (part,) = asked(memory)
    facts = await stores.objects.facts(name)
    row = await stores.holdings.content(DIGEST)
    assert facts
    assert row
    await stores.objects.delete(name, facts.etag)
    bad = LONG.content[:BLOCK] + b"?" + LONG.content[BLOCK + 1 :]
    about = Origin(KIND, clock(), "call", REPOSITORY, Digest.of(bad))
    await stores.objects.put(name, bad, about.metadata())
    reads.clear()
    await go_on(verification, memory, part)
    assert not reads
    assert (await state(stores))[0] == GOOD


async def test_what_leaves_its_digest_while_it_is_hashed_is_neither_marked_nor_condemned(
    stores: Stores, memory: Memory, verification: Verification, clock: Clock
) -> None:
    for is_bad in (False, True):
        name = await held(stores)
        if is_bad:
            rot(memory, name)
        await verification.go_on(ToVerify.named(name))
        (part,) = asked(memory)
        clock.move(hours=1)
        held_now = await stores.holdings.held(DIGEST, REPOSITORY)
        assert await stores.holdings.leave(DIGEST, held_now)
        kept = memory.kept()
        await go_on(verification, memory, part)
        assert memory.kept() == kept
        (gone,) = await stores.holdings.gone(DIGEST)
        await stores.objects.delete(gone.object, gone.etag)
        await stores.holdings.forget(DIGEST, gone)


async def test_what_storage_gave_before_it_failed_is_not_read_again(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    slow: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow(100)
    monkeypatch.setattr(hashing, "_WORTH_BYTES", 2 * BLOCK)
    name = await held(stores)
    read, starts = memory.objects.read, list[int]()

    async def failing(name: str, start: int = 0) -> AsyncGenerator[bytes]:
        starts.append(start)
        async for piece in read(name, start, 250):
            yield piece
        if start + 250 < LONG.size:
            raise Unavailable("the line broke")

    monkeypatch.setattr(memory.objects, "read", failing)
    await go_on(verification, memory, ToVerify.named(name))
    assert starts == [*range(0, LONG.size - 250, 200), starts[-1]]
    assert (await state(stores))[0] == GOOD


async def test_storage_that_breaks_again_and_again_fails(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    slow: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each message did a block and sent the next, at once: as many as an object has blocks."""
    slow(100)
    name = await held(stores)
    read = memory.objects.read

    async def failing(name: str, start: int = 0) -> AsyncGenerator[bytes]:
        async for piece in read(name, start, 2 * BLOCK):
            yield piece
        raise Unavailable("the line broke")

    monkeypatch.setattr(memory.objects, "read", failing)
    with pytest.raises(Unavailable, match="the line broke"):
        await verification.go_on(ToVerify.named(name))
    assert asked(memory) == []


async def test_storage_that_gives_nothing_fails(
    stores: Stores, memory: Memory, verification: Verification, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await held(stores)

    async def failing(*_: Any) -> AsyncGenerator[bytes]:
        raise Unavailable("down")
        yield b""

    monkeypatch.setattr(memory.objects, "read", failing)
    with pytest.raises(Unavailable, match="down"):
        await verification.go_on(ToVerify.named(name))
    assert await state(stores) == (GOOD, None)


async def test_the_collector_is_asked_once_to_look_at_a_new_blob(
    stores: Stores, memory: Memory, verification: Verification
) -> None:
    name = await held(stores)
    await go_on(verification, memory, ToVerify.named(name))
    sent = addressed(memory.messages.sent)
    (message,) = [message for message in sent if message[0] == keys.GARBAGE]
    assert Suspects.read(message[1].encode()).digests == (DIGEST,)
    assert message[2] == (GRACE * 3 / 2).total_seconds()
    await go_on(verification, memory, ToVerify.named(name))
    assert addressed(memory.messages.sent) == sent


async def test_the_collector_is_asked_before_a_blob_is_marked(
    stores: Stores, memory: Memory, verification: Verification, crash: Callable[..., Any]
) -> None:
    name = await held(stores)
    live_again = crash(memory, 0)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - the process died
        await verification.verify(name)
    live_again()
    assert await state(stores) == (GOOD, None)


async def test_another_object_of_the_name_does_not_pay_for_the_one_before_it(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    slow: Callable[[int], None],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While bad bytes are hashed their object goes, and a token played again makes a good one."""
    slow(100)
    name = await held(stores)
    spoil(memory, name)
    read, reads = memory.objects.read, list[str]()

    async def replaced(name: str, *more: Any) -> AsyncGenerator[bytes]:
        reads.append(name)
        found = [piece async for piece in read(name, *more)]
        if len(reads) == 2:
            await _make_again(stores, name, clock)
        for piece in found:
            yield piece

    monkeypatch.setattr(memory.objects, "read", replaced)
    assert (await verification.verify(name)).is_sound is None
    assert await state(stores) == (GOOD, None)


async def _make_again(stores: Stores, name: str, clock: Clock) -> None:
    clock.move(hours=1)
    await stores.holdings.leave(DIGEST, await stores.holdings.held(DIGEST, REPOSITORY))
    (gone,) = await stores.holdings.gone(DIGEST)
    await stores.objects.delete(name, gone.etag)
    await stores.holdings.forget(DIGEST, gone)
    about = Origin(KIND, clock(), "another call", REPOSITORY, DIGEST)
    etag = await stores.objects.put(name, LONG.content, about.metadata())
    await stores.holdings.offer(DIGEST, REPOSITORY, Content(name, etag, LONG.size))


async def test_blocks_that_are_whole_leave_no_rest(
    stores: Stores, memory: Memory, verification: Verification
) -> None:
    even = blob(bytes(3 * BLOCK))
    assert await go_on(verification, memory, ToVerify.named(await held(stores, even))) == 3
    row = await stores.holdings.content(Digest.parse(even.digest))
    assert row
    assert row.values["verified"]


@pytest.mark.parametrize("is_bad", [False, True])
async def test_a_content_that_changes_meanwhile_is_marked_without_hashing_anew(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    slow: Callable[[int], None],
    reads: Reads,
    before: Before,
    is_bad: bool,
) -> None:
    """Another holder leaves: the row has another ETag, and names the same object."""
    slow(100)
    name = await held(stores)
    if is_bad:
        rot(memory, name)

    async def touch() -> None:
        changed = Update(keys.CONTENT, {})
        partition = keys.blob_partition(stores.generation, DIGEST)
        await memory.rows.commit(keys.BLOBS, partition, [changed])

    before(memory.rows, "commit", touch)
    assert (await verification.verify(name)).is_sound is not is_bad
    assert len(reads) == (2 if is_bad else 1)


async def test_a_content_that_never_rests_is_verified_later(
    stores: Stores,
    verification: Verification,
    slow: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> bool:
        return False

    slow(100)
    name = await held(stores)
    monkeypatch.setattr(Holdings, "verified", never)
    with pytest.raises(TooBusy, match="keep changing: verify it later"):
        await verification.verify(name)


async def test_a_body_may_take_parts_too(
    stores: Stores, memory: Memory, verification: Verification, pushes: Pushes
) -> None:
    large = image_of([LONG], annotations={"long": "x" * INLINE_BYTES})
    await hold(stores, LONG)
    await pushes.put(REPOSITORY, large, [], by=ME)
    record = await stores.contents.manifest(REPOSITORY, large.digest, with_body=False)
    assert record
    asked_first = ToVerify.named(record.object)
    await verification.go_on(asked_first)
    (part,) = asked(memory)
    assert part.part
