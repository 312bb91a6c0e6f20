"""Whatever happens between any two calls to storage of a rebuild, what is promised holds.

A holds an image, an index of it, and a blob that nothing uses; B holds nothing. All rows are
lost. Before each call of the rebuild, one after the other, somebody else does something whole.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from shared.errors import BlobUnknown, ManifestBlobUnknown, ManifestUnknown, Unsupported
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.blobs import Blobs
from shared.services.content.joining import Joining
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.garbage.garbage import Garbage
from shared.services.rebuild.rebuild import Rebuild
from shared.services.rebuild.report import Tell
from shared.services.rebuild.survey import Lives
from shared.services.sweep.findings import Told
from shared.services.sweep.sweep import Sweep
from shared.services.turns.turns import Turns
from shared.services.verification.copies import Copies
from shared.services.verification.healing import Healing
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.ports import Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock, Ids
from tests.support.pauses import no_pause
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import (
    GRACE,
    KEPT,
    LIFETIME,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)
from tests.unit.services.rebuild.conftest import A, B, lose
from tests.unit.services.sweep.conftest import whole_round

V1 = Tag("v1")
PARTS = parts(2)
(UNUSED,) = parts(1, "unused")
IMAGE = image_of(PARTS)
INDEX = index_of([IMAGE])

_CALLS = {
    "rows": ("get", "scan", "page", "commit"),
    "objects": ("facts", "page", "put"),
    "messages": ("send",),
}


@dataclass(frozen=True, slots=True)
class World:
    """Storage whose tables are lost, and who works on it."""

    memory: Memory
    stores: Stores

    @classmethod
    async def lost(cls) -> "World":
        world = await cls.whole()
        world.memory.clock.move(days=1)
        lose(world.memory, keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)
        return world

    @classmethod
    async def whole(cls) -> "World":
        """Give one of which nothing is lost yet."""
        memory = await Memory(Clock()).prepare()
        clock = memory.clock
        stores = Stores.over(
            memory.rows,
            memory.objects,
            memory.messages,
            GENERATION,
            beside=memory.beside,
            bodies=Bodies(1_000_000),
            clock=clock,
            new_id=Ids(),
            pause=no_pause,
            ticks=clock.ticks,
        )
        await hold(stores, *PARTS, UNUSED, repository=A)
        for manifest in (IMAGE, INDEX):
            await Pushes(stores, is_sparse_allowed=False).put(A, manifest, [], by=ME)
            record = await stores.contents.manifest(A, manifest.digest, with_body=True)
            assert record
            await Copies(stores).make(A, record)
        return cls(memory, stores)

    async def rebuild(self) -> None:
        report = await Rebuild(self.stores, "r", is_sparse_allowed=False).run(lambda *_: None)
        assert not report.faults

    async def is_whole(self, repository: RepositoryName) -> bool:
        """Tell whether the image is there; then with all its contents."""
        record = await self.stores.contents.manifest(repository, IMAGE.digest, with_body=True)
        for blob in IMAGE.blobs if record else ():
            link = await self.stores.contents.link(repository, blob.digest)
            row = await self.stores.holdings.content(blob.digest)
            assert link
            assert row
            assert row.values["state"] == GOOD
            assert link.object == content_of(row).object
            assert await self.memory.objects.facts(link.object)
            assert await self.stores.contents.is_linked(repository, blob.digest)
            held = await self.stores.holdings.held(blob.digest, repository)
            assert held.holder
            assert held.good
        return record is not None

    async def collect(self) -> None:
        """Let all be collected that nothing needs."""
        told = Told(Garbage(self.stores, GRACE).collect, Healing(self.stores).do)
        sweep = Sweep(self.stores, told, grace=GRACE, kept=KEPT, lifetime=LIFETIME)
        for _ in range(2):
            self.memory.clock.now += 2 * GRACE
            await whole_round(sweep)


async def push(world: World) -> bool:
    """Push the image again, under a tag."""
    try:
        await Pushes(world.stores, is_sparse_allowed=False).put(A, IMAGE, [V1], by=ME)
    except ManifestBlobUnknown:
        return False
    return True


async def push_whole(world: World) -> bool:
    """Upload its blobs again, and push it to both."""
    for repository in (A, B):
        await hold(world.stores, *PARTS, repository=repository)
        await Pushes(world.stores, is_sparse_allowed=False).put(repository, IMAGE, [V1], by=ME)
    return True


async def mount(world: World) -> bool:
    """Mount its blobs in B, and push it there."""
    for blob in IMAGE.blobs:
        if not await Joining(world.stores).share(B, blob.digest, A):
            return False
    await Pushes(world.stores, is_sparse_allowed=False).put(B, IMAGE, [V1], by=ME)
    return True


async def delete(world: World) -> bool:
    """Delete it."""
    try:
        await Manifests(world.stores, KEPT).delete(A, IMAGE.digest, by=ME)
    except ManifestUnknown:
        return False
    return True


async def delete_blob(world: World) -> bool:
    """Delete one of its blobs, if that is not in use."""
    blobs = Blobs(world.stores, GRACE, 60, Turns(2, 0.01, "downloads"))
    try:
        await blobs.delete(A, Digest.parse(PARTS[0].digest))
    except (BlobUnknown, Unsupported):
        return False
    return True


async def rebuild(world: World) -> bool:
    """Rebuild it, too."""
    await world.rebuild()
    return True


type Other = Callable[[World], Awaitable[bool]]


@pytest.mark.parametrize("other", [push, push_whole, mount, delete, delete_blob, rebuild])
async def test_what_is_promised_holds(other: Other) -> None:
    done = 0
    for at in count(1):
        world = await World.lost()
        is_done = await _interrupted(world, at, other)
        if is_done is None:
            break
        done += is_done
        await _check(world, other, is_done=is_done)
        await world.rebuild()
        await world.collect()
        await _check(world, other, is_done=is_done)
    assert at > 50
    assert done


async def test_what_is_used_meanwhile_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table `blobs` is lost; B has mounted what A uploaded, and pushes it while A is surveyed.

    The push changes the links, which are there: so they look new, and nothing else says that B
    holds the blobs.
    """
    world = await World.whole()
    await mount(world)
    world.memory.clock.move(days=1)
    lose(world.memory, keys.BLOBS)
    begun = Rebuild(world.stores, "r", is_sparse_allowed=False)
    run = begun._survey.run

    async def used(tell: Tell) -> Lives:
        lives = await run(tell)
        world.memory.clock.move(hours=1)
        image = image_of(PARTS, annotations={"another": "one"})
        await Pushes(world.stores, is_sparse_allowed=False).put(B, image, [V1], by=ME)
        return lives

    monkeypatch.setattr(begun._survey, "run", used)
    await begun.run(lambda *_: None)
    for manifest in (INDEX, IMAGE):
        await Manifests(world.stores, KEPT).delete(A, manifest.digest, by=ME)
    await world.collect()
    assert await world.is_whole(B)


