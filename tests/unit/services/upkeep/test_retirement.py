from collections.abc import Mapping
from datetime import timedelta

import pytest

from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.upkeep.retirement import Fate, Retirement
from shared.storage import ages, keys
from shared.storage.ports import Put, Value
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import LATEST, REPOSITORY, Before, hold, image_of, parts

TWO = parts(2)
IMAGE = image_of(TWO)


async def test_a_repository_with_a_manifest_is_not_retired(
    stores: Stores, pushes: Pushes, retirement: Retirement
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    assert not await retirement.retire(REPOSITORY)
    assert await stores.index.page("", 10) == [REPOSITORY]


async def test_a_repository_is_retired_with_its_last_manifest(
    stores: Stores, pushes: Pushes, manifests: Manifests, retirement: Retirement
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    for _ in range(2):
        assert await retirement.retire(REPOSITORY)
        assert await stores.index.page("", 10) == []
        assert not await stores.contents.exists(REPOSITORY)
        assert await stores.contents.repository(REPOSITORY)


async def test_a_dry_run_tells_what_would_become_of_a_repository(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    retirement: Retirement,
    memory: Memory,
    clock: Clock,
) -> None:
    async def fate() -> Fate:
        kept, sent = memory.kept(), list(memory.messages.sent)
        found = (await retirement.look(REPOSITORY)).fate
        assert (memory.kept(), memory.messages.sent) == (kept, sent)
        return found

    await hold(stores, *TWO)
    await stores.index.add(REPOSITORY)
    assert await fate() is Fate.LATER
    clock.now += 2 * ages.L + timedelta(seconds=1)
    assert await fate() is Fate.STRUCK_OFF
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    assert await fate() is Fate.KEPT
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert await fate() is Fate.CLOSED


RETIRE_STEPS = [
    *(("get", at) for at in (1, 2, 3)),
    *(("scan", at) for at in (1, 2)),
    *(("commit", at) for at in (1, 2)),
]
"""Before each call of R1, R2, R3 and R4."""


@pytest.mark.parametrize(("method", "at"), RETIRE_STEPS)
@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
async def test_a_push_in_the_midst_of_retiring_is_listed(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    retirement: Retirement,
    memory: Memory,
    before: Before,
    method: str,
    at: int,
    is_known: bool,
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
    before(memory.rows, method, lambda: service.put(REPOSITORY, IMAGE, [LATEST], by=ME), at)
    await retirement.retire(REPOSITORY)
    assert (await manifests.read(REPOSITORY, LATEST))[1] == IMAGE.body
    assert await stores.index.page("", 10) == [REPOSITORY]
    assert await stores.contents.exists(REPOSITORY)


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
async def test_retiring_in_the_midst_of_a_push_leaves_it_listed(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    retirement: Retirement,
    memory: Memory,
    before: Before,
    at: int,
    is_known: bool,
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
    before(memory.rows, "commit", lambda: retirement.retire(REPOSITORY), at)
    await service.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    assert (await manifests.read(REPOSITORY, LATEST))[1] == IMAGE.body
    assert await stores.index.page("", 10) == [REPOSITORY]
    assert await stores.contents.exists(REPOSITORY)


async def test_retiring_again_does_not_strike_off_what_was_pushed_meanwhile(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    retirement: Retirement,
    memory: Memory,
    before: Before,
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    assert await retirement.retire(REPOSITORY)

    async def push() -> None:
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)

    async def after_scan() -> None:
        before(memory.rows, "get", push)

    before(memory.rows, "scan", after_scan)
    await retirement.retire(REPOSITORY)
    await push()
    assert await stores.index.page("", 10) == [REPOSITORY]


@pytest.mark.parametrize("seconds", [0, 199, 201])
async def test_a_name_that_is_listed_for_nothing_goes_when_no_push_can_be_behind_it(
    stores: Stores, retirement: Retirement, memory: Memory, clock: Clock, seconds: int
) -> None:
    await stores.index.add(REPOSITORY)
    clock.move(seconds=seconds)
    assert await retirement.retire(REPOSITORY) is (seconds > 200)
    assert len(memory.messages.sent) == (seconds < 200)
    assert await stores.index.page("", 10) == ([] if seconds > 200 else [REPOSITORY])


@pytest.mark.parametrize(
    "values", [{"write_enabled": False}, {"deletion": "id"}], ids=["locked", "being deleted"]
)
async def test_a_locked_repository_and_one_being_deleted_are_kept(
    stores: Stores, retirement: Retirement, clock: Clock, values: Mapping[str, Value]
) -> None:
    await stores.index.add(REPOSITORY)
    await stores.contents.commit(REPOSITORY, [Put(keys.REPOSITORY, values)])
    clock.move(hours=1)
    assert not await retirement.retire(REPOSITORY)
    assert await stores.index.page("", 10) == [REPOSITORY]
