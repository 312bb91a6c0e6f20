"""Errands that meet what happens meanwhile, and storage that fails."""

from datetime import timedelta
from typing import Any

import pytest

from shared.model.names import Tag
from shared.services.content import manifests as deleting
from shared.services.content import plans
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.retirement import Retirement
from shared.storage import keys, ports
from shared.storage.messages.errands import Errand, Kind
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.messages import addressed
from tests.unit.services.conftest import (
    KEPT,
    LATEST,
    REPOSITORY,
    Before,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)

TWO = parts(2)
IMAGE = image_of(TWO)
REFERRER = image_of(TWO, subject=described_as(IMAGE))
TAGS = [Tag("v1"), Tag("v2"), Tag("v3")]


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


def sent(memory: Memory, kind: Kind) -> list[Errand]:
    texts = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.UPKEEP]
    return [it for text in texts if (it := Errand.read(text.encode())).kind is kind]


def fail_at(memory: Memory, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    commit, calls = memory.rows.commit, 0

    async def failing(*arguments: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == number:
            raise ports.Unavailable("storage is down")
        return await commit(*arguments)

    monkeypatch.setattr(memory.rows, "commit", failing)


@pytest.fixture
async def begun(
    pushes: Pushes, manifests: Manifests, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> Errand:
    """A deletion that has taken a tag and failed, and the errand that is to bring it to its end."""
    monkeypatch.setattr(deleting, "_TAGS", 1)
    await pushes.put(REPOSITORY, IMAGE, TAGS, by=ME)
    with monkeypatch.context() as patch:
        fail_at(memory, patch, 2)
        with pytest.raises(ports.Unavailable):
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    (errand,) = sent(memory, Kind.END_DELETION)
    return errand


async def names(stores: Stores) -> list[str]:
    return [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 10)]


async def test_a_deletion_that_failed_is_brought_to_its_end(
    begun: Errand, upkeep: Upkeep, stores: Stores
) -> None:
    await upkeep.run(begun)
    assert await stores.contents.manifest(REPOSITORY, IMAGE.digest, with_body=False) is None
    assert await names(stores) == []


@pytest.mark.parametrize("at", [1, 2])
async def test_a_push_that_comes_before_its_end_is_kept_and_the_tags_come_back(
    begun: Errand,
    upkeep: Upkeep,
    pushes: Pushes,
    stores: Stores,
    memory: Memory,
    before: Before,
    at: int,
) -> None:
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, IMAGE, [Tag("v9")], by=ME), at)
    await upkeep.run(begun)
    assert await stores.contents.manifest(REPOSITORY, IMAGE.digest, with_body=False)
    assert await names(stores) == ["v1", "v2", "v3", "v9"]


