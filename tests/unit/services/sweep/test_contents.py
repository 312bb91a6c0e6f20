"""What a crash leaves in a repository's rows: the sweep mends it, once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.services.content import manifests as deleting
from shared.services.content import plans
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.sweep.findings import What
from shared.services.sweep.sweep import Sweep
from shared.services.upkeep.purge import Purge
from shared.storage import keys
from shared.storage.ports import Delete, Update
from shared.storage.rows.records import INLINE_BYTES, ManifestRecord
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    GRACE,
    KEPT,
    LATEST,
    REPOSITORY,
    Crash,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)
from tests.unit.services.sweep.conftest import OLD, Mend, Settle, once_old, whole_round

TWO = parts(2)
IMAGE, OTHER = image_of(TWO), image_of(TWO[:1])
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
TAGS = [Tag("v1"), Tag("v2"), Tag("v3")]

type Die = Callable[[Memory, int], Callable[[], None]]


@pytest.fixture(autouse=True)
async def held(stores: Stores, pushes: Pushes, settle: Settle) -> None:
    """A repository with a manifest that nothing happens to."""
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO, annotations={"n": ""}), [Tag("stays")], by=ME)
    await settle()


async def names(stores: Stores) -> list[str]:
    return [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 10)]


async def live(stores: Stores, digest: Digest = IMAGE.digest) -> ManifestRecord | None:
    return await stores.contents.manifest(REPOSITORY, digest, with_body=False)


async def life_of_deleted(stores: Stores) -> str:
    (deleted,) = await stores.deleted.page(REPOSITORY, "", 10)
    return deleted.manifest.life


async def test_where_all_is_well_nothing_is_found(
    pushes: Pushes, manifests: Manifests, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, LARGE, TAGS, by=ME)
    await pushes.put(REPOSITORY, IMAGE, [LATEST, TAGS[0]], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await settle()
    assert await mend() == []


async def test_a_link_that_nothing_uses_is_collected(
    stores: Stores, mend: Mend, clock: Clock
) -> None:
    (unused,) = parts(1, "unused")
    await hold(stores, unused)
    clock.now += 2 * GRACE
    assert await mend() == [What.LINK]
    assert await stores.contents.link(REPOSITORY, Digest.parse(unused.digest)) is None


async def test_a_link_that_was_used_lately_is_left_alone(
    stores: Stores, mend: Mend, clock: Clock
) -> None:
    await hold(stores, *parts(1, "unused"))
    clock.now += GRACE
    assert await mend() == []


@pytest.mark.parametrize("writes", [2, 3, 4, 5])
async def test_a_build_that_died_is_ended(
    writes: int,
    pushes: Pushes,
    stores: Stores,
    memory: Memory,
    crash: Die,
    mend: Mend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = memory.kept()
    with monkeypatch.context() as patch:
        patch.setattr(plans, "MOST_CHANGES", 4)
        live_again = crash(memory, writes)
        with pytest.raises(Crash):
            await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
        live_again()
    is_begun = bool(memory.keys("build|"))
    memory.clock.now += timedelta(minutes=15)
    body = [] if is_begun else [What.OBJECT]
    assert await mend() == ([What.BUILD] if is_begun else body)
    assert memory.kept().keys() == before.keys()


async def test_a_build_may_be_under_way(
    pushes: Pushes,
    memory: Memory,
    crash: Die,
    sweep: Sweep,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plans, "MOST_CHANGES", 4)
    live_again = crash(memory, 4)
    with pytest.raises(Crash):
        await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
    live_again()
    assert memory.keys("build|")
    assert await once_old(sweep, clock) == [What.BUILD]


async def test_a_life_whose_purge_was_lost_is_purged(
    pushes: Pushes,
    manifests: Manifests,
    stores: Stores,
    memory: Memory,
    settle: Settle,
    mend: Mend,
    clock: Clock,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await settle()
    assert await mend() == []
    clock.now += KEPT
    assert await mend() == [What.HISTORY, What.LIFE]
    for prefix in ("deleted|", f"tagged|{IMAGE.digest}", "moved|"):
        assert memory.keys(prefix) == []
    assert await stores.index.kept("", 10) == []


async def test_a_life_whose_purge_waits_for_another_is_purged_once_that_is_over(
    pushes: Pushes,
    stores: Stores,
    sweep: Sweep,
    memory: Memory,
    settle: Settle,
    mend: Mend,
    clock: Clock,
) -> None:
    """Each round would else send one more message, which would wait as well."""
    referrer = image_of(TWO, subject=described_as(IMAGE))
    for kept in (3 * KEPT, KEPT):
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await pushes.put(REPOSITORY, referrer, [], by=ME)
        clock.move(seconds=1)
        await Manifests(stores, kept).delete(REPOSITORY, IMAGE.digest, by=ME)
        clock.move(seconds=1)
        await settle()
    clock.now += KEPT + OLD
    memory.messages.sent.clear()
    assert await whole_round(sweep) == []
    assert memory.messages.sent == []
    clock.now += 2 * KEPT
    assert await mend() == [What.LIFE, What.LIFE]
    assert keys.manifest(referrer.digest) not in memory.keys("manifest|")


async def test_what_is_kept_and_not_listed_is_listed(
    pushes: Pushes, manifests: Manifests, stores: Stores, memory: Memory, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await settle()
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    (event,) = memory.keys("outbox|")
    await stores.contents.commit(REPOSITORY, [Delete(event)])
    assert await mend() == [What.NOT_AMONG_KEPT]
    assert await stores.index.kept("", 10) == [REPOSITORY]


async def test_what_is_kept_may_be_about_to_be_listed(
    pushes: Pushes,
    manifests: Manifests,
    stores: Stores,
    memory: Memory,
    settle: Settle,
    sweep: Sweep,
    clock: Clock,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await settle()
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    (event,) = memory.keys("outbox|")
    await stores.contents.commit(REPOSITORY, [Delete(event)])
    assert await once_old(sweep, clock) == [What.NOT_AMONG_KEPT]


async def test_edges_of_a_life_that_is_nowhere_go_with_what_they_held(
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    stores: Stores,
    memory: Memory,
    settle: Settle,
    mend: Mend,
    clock: Clock,
) -> None:
    """A purge that finds no body takes no edges."""
    own = parts(2, "own")
    await hold(stores, *own)
    large = image_of(own, annotations={"long": "x" * INLINE_BYTES})
    await pushes.put(REPOSITORY, large, [], by=ME)
    await manifests.delete(REPOSITORY, large.digest, by=ME)
    await settle()
    clock.now += KEPT + OLD
    life = await life_of_deleted(stores)
    await stores.discard(keys.object_name(stores.generation, life))
    stores.bodies._bodies.clear()
    await purge.purge(REPOSITORY, large.digest, life)
    await stores.index.let_go(REPOSITORY, await stores.index.keep(REPOSITORY))

    assert await mend() == [What.EDGE]

    for content in own:
        assert memory.keys(f"edge|{content.digest}") == []
        digest = Digest.parse(content.digest)
        assert await stores.contents.link(REPOSITORY, digest) is None
        assert await stores.holdings.content(digest) is None


async def test_a_child_stays_where_the_edge_to_it_goes(
    pushes: Pushes, manifests: Manifests, stores: Stores, memory: Memory, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    index = index_of([IMAGE])
    await pushes.put(REPOSITORY, index, [], by=ME)
    await manifests.delete(REPOSITORY, index.digest, by=ME)
    await settle()
    row = keys.deleted(index.digest, await life_of_deleted(stores))
    await stores.contents.commit(REPOSITORY, [Delete(row)])
    assert await mend() == [What.KEPT_FOR_NOTHING, What.EDGE]
    assert memory.keys(f"edge|{IMAGE.digest}") == []
    assert await live(stores)
    assert await names(stores) == ["latest", "stays"]


async def test_edges_of_a_life_that_can_come_back_stay(
    pushes: Pushes, manifests: Manifests, memory: Memory, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await settle()
    edges = memory.keys("edge|")
    assert await mend() == []
    assert memory.keys("edge|") == edges


async def test_marks_of_a_life_that_is_nowhere_go(
    pushes: Pushes, manifests: Manifests, stores: Stores, memory: Memory, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, TAGS, by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    await settle()
    row = keys.deleted(IMAGE.digest, await life_of_deleted(stores))
    await stores.contents.commit(REPOSITORY, [Delete(row)])
    assert await mend() == [What.KEPT_FOR_NOTHING, What.EDGE, What.MARK]
    assert memory.keys(f"tagged|{IMAGE.digest}") == []
    assert await names(stores) == ["stays"]


@pytest.fixture
async def begun(
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    settle: Settle,
    crash: Die,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deletion that has taken some of the tags, and died."""
    await pushes.put(REPOSITORY, IMAGE, TAGS, by=ME)
    await settle()
    with monkeypatch.context() as patch:
        patch.setattr(deleting, "_TAGS", 1)
        live_again = crash(memory, 3)
        with pytest.raises(Crash):
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        live_again()


