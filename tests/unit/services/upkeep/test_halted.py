"""Lost tables, then everything: who removes does nothing while rows may be missing."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content import plans
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.garbage.garbage import Collected, Garbage
from shared.services.garbage.leftovers import Leftovers, Looked
from shared.services.upkeep.builds import Builds
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.retirement import Retirement
from shared.services.verification.healing import Healing, Stage, Task
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.halt import AGAIN
from shared.storage.layers.preparing import prepared as preparing
from shared.storage.messages.errands import Errand, Kind
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Delete, Insert, StorageError
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock, Ids
from tests.support.images import blob
from tests.support.messages import addressed
from tests.support.pauses import no_pause
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import (
    GRACE,
    LATEST,
    LIFETIME,
    REPOSITORY,
    hold,
    image_of,
    parts,
    verification_of,
)

TWO = parts(2)
OTHER = RepositoryName("z/other")
BLOB = blob(b"0123456789")
DIGEST = Digest.parse(BLOB.digest)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
YEAR = timedelta(days=400)


@pytest.fixture
async def stores(prepared: Memory, clock: Clock) -> Stores:
    """Stores that make what is missing, as those of an app."""
    rows, objects, messages, beside = preparing(*prepared.ports())
    return Stores.over(
        rows,
        objects,
        messages,
        GENERATION,
        beside=beside,
        bodies=Bodies(1_000_000),
        clock=clock,
        new_id=Ids(),
        pause=no_pause,
    )


def objects(memory: Memory) -> dict[str, bytes]:
    assert memory.objects._container
    return {name: it.data for name, it in memory.objects._container.objects.items()}


def errands(memory: Memory, kind: Kind) -> int:
    sent = addressed(memory.messages.sent)
    return sum(Errand.read(it.body.encode()).kind is kind for it in sent if it.queue == keys.UPKEEP)


async def lose(memory: Memory, stores: Stores, *tables: str) -> None:
    """Let tables be lost, and be made anew by whoever misses them first."""
    for table in tables:
        del memory.rows._tables[table]
    for table in tables:
        assert await stores.index._rows.get(table, "p", "k") is None


@pytest.mark.parametrize(
    "lost", [(keys.BLOBS,), (keys.CONTENTS,), (keys.CONTENTS, keys.BLOBS)], ids=str
)
async def test_lost_tables_cost_no_object(
    stores: Stores, pushes: Pushes, memory: Memory, clock: Clock, lost: tuple[str, ...]
) -> None:
    await hold(stores, *TWO, BLOB)
    await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    clock.now += YEAR
    kept = objects(memory)
    await lose(memory, stores, *lost)
    clock.now += YEAR

    garbage, leftovers = Garbage(stores, GRACE), Leftovers(stores, LIFETIME)
    for content in (*TWO, BLOB):
        await garbage.collect(REPOSITORY, Digest.parse(content.digest))
    position = (await leftovers.sweep()).position
    assert not position
    for name in kept:
        await leftovers.look_at(name)
    assert objects(memory) == kept

    assert await stores.halt.lift()
    assert (await leftovers.sweep()).removed
    assert len(objects(memory)) < len(kept)


async def test_the_collector_leaves_the_link_too_and_comes_again(
    stores: Stores, memory: Memory, clock: Clock
) -> None:
    await hold(stores, BLOB)
    clock.now += 2 * GRACE
    await stores.halt.put([keys.CONTENTS])

    assert await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST) == Collected(again=AGAIN)
    assert await stores.contents.link(REPOSITORY, DIGEST)
    assert (await Garbage(stores, GRACE, is_dry=True).collect(REPOSITORY, DIGEST)).taken
    await stores.halt.lift()
    assert (await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)).taken


async def test_a_leftover_stays_and_is_looked_at_again(
    stores: Stores, memory: Memory, clock: Clock
) -> None:
    await hold(stores, BLOB)
    (name,) = objects(memory)
    await lose(memory, stores, keys.BLOBS)
    clock.now += GRACE

    assert await Leftovers(stores, LIFETIME).look_at(name) == Looked(again=AGAIN)
    assert await Leftovers(stores, LIFETIME, is_dry=True).look_at(name) == Looked(True)


async def test_the_collector_is_asked_once_to_look_at_a_leftover_that_stays(
    stores: Stores, memory: Memory, clock: Clock
) -> None:
    """It was asked again each hour."""
    await hold(stores, BLOB)
    (name,) = objects(memory)
    await lose(memory, stores, keys.BLOBS)
    message = ToVerify.named(name)
    for _ in range(5):
        memory.messages.sent, before = [], memory.messages.sent
        await verification_of(stores).go_on(message)
        sent = addressed(memory.messages.sent)
        (again,) = [it.body for it in sent if it.queue == keys.VERIFICATION]
        asked = [it for it in sent if it.queue == keys.GARBAGE]
        assert len(asked) == (0 if before else 1)
        message, clock.now = ToVerify.read(again.encode()), clock.now + GRACE


async def test_a_purge_is_put_off(
    stores: Stores, pushes: Pushes, manifests: Manifests, purge: Purge, memory: Memory, clock: Clock
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, LARGE.digest, by=ME)
    (deleted,) = await stores.deleted.page(REPOSITORY, "", 10)
    clock.now += YEAR
    await stores.halt.put([keys.BLOBS])
    kept = memory.kept()

    await purge.purge(REPOSITORY, LARGE.digest, deleted.manifest.life)
    assert memory.kept() == kept
    assert errands(memory, Kind.PURGE) == 1
    await stores.halt.lift()
    await purge.purge(REPOSITORY, LARGE.digest, deleted.manifest.life)
    assert memory.keys("deleted|") == []


@pytest.mark.parametrize("is_back", [True, False])
async def test_a_repository_whose_manifests_are_lost_stays_listed(
    stores: Stores,
    pushes: Pushes,
    retirement: Retirement,
    memory: Memory,
    clock: Clock,
    is_back: bool,
) -> None:
    """`is_back`: its first rows are there again, and its manifests are still to come."""
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    first = await stores.contents.rows(REPOSITORY, [keys.WRITABLE, keys.REPOSITORY])
    await lose(memory, stores, keys.CONTENTS)
    if is_back:
        await stores.contents.commit(REPOSITORY, [Insert(row.key, row.values) for row in first])
    clock.now += YEAR

    assert not await retirement.retire(REPOSITORY)
    assert await stores.index.page("", 10) == [REPOSITORY]
    assert await stores.contents.exists(REPOSITORY) is is_back
    assert errands(memory, Kind.RETIRE) == 1
    await stores.halt.lift()
    assert await retirement.retire(REPOSITORY)


async def test_a_build_is_ended_later(
    stores: Stores,
    pushes: Pushes,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = parts(12)
    image = image_of(many)
    await hold(stores, *many)
    with monkeypatch.context() as patch:
        patch.setattr(plans, "MOST_CHANGES", 10)
        patch.setattr(memory.rows, "commit", _failing_at(memory, 5))
        with pytest.raises(StorageError):
            await pushes.put(REPOSITORY, image, [], by=ME)
    (key,) = memory.keys("build|")
    life = keys.last_part(key)
    clock.now += YEAR
    await stores.halt.put([keys.BLOBS])
    before = errands(memory, Kind.END_BUILD)

    await Builds(stores).end(REPOSITORY, image.digest, life)
    assert memory.keys("build|") == [key]
    assert memory.keys("edge|")
    assert errands(memory, Kind.END_BUILD) == before + 1
    await stores.halt.lift()
    await Builds(stores).end(REPOSITORY, image.digest, life)
    assert memory.keys("build|") == memory.keys("edge|") == []


async def condemned(stores: Stores, memory: Memory, name: str) -> Task:
    """Let an object rot, and be found so."""
    assert memory.objects._container
    there = memory.objects._container.objects
    object.__setattr__(there[name], "data", b"rotten")
    assert (await verification_of(stores).verify(name)).is_sound is False
    return Task(Digest.parse(BLOB.digest), name, Stage.WITHDRAW)


async def test_bad_bytes_are_let_go_later(stores: Stores, memory: Memory, clock: Clock) -> None:
    await hold(stores, BLOB)
    (name,) = objects(memory)
    healing = Healing(stores)
    task = await healing.do(await condemned(stores, memory, name))
    assert task
    clock.now += YEAR
    await stores.halt.put([keys.CONTENTS])

    again = await healing.do(task)
    assert again
    assert (again.stage, again.wait) == (task.stage, AGAIN)
    assert name in objects(memory)
    await stores.halt.lift()
    assert await healing.do(again) is None
    assert objects(memory) == {}


async def test_healing_is_not_over_while_rows_may_be_missing(
    stores: Stores, pushes: Pushes, memory: Memory, clock: Clock
) -> None:
    """Neither for want of a link that names bad bytes, nor of an edge that wants sound ones."""
    await hold(stores, BLOB)
    await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
    (name,) = objects(memory)
    task = await condemned(stores, memory, name)
    healing = Healing(stores)
    await hold(stores, BLOB, repository=OTHER)
    rows = memory.rows._tables[keys.CONTENTS]
    lost = {partition: dict(there) for partition, there in rows.items()}
    clock.now += YEAR
    await lose(memory, stores, keys.CONTENTS)

    for stage in (Stage.SETTLE, Stage.HEAL):
        begun = replace(task, stage=stage, after=keys.holder(REPOSITORY))
        assert await healing.do(begun) == replace(begun, after="", wait=AGAIN)
    assert len(await healing.unfinished(DIGEST)) == 2
    memory.rows._tables[keys.CONTENTS] = lost
    await stores.halt.lift()
    for stage in (Stage.SETTLE, Stage.HEAL):
        assert await healing.do(replace(task, stage=stage)) is None
    assert await healing.unfinished(DIGEST) == []
    link = await stores.contents.link(REPOSITORY, DIGEST)
    assert link
    assert link.object in objects(memory)


async def test_a_halt_between_the_reads_and_the_write_is_heeded(
    stores: Stores, pushes: Pushes, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last read of the collector, for edges, finds the table that was made anew meanwhile.

    There is no link by whose ETag it could fail, as of bytes that are about to be healed.
    """
    await hold(stores, BLOB)
    await pushes.put(REPOSITORY, image_of([BLOB]), [], by=ME)
    await stores.contents.commit(REPOSITORY, [Delete(keys.blob(DIGEST))])
    clock.now += 2 * GRACE
    scan = memory.rows.scan

    async def losing(table: str, *arguments: Any, **options: Any) -> Any:
        if table == keys.CONTENTS:
            monkeypatch.setattr(memory.rows, "scan", scan)
            await lose(memory, stores, keys.CONTENTS)
        return await scan(table, *arguments, **options)

    monkeypatch.setattr(memory.rows, "scan", losing)
    collected = await Garbage(stores, GRACE).collect(REPOSITORY, DIGEST)
    assert collected == Collected(again=AGAIN)
    assert len(objects(memory)) == 1


def _failing_at(memory: Memory, number: int) -> Callable[..., Awaitable[list[str]]]:
    commit, calls = memory.rows.commit, 0

    async def failing(*arguments: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls >= number:
            raise StorageError("storage is down")
        return await commit(*arguments)

    return failing
