"""What a crash leaves of blobs: the sweep mends it, once."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.garbage.garbage import Garbage
from shared.services.sweep.findings import What
from shared.services.sweep.sweep import Sweep
from shared.storage import keys
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import (
    GRACE,
    REPOSITORY,
    Crash,
    hold,
    image_of,
    verification_of,
)
from tests.unit.services.content.test_uploads import objects, part, shown
from tests.unit.services.sweep.conftest import OLD, Mend, Settle, once_old, whole_round

BLOB, MORE = blob(b"0123456789"), blob(b"more")
DIGEST = Digest.parse(BLOB.digest)
OTHER = RepositoryName("other")
MINUTES = timedelta(minutes=15)

type Die = Callable[[Memory, int], Callable[[], None]]


def rows(memory: Memory) -> list[str]:
    return [*memory.rows._tables[keys.BLOBS].get(keys.blob_partition(GENERATION, DIGEST), {})]


@pytest.mark.parametrize(
    ("writes", "found"), [(2, []), (3, [What.OBJECT]), (4, [What.HOLDER])], ids=str
)
async def test_what_an_upload_left_goes(
    writes: int,
    found: list[What],
    uploads: Uploads,
    memory: Memory,
    crash: Die,
    mend: Mend,
    clock: Clock,
) -> None:
    live_again = crash(memory, writes)
    with pytest.raises(Crash):
        await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    live_again()
    clock.now += MINUTES
    assert await mend() == found
    assert rows(memory) == []
    assert objects(memory) == {}


async def test_an_upload_under_way_is_left_alone(
    uploads: Uploads, memory: Memory, crash: Die, sweep: Sweep, clock: Clock
) -> None:
    live_again = crash(memory, 4)
    with pytest.raises(Crash):
        await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    live_again()
    assert await whole_round(sweep) == []
    assert len(rows(memory)) == 3


async def test_what_a_mount_left_goes_and_its_source_stays(
    stores: Stores, memory: Memory, mend: Mend
) -> None:
    await hold(stores, BLOB)
    link = await stores.contents.link(REPOSITORY, DIGEST)
    assert link
    await stores.holdings.join(DIGEST, OTHER, link.object)
    assert await mend() == [What.HOLDER]
    assert await stores.holdings.holders(DIGEST, "", 9) == [REPOSITORY]
    assert await shown(stores, DIGEST) == BLOB.content


@pytest.mark.parametrize(
    ("writes", "found"), [(1, [What.HOLDER]), (2, [What.GONE]), (3, [What.GONE])], ids=str
)
async def test_what_a_collection_left_goes(
    writes: int,
    found: list[What],
    stores: Stores,
    memory: Memory,
    crash: Die,
    mend: Mend,
    clock: Clock,
) -> None:
    await hold(stores, BLOB)
    clock.now += 2 * GRACE
    live_again = crash(memory, writes)
    with pytest.raises(Crash):
        await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
    live_again()
    assert await mend() == found
    assert rows(memory) == []
    assert objects(memory) == {}


async def spoil(stores: Stores, memory: Memory, repository: RepositoryName) -> None:
    """Let a blob's bytes rot, and be found."""
    link = await stores.contents.link(repository, DIGEST)
    assert link
    container = memory.objects._container
    assert container
    object.__setattr__(container.objects[link.object], "data", b"rotten")
    await verification_of(stores).verify(link.object)
    assert await stores.contents.link(repository, DIGEST)


@pytest.fixture
async def condemned(
    stores: Stores, memory: Memory, pushes: Pushes, settle: Settle, clock: Clock
) -> None:
    """Bad bytes that a manifest uses, found and taken out of service; nobody heard of it."""
    await hold(stores, BLOB, MORE)
    await pushes.put(REPOSITORY, image_of([BLOB, MORE]), [], by=ME)
    await settle()
    await spoil(stores, memory, REPOSITORY)


@pytest.mark.usefixtures("condemned")
async def test_bad_bytes_are_withdrawn(stores: Stores, memory: Memory, mend: Mend) -> None:
    assert await mend() == [What.BAD]
    assert await stores.contents.link(REPOSITORY, DIGEST) is None
    assert b"rotten" not in objects(memory).values()
    assert await mend() == []


@pytest.mark.usefixtures("condemned")
async def test_what_is_sound_again_is_shown_again(
    stores: Stores, memory: Memory, mend: Mend, uploads: Uploads
) -> None:
    await mend()
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    assert await mend() == [What.BAD]
    assert await shown(stores, DIGEST) == BLOB.content
    assert not any(key.startswith("gone|") for key in rows(memory))


@pytest.mark.usefixtures("condemned")
async def test_what_was_condemned_just_now_is_left_to_its_message(sweep: Sweep) -> None:
    assert await whole_round(sweep) == []


@pytest.mark.usefixtures("condemned")
async def test_of_two_that_were_bad_only_the_old_one_is_told_of(
    stores: Stores, memory: Memory, mend: Mend, uploads: Uploads, sweep: Sweep, clock: Clock
) -> None:
    await mend()
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    await spoil(stores, memory, OTHER)
    assert len([key for key in rows(memory) if key.startswith("gone|")]) == 2
    assert await once_old(sweep, clock) == [What.BAD]


async def test_an_object_of_its_name_that_came_later_stays(
    stores: Stores, memory: Memory, sweep: Sweep, clock: Clock, crash: Die
) -> None:
    """A token played again: the name is that of what is to be removed, the ETag is not."""
    await hold(stores, BLOB)
    clock.now += 2 * GRACE
    live_again = crash(memory, 3)
    with pytest.raises(Crash):
        await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
    live_again()
    (name,) = [keys.object_name(GENERATION, keys.last_part(key)) for key in rows(memory)]
    about = {"kind": "cancelled", "made": clock().isoformat(), "by": "x", "repository": "r"}
    await stores.objects.put(name, b"later", about)
    clock.now += OLD
    await whole_round(sweep)
    assert objects(memory) == {name: b"later"}
    assert rows(memory) == []