@pytest.mark.usefixtures("begun")
async def test_a_deletion_may_be_under_way(sweep: Sweep, clock: Clock) -> None:
    assert await once_old(sweep, clock) == [What.DELETION]


@pytest.mark.usefixtures("begun")
async def test_who_superseded_a_deletion_may_be_followed_by_another(
    pushes: Pushes, stores: Stores, memory: Memory, sweep: Sweep, clock: Clock
) -> None:
    clock.now += OLD
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    (event,) = memory.keys("outbox|")
    await stores.contents.commit(REPOSITORY, [Delete(event)])
    assert await once_old(sweep, clock) == [What.TAG_TAKEN]


@pytest.mark.usefixtures("begun")
async def test_a_deletion_that_died_is_ended(stores: Stores, mend: Mend) -> None:
    assert await mend() == [What.DELETION]
    assert await live(stores) is None
    assert await names(stores) == ["stays"]
    assert await stores.index.kept("", 10) == [REPOSITORY]


@pytest.mark.usefixtures("begun")
async def test_a_deletion_that_died_and_was_superseded_gives_the_tags_back(
    stores: Stores, pushes: Pushes, settle: Settle, memory: Memory, mend: Mend
) -> None:
    memory.messages.sent.clear()
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    assert await mend() == [What.TAG_TAKEN]
    assert await live(stores)
    assert await names(stores) == ["latest", "stays", "v1", "v2", "v3"]


