import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import (
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    RangeInvalid,
    SizeInvalid,
)
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.upload import LISTED_PIECES, Upload
from shared.services.content import uploads as module
from shared.services.content.uploads import Part, Uploads
from shared.services.garbage.garbage import Garbage
from shared.services.garbage.leftovers import Leftovers
from shared.storage import keys
from shared.storage.ports import Delete
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.unit.services.conftest import LIFETIME, REPOSITORY, Before, Crash

OTHER = RepositoryName("other")


async def stream(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 5):
        yield content[start : start + 5]


def part(
    content: bytes = b"",
    start: int | None = None,
    end: int | None = None,
    length: int | None = None,
) -> Part:
    return Part(stream(content), start, end, length)


async def appended(uploads: Uploads, upload: Upload, *contents: bytes) -> Upload:
    for content in contents:
        upload = await uploads.append(upload, part(content))
    return upload


async def shown(stores: Stores, digest: Digest, repository: RepositoryName = REPOSITORY) -> bytes:
    link = await stores.contents.link(repository, digest)
    assert link
    content = b"".join([piece async for piece in stores.objects.read(link.object)])
    assert link.size == len(content)
    return content


def objects(memory: Memory) -> dict[str, bytes]:
    assert memory.objects._container
    return {name: it.data for name, it in memory.objects._container.objects.items()}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("announced", ["sha256", "sha512"])
@pytest.mark.parametrize("contents", [[], [b"one"], [b"one", b"two", b"three"]], ids=len)
@pytest.mark.parametrize("last", [b"", b"last"])
async def test_an_upload_becomes_a_blob(
    stores: Stores,
    uploads: Uploads,
    memory: Memory,
    contents: list[bytes],
    last: bytes,
    algorithm: str,
    announced: str,
) -> None:
    whole = b"".join(contents) + last
    digest = Digest.of(whole, algorithm)
    upload = await appended(uploads, uploads.start(announced), *contents)
    await uploads.commit(REPOSITORY, upload, digest, part(last))
    assert await shown(stores, digest) == whole
    assert await stores.holdings.holders(digest, "", 10) == [REPOSITORY]
    assert list(objects(memory).values()) == [whole]


async def test_a_session_goes_through_its_token(
    stores: Stores, uploads: Uploads, clock: Clock
) -> None:
    upload = uploads.start()
    for number in range(2 * LISTED_PIECES):
        token = uploads.token(upload, REPOSITORY, "me")
        upload = uploads.open(token, REPOSITORY, "me")
        upload = await appended(uploads, upload, b"%04d" % number)
    whole = b"".join(b"%04d" % number for number in range(2 * LISTED_PIECES))
    assert (upload.offset, upload.pieces) == (len(whole), None)
    await uploads.commit(REPOSITORY, upload, Digest.of(whole), part())
    assert await shown(stores, Digest.of(whole)) == whole


async def test_a_session_ends_with_its_lifetime(uploads: Uploads, clock: Clock) -> None:
    token = uploads.token(uploads.start(), REPOSITORY, "me")
    clock.now += LIFETIME - timedelta(seconds=1)
    assert uploads.open(token, REPOSITORY, "me")
    clock.move(seconds=2)
    with pytest.raises(BlobUploadUnknown):
        uploads.open(token, REPOSITORY, "me")


type Place = tuple[int | None, int | None, int | None]

MISPLACED: list[tuple[bytes, Place, type[Exception], str]] = [
    (b"one", (1, 3, None), RangeInvalid, "at byte 0, the part begins at byte 1"),
    (b"one", (0, 3, None), SizeInvalid, "4 bytes were announced, 3 arrived"),
    (b"one", (0, 1, None), SizeInvalid, "2 bytes were announced, 3 arrived"),
    (b"one", (None, None, 4), SizeInvalid, "4 bytes were announced, 3 arrived"),
    (b"", (None, None, 1), SizeInvalid, "1 bytes were announced, 0 arrived"),
    (b"one", (None, None, 0), SizeInvalid, "0 bytes were announced, 3 arrived"),
]


@pytest.mark.parametrize(("content", "place", "error", "message"), MISPLACED)
@pytest.mark.parametrize("is_last", [False, True], ids=["append", "commit"])
async def test_a_misplaced_part_changes_nothing_and_the_session_lives_on(
    stores: Stores,
    uploads: Uploads,
    content: bytes,
    place: Place,
    error: type[Exception],
    message: str,
    is_last: bool,
) -> None:
    upload, whole, wrong = uploads.start(), Digest.of(b"one"), part(content, *place)
    step: Awaitable[object] = (
        uploads.commit(REPOSITORY, upload, whole, wrong)
        if is_last
        else uploads.append(upload, wrong)
    )
    with pytest.raises(error, match=message):
        await step
    await uploads.status(upload)
    await uploads.commit(REPOSITORY, upload, whole, part(b"one", 0, 2, 3))
    assert await shown(stores, whole) == b"one"