async def test_a_referrer_that_is_deleted_meanwhile_is_not_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await World.whole()
    pushes = Pushes(world.stores, is_sparse_allowed=False)
    signature = image_of(PARTS, subject=described_as(IMAGE))
    await pushes.put(A, signature, [], by=ME)
    listed = keys.referrer(IMAGE.digest, signature.digest)
    rows = world.stores.contents.rows

    async def late(repository: RepositoryName, wanted: Sequence[str]) -> list[Row]:
        if listed in wanted:
            await Manifests(world.stores, KEPT).delete(A, signature.digest, by=ME)
        return await rows(repository, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(world.stores.contents, "rows", late)
        await world.rebuild()
    assert await world.stores.contents.rows(A, [listed]) == []


async def _interrupted(world: World, at: int, other: Other) -> bool | None:
    """Rebuild, and do the other before the call of this number; None if there are fewer."""
    calls, is_done = 0, None
    with pytest.MonkeyPatch.context() as patch:

        def hooked(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def call(*arguments: Any, **options: Any) -> Any:
                nonlocal calls, is_done
                calls += 1
                if calls == at:
                    is_done = await other(world)
                return await original(*arguments, **options)

            return call

        for port, names in _CALLS.items():
            for name in names:
                there = getattr(world.memory, port)
                patch.setattr(there, name, hooked(getattr(there, name)))
        await world.rebuild()
    return is_done


async def _check(world: World, other: Other, *, is_done: bool) -> None:
    is_there = await world.is_whole(A)
    assert is_there == (not (other is delete and is_done))
    is_in_b = other in {mount, push_whole} and is_done
    assert await world.is_whole(B) == is_in_b
    tag = await world.stores.contents.tag(B if other is mount else A, V1)
    assert bool(tag) == (other in {push, push_whole, mount} and is_done)
    assert await world.stores.contents.manifest(A, INDEX.digest, with_body=False)
