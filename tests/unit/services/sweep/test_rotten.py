"""A manifest that rotted, whose deletion died: the sweep brings it to its end as what it is."""

from collections.abc import Awaitable, Callable

import pytest

from shared.errors import ManifestUnknown
from shared.model.attributes import Wanted
from shared.model.manifests.manifest import Manifest
from shared.model.names import Tag
from shared.services.attributes.changes import AttributeChanges
from shared.services.content import manifests as deleting
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.sweep.findings import What
from shared.storage.rows.records import INLINE_BYTES, ROTTEN
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.unit.services.conftest import LATEST, REPOSITORY, Before, Crash, hold, image_of, parts
from tests.unit.services.sweep.conftest import Mend, Settle
from tests.unit.services.sweep.test_contents import Die

TWO = parts(2)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
TAGS = [Tag(f"v{number}") for number in range(5)]


type Names = tuple[str, list[str]]
type Again = Callable[[], Awaitable[Names]]


async def names(stores: Stores) -> list[str]:
    return [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 10)]


type Deleting = Callable[[], Awaitable[None]]
type DiesAt = Callable[[Deleting], Awaitable[None]]


@pytest.fixture
def dies(memory: Memory, crash: Die, monkeypatch: pytest.MonkeyPatch) -> DiesAt:
    """Let the process die when a deletion has taken two tags."""
    monkeypatch.setattr(deleting, "_TAGS", 2)

    async def at(step: Deleting) -> None:
        revive = crash(memory, 2)
        with pytest.raises(Crash):
            await step()
        revive()
        monkeypatch.setattr(deleting, "_TAGS", 2)

    return at


@pytest.fixture
async def life(stores: Stores, pushes: Pushes, settle: Settle) -> str:
    """The life of a manifest with five tags."""
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, LARGE, TAGS, by=ME)
    await settle()
    record = await stores.contents.manifest(REPOSITORY, LARGE.digest, with_body=False)
    assert record
    return record.life


@pytest.fixture
def rots(manifests: Manifests, life: str) -> Deleting:
    """Its bytes are found to have rotted."""
    return lambda: manifests.delete_rotten(REPOSITORY, LARGE.digest, life)


@pytest.fixture
def goes(manifests: Manifests, life: str) -> Deleting:
    """A user deletes it."""
    return lambda: manifests.delete(REPOSITORY, LARGE.digest, by=ME)


@pytest.fixture
async def half_gone(stores: Stores, rots: Deleting, dies: DiesAt) -> Manifest:
    """A manifest that rotted; the process died when two of its tags were taken."""
    await dies(rots)
    assert len(await names(stores)) == 3
    return LARGE


@pytest.fixture
def pushed_again(stores: Stores, pushes: Pushes, settle: Settle) -> Again:
    """Push it by another tag; give the reason of the life before, and the tags that are there."""

    async def push() -> Names:
        (over,) = await stores.deleted.page(REPOSITORY, "", 10)
        await pushes.put(REPOSITORY, LARGE, [LATEST], by=ME)
        await settle()
        return over.reason, await names(stores)

    return push


async def test_what_a_user_deletes_stays_deleted_though_it_is_found_rotten_meanwhile(
    goes: Deleting, rots: Deleting, dies: DiesAt, pushed_again: Again
) -> None:
    await dies(goes)
    await rots()
    with pytest.raises(ManifestUnknown):
        await goes()
    assert await pushed_again() == ("", [LATEST])


@pytest.mark.parametrize("is_repeated", [True, False])
async def test_what_a_user_deletes_while_it_goes_as_rotten_stays_deleted(
    rots: Deleting, goes: Deleting, dies: DiesAt, pushed_again: Again, is_repeated: bool
) -> None:
    await dies(rots)
    await (dies(goes) if is_repeated else goes())
    if is_repeated:
        await rots()
    assert await pushed_again() == ("", [LATEST])


async def test_a_users_deletion_that_was_superseded_is_none(
    pushes: Pushes, goes: Deleting, rots: Deleting, dies: DiesAt, pushed_again: Again
) -> None:
    await dies(goes)
    await pushes.put(REPOSITORY, LARGE, TAGS[:1], by=ME)
    await rots()
    assert await pushed_again() == (ROTTEN, [LATEST, *TAGS])


async def test_nor_is_one_that_is_superseded_while_it_is_taken_over(
    memory: Memory,
    pushes: Pushes,
    goes: Deleting,
    rots: Deleting,
    dies: DiesAt,
    pushed_again: Again,
    before: Before,
) -> None:
    async def push() -> None:
        await pushes.put(REPOSITORY, LARGE, TAGS[:1], by=ME)

    await dies(goes)
    before(memory.rows, "commit", push)
    await rots()
    assert await pushed_again() == (ROTTEN, [LATEST, *TAGS])


async def test_its_tags_come_back_with_the_next_push(
    stores: Stores, pushes: Pushes, half_gone: Manifest, settle: Settle, mend: Mend
) -> None:
    assert await mend() == [What.DELETION]
    (life,) = await stores.deleted.page(REPOSITORY, "", 10)
    assert life.reason == ROTTEN
    await pushes.put(REPOSITORY, half_gone, [LATEST], by=ME)
    await settle()
    assert await names(stores) == ["latest", *TAGS]


async def test_it_goes_though_the_repository_takes_no_changes(
    stores: Stores, half_gone: Manifest, attributes: AttributeChanges, mend: Mend
) -> None:
    await attributes.repository(REPOSITORY, Wanted(write_enabled=False))
    assert await mend() == [What.DELETION]
    assert await stores.contents.manifest(REPOSITORY, half_gone.digest, with_body=False) is None