async def test_a_misplaced_part_tells_where_the_upload_is(uploads: Uploads) -> None:
    upload = await appended(uploads, uploads.start(), b"one")
    with pytest.raises(RangeInvalid) as caught:
        await uploads.append(upload, part(b"two", 0, 2))
    assert caught.value.offset == 3


async def test_an_empty_part_leaves_the_session_as_it_is(uploads: Uploads) -> None:
    upload = await appended(uploads, uploads.start(), b"one")
    assert await uploads.append(upload, part()) == upload


async def test_a_blob_has_at_most_so_many_blocks(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCKS", 2)
    upload = await appended(uploads, uploads.start(), b"one", b"two")
    with pytest.raises(BlobUploadInvalid):
        await uploads.append(upload, part(b"three"))


@pytest.mark.parametrize("announced", ["sha256", "sha512"])
async def test_a_wrong_digest_makes_nothing_visible(
    stores: Stores, uploads: Uploads, memory: Memory, announced: str
) -> None:
    upload = await appended(uploads, uploads.start(announced), b"one")
    wrong = Digest.of(b"two")
    kept = memory.kept()
    with pytest.raises(DigestInvalid, match="the content's digest is") as caught:
        await uploads.commit(REPOSITORY, upload, wrong, part())
    assert caught.value.detail == {"digest": str(wrong)}
    await tidy(stores, memory)
    assert memory.kept() == kept
    assert await stores.contents.link(REPOSITORY, wrong) is None


@pytest.mark.parametrize("pieces", [1, LISTED_PIECES + 2], ids=["listed", "chained"])
async def test_two_parts_at_the_same_time_do_not_mix(
    stores: Stores, uploads: Uploads, pieces: int
) -> None:
    """Each of the two gets a session of its own, and each is finished with its own bytes."""
    start = [b"%d," % number for number in range(pieces)]
    upload = await appended(uploads, uploads.start(), *start)
    one, two = await asyncio.gather(
        appended(uploads, upload, b"ONE", b"!"), appended(uploads, upload, b"two")
    )
    whole = b"".join(start) + b"ONE!"
    with pytest.raises(DigestInvalid):
        await uploads.commit(REPOSITORY, two, Digest.of(whole), part())
    await uploads.commit(REPOSITORY, one, Digest.of(whole), part())
    assert await shown(stores, Digest.of(whole)) == whole
    with pytest.raises(BlobUploadUnknown):
        await uploads.commit(REPOSITORY, two, Digest.of(b"".join(start) + b"two"), part())


@pytest.mark.parametrize("pieces", [1, LISTED_PIECES + 2], ids=["listed", "chained"])
async def test_a_cancelled_session_is_unknown_and_so_is_its_blob(
    stores: Stores, uploads: Uploads, pieces: int
) -> None:
    upload = await appended(uploads, uploads.start(), *([b"x"] * pieces))
    digest = Digest.of(b"x" * pieces)
    await uploads.status(upload)
    await uploads.cancel(REPOSITORY, upload)
    for refused in (
        uploads.cancel(REPOSITORY, upload),
        uploads.status(upload),
        uploads.commit(REPOSITORY, upload, digest, part()),
    ):
        with pytest.raises(BlobUploadUnknown):
            await refused
    assert await stores.contents.link(REPOSITORY, digest) is None


async def test_a_session_cancelled_without_bytes_is_unknown_until_it_gets_some(
    stores: Stores, uploads: Uploads
) -> None:
    upload = uploads.start()
    await uploads.cancel(REPOSITORY, upload)
    for refused in (uploads.cancel(REPOSITORY, upload), uploads.status(upload)):
        with pytest.raises(BlobUploadUnknown):
            await refused
    await uploads.commit(REPOSITORY, upload, Digest.of(b"one"), part(b"one"))
    assert await shown(stores, Digest.of(b"one")) == b"one"


async def test_a_finished_session_is_unknown_and_cannot_be_cancelled(
    stores: Stores, uploads: Uploads
) -> None:
    upload = await appended(uploads, uploads.start(), b"one")
    await uploads.commit(REPOSITORY, upload, Digest.of(b"one"), part())
    for refused in (uploads.status(upload), uploads.cancel(REPOSITORY, upload)):
        with pytest.raises(BlobUploadUnknown):
            await refused
    assert await shown(stores, Digest.of(b"one")) == b"one"


async def test_a_cancellation_that_is_repeated_by_itself_is_done(
    uploads: Uploads, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the first try is lost, and the storage client sends it again."""
    commit = memory.objects.commit

    async def twice(*arguments: Any) -> str:
        await commit(*arguments)
        return await commit(*arguments)

    upload = await appended(uploads, uploads.start(), b"one")
    monkeypatch.setattr(memory.objects, "commit", twice)
    await uploads.cancel(REPOSITORY, upload)
    with pytest.raises(BlobUploadUnknown):
        await uploads.cancel(REPOSITORY, upload)


async def test_a_session_cancelled_in_the_midst_of_its_end_is_one_or_the_other(
    stores: Stores, uploads: Uploads, memory: Memory, before: Before
) -> None:
    upload = await appended(uploads, uploads.start(), b"one")
    before(memory.objects, "commit", lambda: uploads.cancel(REPOSITORY, upload))
    with pytest.raises(BlobUploadUnknown):
        await uploads.commit(REPOSITORY, upload, Digest.of(b"one"), part())
    assert await stores.contents.link(REPOSITORY, Digest.of(b"one")) is None


WRITES = range(8)


@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize("pieces", [0, 2, LISTED_PIECES + 2], ids=["none", "listed", "chained"])
@pytest.mark.parametrize("last", [b"", b"last"], ids=["empty", "last"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "there"])
async def test_an_upload_that_died_at_its_end_is_finished_or_begun_again(
    stores: Stores,
    uploads: Uploads,
    memory: Memory,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
    pieces: int,
    last: bytes,
    algorithm: str,
    is_there: bool,
) -> None:
    whole = b"x" * pieces + last
    digest = Digest.of(whole, algorithm)
    if is_there:
        first = await appended(uploads, uploads.start(algorithm), whole)
        await uploads.commit(OTHER, first, digest, part())
    upload = await appended(uploads, uploads.start(), *([b"x"] * pieces))
    revive = crash(memory, writes)
    try:
        await uploads.commit(REPOSITORY, upload, digest, part(last))
    except Crash:
        assert writes < WRITES[-1]
    finally:
        revive()
    for _ in range(2):  # clients repeat what has succeeded, too
        try:
            await uploads.commit(REPOSITORY, upload, digest, part(last))
        except BlobUploadUnknown:
            upload = await appended(uploads, uploads.start(), *([b"x"] * pieces))
            await uploads.commit(REPOSITORY, upload, digest, part(last))
        assert await shown(stores, digest) == whole
    await tidy(stores, memory)
    assert await shown(stores, digest) == whole
    assert list(objects(memory).values()) == [whole]


async def tidy(stores: Stores, memory: Memory) -> None:
    """Let time pass, and remove what is not used."""
    memory.clock.move(minutes=20)
    for name in objects(memory):
        await Leftovers(stores, LIFETIME).look_at(name)
    garbage = Garbage(stores, timedelta(days=1))
    for partition in memory.rows._tables[keys.BLOBS]:
        await garbage.collect(REPOSITORY, Digest.parse(partition.partition("|")[2]))


async def test_a_finished_session_does_not_take_another_digest(uploads: Uploads) -> None:
    upload = await appended(uploads, uploads.start("sha512"), b"one")
    await uploads.commit(REPOSITORY, upload, Digest.of(b"one", "sha512"), part())
    with pytest.raises(BlobUploadUnknown):
        await uploads.commit(REPOSITORY, upload, Digest.of(b"one"), part())


async def test_a_finished_upload_may_be_repeated_while_its_blob_is_there(
    stores: Stores, uploads: Uploads, clock: Clock
) -> None:
    digest = Digest.of(b"one")
    upload = await appended(uploads, uploads.start(), b"one")
    await uploads.commit(REPOSITORY, upload, digest, part())
    clock.move(days=2)
    await uploads.commit(REPOSITORY, upload, digest, part())
    link = await stores.contents.link(REPOSITORY, digest)
    assert link
    assert link.seen == clock()
    await stores.contents.commit(REPOSITORY, [Delete(keys.blob(digest))])
    with pytest.raises(BlobUploadUnknown):
        await uploads.commit(REPOSITORY, upload, digest, part())


async def test_one_digest_has_one_object(stores: Stores, uploads: Uploads, memory: Memory) -> None:
    digest = Digest.of(b"one")
    for repository in (REPOSITORY, OTHER, REPOSITORY):
        upload = await appended(uploads, uploads.start(), b"one")
        await uploads.commit(repository, upload, digest, part())
        assert await shown(stores, digest, repository) == b"one"
    await tidy(stores, memory)
    assert len(objects(memory)) == 1
    assert await stores.holdings.holders(digest, "", 10) == [OTHER, REPOSITORY]
