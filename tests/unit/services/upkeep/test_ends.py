"""Deletions and purges that take long, come twice, or meet who comes back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.errors import Unavailable
from shared.events import RepositoryDeleted, values
from shared.model.names import Tag
from shared.services.content import manifests as deleting
from shared.services.content import plans
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.upkeep import errands
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.storage import keys, ports
from shared.storage.messages.errands import Errand, Kind
from shared.storage.rows import contents
from shared.storage.rows.records import DeletedRecord
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
    parts,
    run_errands,
)

TWO = parts(2)
IMAGE = image_of(TWO)
REFERRER = image_of(TWO, subject=described_as(IMAGE))
OVER = KEPT + timedelta(seconds=401)
V9 = Tag("v9")


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


def sent(memory: Memory, kind: Kind) -> list[Errand]:
    texts = [body for queue, body, _ in addressed(memory.messages.sent) if queue == keys.UPKEEP]
    return [it for text in texts if (it := Errand.read(text.encode())).kind is kind]


async def names(stores: Stores) -> list[str]:
    return [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 1_000)]


async def tagged(pushes: Pushes, count: int) -> None:
    tags = [Tag(f"v{number:03}") for number in range(count)]
    for start in range(0, count, 10):
        await pushes.put(REPOSITORY, IMAGE, tags[start : start + 10], by=ME)


@pytest.fixture
def slowly(
    memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], None]:
    """Let each transaction take so many seconds."""
    commit = memory.rows.commit

    def arm(seconds: float) -> None:
        async def slow(*arguments: object) -> list[str]:
            clock.move(seconds=seconds)
            return await commit(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(memory.rows, "commit", slow)

    return arm


async def only(stores: Stores) -> DeletedRecord:
    (deleted,) = await stores.deleted.page(REPOSITORY, "", 10)
    return deleted


class TestDeletions:
    """Deletions of many tags."""

    async def test_one_of_too_many_tags_is_told_and_the_repeat_goes_on_under_its_id(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        memory: Memory,
        slowly: Callable[[float], None],
    ) -> None:
        await tagged(pushes, 150)
        slowly(20)
        with pytest.raises(Unavailable, match="goes on: repeat it"):
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        assert 0 < len(await names(stores)) < 150
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        assert await names(stores) == []
        assert memory.keys("manifest|") == []
        assert len(sent(memory, Kind.END_DELETION)) == 1

    async def test_upkeep_goes_on_with_it(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        upkeep: Upkeep,
        memory: Memory,
        slowly: Callable[[float], None],
    ) -> None:
        await tagged(pushes, 150)
        slowly(20)
        with pytest.raises(Unavailable, match="goes on: repeat it"):
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        for _ in range(2):
            await run_errands(memory, upkeep)
        assert await names(stores) == []
        assert memory.keys("manifest|") == []

    async def test_upkeep_keeps_it_for_as_long_whatever_its_clock_says(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        upkeep: Upkeep,
        memory: Memory,
        clock: Clock,
        slowly: Callable[[float], None],
    ) -> None:
        await tagged(pushes, 150)
        slowly(20)
        with pytest.raises(Unavailable):
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        slowly(0)
        object.__setattr__(stores, "clock", lambda: clock() + timedelta(hours=1))
        upkeep._manifests._clock = stores.clock
        await run_errands(memory, upkeep)
        assert (await only(stores)).left == KEPT

    async def test_who_goes_on_with_one_that_another_has_ended_gives_no_tag_back(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        upkeep: Upkeep,
        memory: Memory,
        before: Before,
        slowly: Callable[[float], None],
    ) -> None:
        """What was pushed since bears another life, and nothing of this one."""
        await tagged(pushes, 150)
        slowly(20)
        with pytest.raises(Unavailable):
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        slowly(0)
        (errand,) = sent(memory, Kind.END_DELETION)

        async def end_and_push() -> None:
            await upkeep.run(errand)
            await pushes.put(REPOSITORY, IMAGE, [V9], by=ME)

        before(memory.rows, "scan", end_and_push)
        await upkeep.run(errand)
        assert await names(stores) == ["v9"]


class TestReferrers:
    """Referrers that are about to go with their subject."""

    @pytest.mark.parametrize("tags", [0, 30], ids=["untagged", "tags"])
    @pytest.mark.parametrize("comes", ["subject", "referrer", "subject and goes"])
    @pytest.mark.parametrize("at", ["commit", "get", "scan"])
    async def test_what_is_pushed_until_its_deletion_keeps_it(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        upkeep: Upkeep,
        memory: Memory,
        clock: Clock,
        before: Before,
        tags: int,
        comes: str,
        at: str,
    ) -> None:
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        names_of = [Tag(f"sig{number}") for number in range(tags)]
        for start in range(0, max(tags, 1), 10):
            await pushes.put(REPOSITORY, REFERRER, names_of[start : start + 10], by=ME)
        clock.move(seconds=1)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        deleted = await only(stores)
        clock.now += OVER

        async def come() -> None:
            pushed = REFERRER if comes == "referrer" else IMAGE
            await pushes.put(REPOSITORY, pushed, [LATEST], by=ME)
            if comes == "subject and goes":
                await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)

        memory.messages.sent.clear()
        before(memory.rows, at, come)
        await purge.purge(REPOSITORY, IMAGE.digest, deleted.manifest.life)
        assert keys.manifest(REFERRER.digest) in memory.keys("manifest|")
        assert set(names_of) <= set(await names(stores))

    async def test_a_subject_that_comes_in_the_midst_of_it_gives_the_tags_back(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        upkeep: Upkeep,
        memory: Memory,
        clock: Clock,
        before: Before,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(deleting, "_TAGS", 1)
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await pushes.put(REPOSITORY, REFERRER, [LATEST, V9], by=ME)
        clock.move(seconds=1)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        deleted = await only(stores)
        clock.now += OVER
        memory.messages.sent.clear()
        before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, IMAGE, [], by=ME), at=2)
        await purge.purge(REPOSITORY, IMAGE.digest, deleted.manifest.life)
        assert await names(stores) != ["latest", "v9"]
        (errand,) = sent(memory, Kind.END_DELETION)
        await upkeep.run(errand)
        assert await names(stores) == ["latest", "v9"]
        assert keys.manifest(REFERRER.digest) in memory.keys("manifest|")


class TestPurges:
    """Purges of what is large."""

    async def test_lives_are_listed_without_their_bodies(
        self, stores: Stores, pushes: Pushes, manifests: Manifests
    ) -> None:
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        listed = await only(stores)
        assert listed.manifest.body is None
        whole = await stores.deleted.find(REPOSITORY, IMAGE.digest, listed.manifest.life)
        assert whole
        assert whole.manifest.body == IMAGE.body

    @pytest.mark.parametrize("place", [0, 1, 2])
    async def test_referrers_go_with_the_last_life_of_many(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        memory: Memory,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
        place: int,
    ) -> None:
        monkeypatch.setattr(contents, "_PAGE", 1)
        await pushes.put(REPOSITORY, REFERRER, [], by=ME)
        for _ in range(3):
            clock.move(seconds=1)
            await pushes.put(REPOSITORY, IMAGE, [], by=ME)
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        lives = sorted(await stores.deleted.page(REPOSITORY, "", 10), key=lambda one: one.until)
        clock.now += OVER
        await purge.purge(REPOSITORY, IMAGE.digest, lives[place].manifest.life)
        assert (memory.keys("manifest|") == []) is (place == 2)

    async def test_one_with_many_marks_ends_in_time_and_goes_on(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        upkeep: Upkeep,
        purge: Purge,
        memory: Memory,
        clock: Clock,
        slowly: Callable[[float], None],
    ) -> None:
        await tagged(pushes, 250)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        life = (await only(stores)).manifest.life
        clock.now += OVER
        memory.messages.sent.clear()
        slowly(51)
        with pytest.raises(Unavailable, match="goes on"):
            await purge.purge(REPOSITORY, IMAGE.digest, life)
        slowly(0)
        await purge.purge(REPOSITORY, IMAGE.digest, life)
        assert memory.keys("tagged|") == memory.keys("deleted|") == []

    async def test_a_mark_that_changes_keeps_none_of_the_others(
        self,
        stores: Stores,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        memory: Memory,
        clock: Clock,
        before: Before,
    ) -> None:
        await tagged(pushes, 5)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        life = (await only(stores)).manifest.life
        clock.now += OVER
        again = [Tag("v003")]
        before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, IMAGE, again, by=ME), at=2)
        await purge.purge(REPOSITORY, IMAGE.digest, life)
        assert memory.keys("tagged|") == [keys.tagged(IMAGE.digest, again[0])]
        assert memory.keys("deleted|") == []


async def test_a_restore_of_many_tags_ends_in_time_and_goes_on(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    slowly: Callable[[float], None],
) -> None:
    await tagged(pushes, 150)
    await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
    life = (await only(stores)).manifest.life
    slowly(20)
    with pytest.raises(Unavailable, match="coming back"):
        await restores.manifest(REPOSITORY, IMAGE.digest, life, by=ME)
    for _ in range(3):
        try:
            await restores.manifest(REPOSITORY, IMAGE.digest, life, by=ME)
        except Unavailable:
            continue
        break
    assert len(await names(stores)) == 150


async def test_what_a_repository_leaves_is_seen_to_a_page_at_a_time(
    pushes: Pushes,
    manifests: Manifests,
    deletions: RepositoryDeletions,
    upkeep: Upkeep,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "_LIVES", 2)
    for number in range(5):
        image = image_of(TWO, annotations={"number": str(number)})
        await pushes.put(REPOSITORY, image, [], by=ME)
    await deletions.delete(REPOSITORY, by=ME)
    row = await upkeep._stores.contents.repository(REPOSITORY)
    assert row
    deletion = str(row.values["deleted"])
    for number in range(5):  # of each of these there is a message already
        image = image_of(TWO, annotations={"other": str(number)})
        await pushes.put(REPOSITORY, image, [], by=ME)
        await manifests.delete(REPOSITORY, image.digest, by=ME)
    memory.messages.sent.clear()
    event = dict(values(RepositoryDeleted(deletion, ME, upkeep._stores.clock())))
    await upkeep._stores.errands.send(Kind.AFTER_DELETION, REPOSITORY, event=event)
    for _ in range(6):
        (errand,) = sent(memory, Kind.AFTER_DELETION)
        memory.messages.sent[:] = [
            it for it in memory.messages.sent if Kind.AFTER_DELETION.value not in it[1]
        ]
        before = len(sent(memory, Kind.PURGE))
        await upkeep.run(errand)
        assert len(sent(memory, Kind.PURGE)) - before <= 2
    assert len(sent(memory, Kind.PURGE)) == 5
    assert sent(memory, Kind.AFTER_DELETION) == []


async def test_a_build_whose_end_is_repeated_by_itself_is_ended(
    stores: Stores,
    pushes: Pushes,
    upkeep: Upkeep,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer is lost, the storage client sends the same again, and it no longer holds."""
    monkeypatch.setattr(plans, "MOST_CHANGES", 5)
    commit, calls = memory.rows.commit, 0

    async def dying(*arguments: object) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise ports.Unavailable("storage is down")
        return await commit(*arguments)  # type: ignore[arg-type]

    async def twice(*arguments: object) -> list[str]:
        monkeypatch.setattr(memory.rows, "commit", commit)
        await commit(*arguments)  # type: ignore[arg-type]
        return await commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(memory.rows, "commit", dying)
    with pytest.raises(ports.Unavailable):
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    assert memory.keys("build|")
    clock.move(seconds=300)
    monkeypatch.setattr(memory.rows, "commit", twice)
    errand = sent(memory, Kind.END_BUILD)[0]
    memory.messages.sent.clear()
    await upkeep.run(errand)
    clock.move(seconds=300)
    await run_errands(memory, upkeep)
    assert memory.keys("build|") == memory.keys("edge|") == []
