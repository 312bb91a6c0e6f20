import pytest

from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.repositories import Repositories
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.unit.services.conftest import LATEST, REPOSITORY, Before, hold, image_of, parts

TWO = parts(2)
IMAGE = image_of(TWO)


async def test_names_are_listed_a_page_at_a_time(
    stores: Stores, repositories: Repositories
) -> None:
    names = [RepositoryName(name) for name in ("a", "b", "c")]
    for name in names:
        await stores.index.add(name)
    page = await repositories.page("", 2)
    assert (page.items, page.has_more, page.last) == (["a", "b"], True, "b")
    page = await repositories.page("b", 2)
    assert (page.items, page.has_more) == (["c"], False)
    assert (await repositories.page("", 0)).items == []


async def test_a_repository_with_a_manifest_is_not_retired(
    stores: Stores, pushes: Pushes, repositories: Repositories
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by="me")
    assert not await repositories.retire(REPOSITORY)
    assert (await repositories.page("", 10)).items == [REPOSITORY]


async def test_a_repository_is_retired_with_its_last_manifest(
    stores: Stores, pushes: Pushes, manifests: Manifests, repositories: Repositories
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by="me")
    await manifests.delete(REPOSITORY, IMAGE.digest, by="me")
    for _ in range(2):
        assert await repositories.retire(REPOSITORY)
        assert (await repositories.page("", 10)).items == []
        assert not await stores.contents.exists(REPOSITORY)


RETIRE_STEPS = [("get", 1), ("get", 2), ("scan", 1), ("commit", 1), ("commit", 2)]
"""Before R1 (index), R1 (marker), R1 (manifests), R2 and R3."""


@pytest.mark.parametrize(("method", "at"), RETIRE_STEPS)
@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
async def test_a_push_in_the_midst_of_retiring_is_listed(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    repositories: Repositories,
    memory: Memory,
    before: Before,
    method: str,
    at: int,
    is_known: bool,
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by="me")
    await manifests.delete(REPOSITORY, IMAGE.digest, by="me")
    service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
    before(memory.rows, method, lambda: service.put(REPOSITORY, IMAGE, [LATEST], by="me"), at)
    await repositories.retire(REPOSITORY)
    assert (await manifests.read(REPOSITORY, LATEST))[1] == IMAGE.body
    assert await stores.index.page("", 10) == [REPOSITORY]
    assert await stores.contents.exists(REPOSITORY)


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
async def test_retiring_in_the_midst_of_a_push_leaves_it_listed(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    repositories: Repositories,
    memory: Memory,
    before: Before,
    at: int,
    is_known: bool,
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by="me")
    await manifests.delete(REPOSITORY, IMAGE.digest, by="me")
    service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
    before(memory.rows, "commit", lambda: repositories.retire(REPOSITORY), at)
    await service.put(REPOSITORY, IMAGE, [LATEST], by="me")
    assert (await manifests.read(REPOSITORY, LATEST))[1] == IMAGE.body
    assert await stores.index.page("", 10) == [REPOSITORY]
    assert await stores.contents.exists(REPOSITORY)


async def test_retiring_again_does_not_strike_off_what_was_pushed_meanwhile(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    repositories: Repositories,
    memory: Memory,
    before: Before,
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, IMAGE, [], by="me")
    await manifests.delete(REPOSITORY, IMAGE.digest, by="me")
    assert await repositories.retire(REPOSITORY)

    async def push() -> None:
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by="me")

    async def after_scan() -> None:
        before(memory.rows, "get", push)

    before(memory.rows, "scan", after_scan)
    await repositories.retire(REPOSITORY)
    await push()
    assert await stores.index.page("", 10) == [REPOSITORY]
