"""What a crash leaves in the lists of repositories: the sweep mends it, once."""

from collections.abc import Callable

import pytest

from shared.services.content import plans
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.sweep.findings import What
from shared.services.sweep.sweep import Sweep
from shared.services.upkeep.errands import Upkeep
from shared.storage import keys
from shared.storage.ports import Delete, Insert, Update
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    Before,
    Crash,
    hold,
    image_of,
    parts,
)
from tests.unit.services.sweep.conftest import OLD, Mend, Settle, once_old, whole_round

TWO = parts(2)
IMAGE = image_of(TWO)

type Die = Callable[[Memory, int], Callable[[], None]]


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


@pytest.fixture
async def died(pushes: Pushes, memory: Memory, crash: Die) -> None:
    """A first push that has listed the repository, and died."""
    live_again = crash(memory, 3)
    with pytest.raises(Crash):
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    live_again()


@pytest.mark.usefixtures("died")
async def test_what_a_first_push_listed_and_left_is_struck_off(stores: Stores, mend: Mend) -> None:
    assert await stores.index.page("", 9) == [REPOSITORY]
    assert await mend() == [What.LISTED_FOR_NOTHING]
    assert await stores.index.page("", 9) == []


@pytest.mark.usefixtures("died")
async def test_a_first_push_may_be_under_way(stores: Stores, sweep: Sweep, clock: Clock) -> None:
    assert await once_old(sweep, clock) == [What.LISTED_FOR_NOTHING]
    assert await stores.index.page("", 9) == [REPOSITORY]


async def test_a_first_push_that_takes_several_transactions_is_left_to_its_end(
    pushes: Pushes,
    stores: Stores,
    memory: Memory,
    crash: Die,
    mend: Mend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(plans, "MOST_CHANGES", 6)
        live_again = crash(memory, 6)
        with pytest.raises(Crash):
            await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        live_again()
    assert memory.keys("build|")
    assert await stores.contents.writable(REPOSITORY)
    assert await mend() == [What.BUILD]
    assert await stores.index.page("", 9) == []


async def test_the_last_manifest_s_repository_retires(
    pushes: Pushes, manifests: Manifests, stores: Stores, memory: Memory, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    (event,) = memory.keys("outbox|")
    await stores.contents.commit(REPOSITORY, [Delete(event)])
    assert await mend() == [What.LISTED_FOR_NOTHING, What.NOT_AMONG_KEPT]
    assert await stores.index.page("", 9) == []
    assert await stores.contents.writable(REPOSITORY) is None


@pytest.mark.parametrize("values", [{"write_enabled": False}, {"deletion": "an id"}], ids=str)
async def test_what_is_locked_or_being_deleted_stays_listed(
    values: dict[str, str | bool], stores: Stores, sweep: Sweep, clock: Clock
) -> None:
    await stores.index.add(REPOSITORY)
    await stores.contents.commit(REPOSITORY, [Insert(keys.REPOSITORY, values)])
    clock.now += OLD
    found = [finding.what for finding in await whole_round(sweep)]
    assert What.LISTED_FOR_NOTHING not in found


async def test_a_first_push_that_meets_the_sweep_wins(
    pushes: Pushes, stores: Stores, sweep: Sweep, settle: Settle, memory: Memory, clock: Clock
) -> None:
    """The errand looks again."""
    await stores.index.add(REPOSITORY)
    clock.now += OLD
    (finding,) = await whole_round(sweep)
    assert finding.what is What.LISTED_FOR_NOTHING
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    assert await stores.index.page("", 9) == [REPOSITORY]
    assert await stores.contents.writable(REPOSITORY)


@pytest.fixture
async def over(
    pushes: Pushes, manifests: Manifests, settle: Settle, stores: Stores, clock: Clock
) -> None:
    """A repository that is listed as kept, and of which nothing is."""
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    await stores.index.keep(REPOSITORY)
    clock.now += OLD


async def test_who_lists_what_is_kept_may_be_about_to_look(
    pushes: Pushes, settle: Settle, stores: Stores, sweep: Sweep, clock: Clock
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    await stores.index.keep(REPOSITORY)
    assert await once_old(sweep, clock) == [What.KEPT_FOR_NOTHING]


@pytest.mark.usefixtures("over")
async def test_what_is_listed_as_kept_for_nothing_is_struck_off(stores: Stores, mend: Mend) -> None:
    assert await mend() == [What.KEPT_FOR_NOTHING]
    assert await stores.index.kept("", 9) == []


@pytest.mark.usefixtures("over")
async def test_a_deletion_meanwhile_keeps_it_listed(
    stores: Stores,
    manifests: Manifests,
    upkeep: Upkeep,
    sweep: Sweep,
    memory: Memory,
    before: Before,
) -> None:
    async def delete() -> None:
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        await upkeep.keep(REPOSITORY)

    before(memory.rows, "commit", delete)
    found = await whole_round(sweep)
    assert [finding.what for finding in found] == [What.KEPT_FOR_NOTHING]
    assert await stores.index.kept("", 9) == [REPOSITORY]


async def test_a_lock_is_not_asked_for_where_there_are_manifests(
    pushes: Pushes, stores: Stores, settle: Settle, mend: Mend
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await settle()
    lock = Update(keys.REPOSITORY, {"write_enabled": False})
    await stores.contents.commit(REPOSITORY, [lock, Delete(keys.WRITABLE)])
    assert await mend() == []
    assert await stores.index.page("", 9) == [REPOSITORY]