async def test_a_slow_purge_takes_no_referrer_that_came_after_the_deletion(
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    stores: Stores,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    clock.now += timedelta(seconds=5)
    await pushes.put(REPOSITORY, REFERRER, [Tag("sig")], by=ME)
    clock.now += KEPT + timedelta(seconds=500)
    scan = memory.rows.scan

    async def slow(*arguments: Any, **options: Any) -> Any:
        clock.now += timedelta(seconds=30)
        return await scan(*arguments, **options)

    (life,) = await stores.deleted.page(REPOSITORY, "", 10)
    monkeypatch.setattr(memory.rows, "scan", slow)
    await purge.purge(REPOSITORY, IMAGE.digest, life.manifest.life)
    assert await stores.contents.manifest(REPOSITORY, REFERRER.digest, with_body=False)
    assert await names(stores) == ["sig"]


async def test_what_is_too_large_for_one_transaction_is_completed_in_parts(
    pushes: Pushes, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = [image_of(parts(1), annotations={"n": str(n)}) for n in range(12)]
    await hold(stores, *parts(1))
    index = index_of(children)
    await pushes.put(REPOSITORY, index, [Tag("sha256-" + "a" * 64)], by=ME)
    for child in children:
        await pushes.put(REPOSITORY, child, [], by=ME)
    monkeypatch.setattr(plans, "MOST_CHANGES", 10)
    await pushes.put(REPOSITORY, index, [LATEST], by=ME)
    live = await stores.contents.manifest(REPOSITORY, index.digest, with_body=False)
    assert live
    assert not live.is_incomplete
    assert await stores.contents.build(REPOSITORY, index.digest, live.life) is None
    edges = await stores.contents.edges_from(
        REPOSITORY, index.digest, live.life, [child.digest for child in children]
    )
    assert {edge.values["names"] for edge in edges} == {"child"}


async def test_an_errand_leaves_a_deletion_that_began_since(
    begun: Errand, upkeep: Upkeep, stores: Stores
) -> None:
    another = [ports.Update(keys.manifest(IMAGE.digest), {"deletion": "another"})]
    await stores.contents.commit(REPOSITORY, another)
    await upkeep.run(begun)
    assert await names(stores) == ["v2", "v3"]


async def test_a_restore_that_died_ends_with_the_life_that_it_made(
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [Tag("v1")], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    (life,) = await stores.deleted.page(REPOSITORY, "", 10)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    record = await stores.contents.manifest(REPOSITORY, IMAGE.digest, with_body=False)
    assert record
    lives = {"life": life.manifest.life, "fresh": record.life}
    cause: dict[str, object] = {"by": "me"}
    fields = {"digest": str(IMAGE.digest), **lives}
    errand = Errand(Kind.END_RESTORE, stores.generation, REPOSITORY, {**fields, "cause": cause})

    async def replaced(*_: object, **__: object) -> object:
        monkeypatch.undo()
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        await pushes.put(REPOSITORY, IMAGE, [Tag("v2")], by=ME)
        return record

    monkeypatch.setattr(type(stores.contents), "manifest", replaced)
    await upkeep.run(errand)
    assert await names(stores) == ["v2"]


async def test_a_purge_takes_no_referrer_that_is_pushed_meanwhile(
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    stores: Stores,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await pushes.put(REPOSITORY, REFERRER, [], by=ME)
    clock.move(seconds=1)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    clock.now += KEPT + timedelta(seconds=500)
    (life,) = await stores.deleted.page(REPOSITORY, "", 10)
    carry_out = Manifests.carry_out

    async def late(*arguments: Any) -> None:
        await pushes.put(REPOSITORY, REFERRER, [Tag("sig")], by=ME)
        await carry_out(*arguments)

    monkeypatch.setattr(Manifests, "carry_out", late)
    await purge.purge(REPOSITORY, IMAGE.digest, life.manifest.life)
    assert await names(stores) == ["sig"]


async def test_what_is_purged_at_once_is_not_listed_as_kept(
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
    stores: Stores,
    memory: Memory,
    clock: Clock,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    clock.now += KEPT + timedelta(seconds=500)
    rows = await stores.contents.rows(REPOSITORY, memory.keys("outbox|"))
    (event,) = [dict(row.values) for row in rows if row.values["event"] == "ManifestDeleted"]
    errand = Errand(Kind.AFTER_DELETION, stores.generation, REPOSITORY, {"event": event})
    await upkeep.run(errand)
    assert await stores.index.kept("", 10) == []


async def test_retiring_goes_on_where_the_answer_was_lost(
    pushes: Pushes,
    manifests: Manifests,
    stores: Stores,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    commit = memory.rows.commit

    async def twice(*arguments: Any) -> list[str]:
        monkeypatch.setattr(memory.rows, "commit", commit)
        await commit(*arguments)
        return await commit(*arguments)

    monkeypatch.setattr(memory.rows, "commit", twice)
    assert await Retirement(stores).retire(REPOSITORY)
    assert await stores.index.row(REPOSITORY) is None


async def test_a_slow_deletion_is_told_once_more(
    pushes: Pushes, manifests: Manifests, memory: Memory, clock: Clock, before: Before
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)

    async def wait() -> None:
        clock.now += timedelta(seconds=250)

    told = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.EVENTS]
    before(memory.rows, "commit", wait)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    later = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.EVENTS]
    assert len(later) == len(told) + 2
    assert later[-1] == later[-2]