@pytest.mark.usefixtures("begun")
async def test_what_is_deleted_once_its_tags_are_back_is_kept(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    memory: Memory,
    sweep: Sweep,
    settle: Settle,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory.messages.sent.clear()
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    clock.now += OLD
    await whole_round(sweep)
    bring_back = restores.bring_back

    async def then_delete(*arguments: Any, **options: Any) -> bool:
        is_back = await bring_back(*arguments, **options)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        return is_back

    monkeypatch.setattr(restores, "bring_back", then_delete)
    await settle()
    assert await live(stores) is None
    assert await life_of_deleted(stores)
    assert await names(stores) == ["stays"]


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("is_superseded", [False, True])
async def test_what_is_held_up_by_a_lock_waits(
    is_superseded: bool,
    pushes: Pushes,
    stores: Stores,
    memory: Memory,
    sweep: Sweep,
    settle: Settle,
    clock: Clock,
) -> None:
    memory.messages.sent.clear()
    if is_superseded:
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await settle()
    clock.now += OLD
    lock = Update(keys.REPOSITORY, {"write_enabled": False})
    await stores.contents.commit(REPOSITORY, [lock, Delete(keys.WRITABLE)])
    assert await whole_round(sweep) == []


async def test_a_repository_s_deletion_may_be_under_way(
    pushes: Pushes,
    deletions: RepositoryDeletions,
    memory: Memory,
    crash: Die,
    sweep: Sweep,
    clock: Clock,
) -> None:
    live_again = crash(memory, 2)
    with pytest.raises(Crash):
        await deletions.delete(REPOSITORY, by=ME)
    live_again()
    assert await once_old(sweep, clock) == [What.REPOSITORY_DELETION]


@pytest.mark.parametrize("writes", [2, 3, 4, 5])
async def test_a_repository_s_deletion_that_died_is_gone_on_with(
    writes: int,
    pushes: Pushes,
    deletions: RepositoryDeletions,
    stores: Stores,
    memory: Memory,
    settle: Settle,
    crash: Die,
    mend: Mend,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, TAGS, by=ME)
    await settle()
    live_again = crash(memory, writes)
    with pytest.raises(Crash):
        await deletions.delete(REPOSITORY, by=ME)
    live_again()
    found = await mend()
    assert What.REPOSITORY_DELETION in found
    assert await stores.contents.manifests(REPOSITORY, "", 9) == []
    assert await stores.index.page("", 9) == []
    assert await stores.index.kept("", 9) == [REPOSITORY]


async def test_history_goes_once_it_is_as_old_as_is_kept(
    pushes: Pushes, memory: Memory, settle: Settle, mend: Mend, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)
    await settle()
    assert await mend() == []
    assert len(memory.keys("moved|")) == 1
    clock.now += KEPT
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    assert await mend() == [What.HISTORY]
    assert len(memory.keys("moved|")) == 1


async def test_what_has_changed_since_the_page_is_not_taken(
    pushes: Pushes, stores: Stores, memory: Memory, sweep: Sweep, settle: Settle, clock: Clock
) -> None:
    for number in range(3):
        image = image_of(TWO, annotations={"n": str(number)})
        await pushes.put(REPOSITORY, image, [LATEST], by=ME)
        clock.move(seconds=1)
    await settle()
    clock.now += KEPT + OLD
    one, *_ = memory.keys("moved|")
    (finding,) = await whole_round(sweep, is_dry=True)
    await stores.contents.commit(REPOSITORY, [Update(one, {})])
    await finding.mend()
    assert memory.keys("moved|") == [one]


async def test_an_event_whose_message_was_lost_is_handed_on(
    pushes: Pushes, manifests: Manifests, stores: Stores, memory: Memory, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, TAGS, by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert len(memory.keys("outbox|")) == 4
    assert await mend() == [What.EVENT, What.NOT_AMONG_KEPT]
    assert memory.keys("outbox|") == []
    assert await stores.index.kept("", 9) == [REPOSITORY]


async def test_the_message_of_an_event_may_be_under_way(
    pushes: Pushes, sweep: Sweep, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, IMAGE, TAGS, by=ME)
    assert await once_old(sweep, clock) == [What.EVENT]


async def test_an_event_that_was_handed_on_is_removed(
    pushes: Pushes, stores: Stores, memory: Memory, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    (event,) = memory.keys("outbox|")
    await stores.contents.commit(REPOSITORY, [Update(event, {"state": "handed"})])
    assert await mend() == [What.EVENT]
    assert memory.keys("outbox|") == []


async def test_what_cannot_be_seen_to_now_holds_up_nothing(
    stores: Stores, sweep: Sweep, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused = parts(3, "unused")
    await hold(stores, *unused)
    clock.now += 2 * GRACE
    told = sweep._contents._told
    tried = []

    async def busy(_: object, digest: Digest) -> None:
        tried.append(digest)
        raise Unavailable("it is being changed too often")

    monkeypatch.setattr(sweep._contents, "_told", type(told)(busy, told.heal))
    found = await whole_round(sweep)
    assert len(found) == len(tried) == 3
