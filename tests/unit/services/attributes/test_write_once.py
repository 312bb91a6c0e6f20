"""Tags that are written once: what is refused, which rows tell, and how many a transaction has."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.errors import RegistryDisallowedOperation
from shared.model.names import Tag, referrers_tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.upkeep.purge import Purge
from shared.storage import keys
from shared.storage.ports import Change
from shared.storage.rows.registries import Policies
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
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
IMAGE, OTHER = image_of(TWO), image_of(TWO, annotations={"an": "other"})
ONCE, FOR_EVER = Policies(7, is_write_once=True), Policies(7, True, True)

moved = pytest.raises(
    RegistryDisallowedOperation, match=r"is there, and does not move: .*write-once"
)
spent = pytest.raises(RegistryDisallowedOperation, match="was there, and does not come again")


@pytest.fixture(params=[ONCE, FOR_EVER], ids=["freed", "never freed"])
def policies(request: pytest.FixtureRequest) -> Policies:
    chosen: Policies = request.param
    return chosen


@pytest.fixture
async def once(stores: Stores, policies: Policies) -> Stores:
    await hold(stores, *TWO)
    return replace(stores, policies=policies)


@pytest.fixture
def pushes(once: Stores) -> Pushes:
    return Pushes(once, is_sparse_allowed=False)


@pytest.fixture
def manifests(once: Stores) -> Manifests:
    return Manifests(once, KEPT)


@pytest.fixture
def restores(once: Stores, pushes: Pushes, manifests: Manifests) -> Restores:
    return Restores(once, pushes, Purge(once, manifests))


@pytest.fixture
def deletions(once: Stores, restores: Restores) -> RepositoryDeletions:
    return RepositoryDeletions(once, restores, KEPT)


@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
async def test_a_tag_does_not_move(once: Stores, pushes: Pushes, is_known: bool) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    service = pushes if is_known else Pushes(once, is_sparse_allowed=False)
    with moved:
        await service.put(REPOSITORY, OTHER, [Tag("v1"), LATEST], by=ME)
    assert await once.contents.tag(REPOSITORY, Tag("v1")) is None
    await service.put(REPOSITORY, IMAGE, [LATEST, Tag("v1")], by=ME)


async def test_of_two_first_pushes_one_is_refused(
    pushes: Pushes, memory: Memory, before: Before
) -> None:
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, OTHER, [LATEST], by=ME), 3)
    with moved:
        await Pushes(pushes._stores, is_sparse_allowed=False).put(
            REPOSITORY, IMAGE, [LATEST], by=ME
        )


async def test_of_two_equal_first_pushes_none_is_refused(
    pushes: Pushes, memory: Memory, before: Before
) -> None:
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME), 3)
    await Pushes(pushes._stores, is_sparse_allowed=False).put(REPOSITORY, IMAGE, [LATEST], by=ME)


@pytest.mark.parametrize("way", ["untag", "delete", "delete the repository"])
async def test_a_name_comes_again_if_it_is_freed(
    pushes: Pushes,
    manifests: Manifests,
    deletions: RepositoryDeletions,
    policies: Policies,
    way: str,
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    if way == "untag":
        await manifests.untag(REPOSITORY, LATEST, by=ME)
    elif way == "delete":
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    else:
        await deletions.delete(REPOSITORY, by=ME)
    if policies is ONCE:
        await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)
        return
    for image in (OTHER, IMAGE):
        with spent:
            await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    await pushes.put(REPOSITORY, OTHER, [Tag("v2")], by=ME)


@pytest.mark.parametrize("policies", [FOR_EVER], indirect=True)
@pytest.mark.parametrize("is_whole", [False, True], ids=["untag", "delete"])
async def test_a_tag_of_before_the_policy_is_spent_when_it_goes(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, is_whole: bool
) -> None:
    await Pushes(stores, is_sparse_allowed=False).put(REPOSITORY, IMAGE, [LATEST], by=ME)
    assert memory.keys("used|") == []
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    if is_whole:
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    else:
        await manifests.untag(REPOSITORY, LATEST, by=ME)
    assert memory.keys("used|") == ["used|latest"]
    with spent:
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)


async def test_a_tag_that_goes_while_it_is_pushed_is_not_written_again(
    pushes: Pushes, manifests: Manifests, memory: Memory, policies: Policies, before: Before
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    before(memory.rows, "commit", lambda: manifests.untag(REPOSITORY, LATEST, by=ME))
    again = pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    if policies is ONCE:
        await again
    else:
        with spent:
            await again


async def test_what_was_deleted_comes_back_with_its_tags(
    once: Stores, pushes: Pushes, manifests: Manifests, restores: Restores, memory: Memory
) -> None:
    await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    (life,) = [keys.last_part(key) for key in memory.keys("deleted|")]
    await restores.manifest(REPOSITORY, IMAGE.digest, life, by=ME)
    assert (await manifests.find(REPOSITORY, LATEST)).digest == IMAGE.digest
    with moved:
        await pushes.put(REPOSITORY, OTHER, [LATEST], by=ME)


async def test_a_list_of_referrers_changes_all_the_same(
    pushes: Pushes, manifests: Manifests
) -> None:
    tag = referrers_tag(IMAGE.digest)
    await pushes.put(REPOSITORY, IMAGE, [], by=ME)
    await pushes.put(REPOSITORY, index_of([IMAGE]), [tag], by=ME)
    await pushes.put(REPOSITORY, index_of([]), [tag], by=ME)
    await manifests.untag(REPOSITORY, tag, by=ME)
    await pushes.put(REPOSITORY, index_of([IMAGE]), [tag], by=ME)


@pytest.mark.parametrize("way", ["delete", "delete the repository"])
async def test_many_tags_fit_their_transactions(
    pushes: Pushes,
    manifests: Manifests,
    deletions: RepositoryDeletions,
    memory: Memory,
    policies: Policies,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    subject = image_of(parts(1, "subject"))
    image = image_of(TWO, subject=described_as(subject))
    names = [Tag(f"v{number:03}") for number in range(90)]
    for start in range(0, 90, 10):
        await pushes.put(REPOSITORY, image, names[start : start + 10], by=ME)
    sizes, commit = [], memory.rows.commit

    async def counted(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        if table == keys.CONTENTS:
            sizes.append(len(changes))
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", counted)
    if way == "delete":
        await manifests.delete(REPOSITORY, image.digest, by=ME)
    else:
        await deletions.delete(REPOSITORY, by=ME)
    assert memory.keys("tag|") == []
    assert len(memory.keys("used|")) == (90 if policies is FOR_EVER else 0)
    assert (
        max(sizes)
        == {
            ("delete", ONCE): 24 * 4 + 2,
            ("delete", FOR_EVER): 19 * 5 + 2,
            ("delete the repository", ONCE): 23 * 4 + 1,
            ("delete the repository", FOR_EVER): 19 * 5 + 1,
        }[way, policies]
    )
