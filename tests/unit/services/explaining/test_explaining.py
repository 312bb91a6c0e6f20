"""Why something is kept, or when it goes: as facts, and in words."""

from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.explaining.explaining import Explaining
from shared.services.explaining.facts import MOST, Explanation, Some, State, Subject
from shared.services.explaining.words import lines
from shared.services.garbage.garbage import Garbage
from shared.services.upkeep.purge import Purge
from shared.storage import ages, keys
from shared.storage.ports import Delete, Insert
from shared.storage.rows.holdings import content_of
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import (
    GRACE,
    KEPT,
    LATEST,
    REPOSITORY,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)

TWO = parts(2)
ONE = Digest.parse(TWO[0].digest)
IMAGE = image_of(TWO)
REFERRER = image_of(TWO, subject=described_as(IMAGE))
OTHER = RepositoryName("other")
LATELY = GRACE * 3 / 2
SECOND = timedelta(seconds=1)


@pytest.fixture
def explaining(stores: Stores, purge: Purge) -> Explaining:
    return Explaining(stores, purge, GRACE)


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


@pytest.fixture
def explain(explaining: Explaining, memory: Memory) -> "Explain":
    return Explain(explaining, memory)


class Explain:
    """Explains a digest, and sees that this changes nothing."""

    def __init__(self, explaining: Explaining, memory: Memory) -> None:
        self.explaining, self.memory = explaining, memory

    async def __call__(self, digest: Digest = ONE) -> tuple[Explanation, str]:
        kept, sent = self.memory.kept(), [*self.memory.messages.sent]
        explanation = await self.explaining.explain(REPOSITORY, digest)
        assert (self.memory.kept(), self.memory.messages.sent) == (kept, sent)
        return explanation, "\n".join(lines(explanation))


class TestBlobs:
    async def test_one_that_was_uploaded_lately_is_kept_until_then(
        self, explain: Explain, clock: Clock
    ) -> None:
        explanation, text = await explain()
        assert explanation.blob
        assert (explanation.blob.used, explanation.blob.again) == (clock(), clock() + LATELY)
        assert explanation.blob.goes == ()
        assert "kept for now: no manifest uses it" in text
        assert f"from {clock() + LATELY:%Y-%m-%d %H:%M:%S} UTC on" in text

    async def test_one_that_goes_goes_as_the_collector_says(
        self, stores: Stores, explain: Explain, clock: Clock
    ) -> None:
        clock.now += LATELY + SECOND
        explanation, text = await explain()
        assert explanation.blob
        assert "goes, as nothing uses it, when the collector looks next" in text
        taken = (await Garbage(stores, GRACE).collect(REPOSITORY, ONE)).taken
        assert explanation.blob.goes == taken != ()
        explanation, text = await explain()
        assert explanation.is_empty
        assert "there is nothing of it here" in text

    async def test_one_that_a_tagged_manifest_uses_is_kept(
        self, explain: Explain, pushes: Pushes, clock: Clock
    ) -> None:
        await pushes.put(REPOSITORY, IMAGE, [LATEST, Tag("v1")], by=ME)
        clock.now += 9 * GRACE
        explanation, text = await explain()
        (user,) = explanation.users.first
        assert (user.digest, user.state, user.names) == (IMAGE.digest, State.LIVE, "link")
        assert user.tags == Some(("latest", "v1"))
        assert explanation.blob
        assert (explanation.blob.goes, explanation.blob.again) == ((), None)
        assert f"used by the manifest {IMAGE.digest}, which is there (tagged: latest, v1)" in text
        assert "kept: the collector takes nothing that a manifest uses" in text

    async def test_one_that_only_a_deleted_manifest_uses_is_kept_until_the_purge(
        self, explain: Explain, pushes: Pushes, manifests: Manifests, clock: Clock
    ) -> None:
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        deleted = clock()
        clock.now += GRACE
        explanation, text = await explain()
        (user,) = explanation.users.first
        assert (user.state, user.ends) == (State.DELETED, deleted + KEPT + 4 * ages.L)
        assert "which is deleted, and kept: it is purged after" in text

    @pytest.mark.parametrize("is_being_pushed", [True, False])
    async def test_an_edge_of_a_push_or_of_nothing_keeps_it_too(
        self, stores: Stores, explain: Explain, clock: Clock, is_being_pushed: bool
    ) -> None:
        life = "1" * 32
        rows = [Insert(keys.edge(ONE, IMAGE.digest, life), {"names": "link"})]
        if is_being_pushed:
            rows.append(Insert(keys.build(IMAGE.digest, life), {"life": life}))
        await stores.contents.commit(REPOSITORY, rows)
        explanation, text = await explain()
        (user,) = explanation.users.first
        if is_being_pushed:
            assert (user.state, user.ends) == (State.BUILDING, clock() + 2 * ages.L)
            assert "which is being pushed" in text
        else:
            assert (user.state, user.ends) == (State.NOWHERE, None)
            assert "the sweep takes that edge" in text

    async def test_other_repositories_that_hold_it_are_named(
        self, stores: Stores, explain: Explain, clock: Clock
    ) -> None:
        for number in range(MOST + 5):
            await hold(stores, TWO[0], repository=RepositoryName(f"r{number:02}"))
        clock.now += LATELY + SECOND
        explanation, text = await explain()
        assert explanation.blob
        assert explanation.blob.others.first[:2] == ("r00", "r01")
        assert (len(explanation.blob.others.first), explanation.blob.others.and_more) == (
            MOST,
            True,
        )
        assert explanation.blob.goes == (keys.blob(ONE), keys.holder(REPOSITORY))
        assert "other repositories hold it: r00, r01" in text
        assert ", and more" in text

    async def test_the_repository_itself_is_no_other(
        self, stores: Stores, explain: Explain
    ) -> None:
        explanation, text = await explain()
        assert explanation.blob
        assert explanation.blob.others == Some()
        assert "no other repository holds it" in text

    async def test_an_earlier_life_is_over_though_another_is_there(
        self, explain: Explain, pushes: Pushes, manifests: Manifests
    ) -> None:
        for _ in range(2):
            await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
            await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        explanation, _ = await explain()
        states = sorted(user.state for user in explanation.users.first)
        assert states == [State.DELETED, State.DELETED, State.LIVE]

    async def test_bad_bytes_are_told(self, stores: Stores, explain: Explain, clock: Clock) -> None:
        row = await stores.holdings.content(ONE)
        assert row
        await stores.holdings.condemn(ONE, content_of(row), clock())
        await stores.contents.commit(REPOSITORY, [Delete(keys.blob(ONE))])
        explanation, text = await explain()
        assert explanation.blob
        assert (explanation.blob.is_good, explanation.blob.is_held) == (False, True)
        assert explanation.blob.leaving == (content_of(row).object,)
        assert "bad, and out of service" in text
        assert "this repository holds it without showing it to clients" in text

    async def test_what_only_others_hold_is_no_part_of_this_repository(
        self, stores: Stores, explain: Explain, clock: Clock
    ) -> None:
        (blob,) = parts(1, "theirs")
        await hold(stores, blob, repository=OTHER)
        clock.now += LATELY + SECOND
        explanation, text = await explain(Digest.parse(blob.digest))
        assert explanation.blob
        assert explanation.blob.others == Some((OTHER,))
        assert "this repository has no part in it" in text

    async def test_while_removal_is_halted_nothing_goes(
        self, stores: Stores, explain: Explain, clock: Clock
    ) -> None:
        await stores.halt.put([keys.BLOBS])
        clock.now += LATELY + SECOND
        explanation, text = await explain()
        assert explanation.is_halted
        assert text.startswith("nothing at all is removed for now")

    async def test_many_users_are_not_all_read(self, explain: Explain, pushes: Pushes) -> None:
        for number in range(MOST + 1):
            image = image_of(TWO, annotations={"n": str(number)})
            await pushes.put(REPOSITORY, image, [], by=ME)
        explanation, text = await explain()
        assert (len(explanation.users.first), explanation.users.and_more) == (MOST, True)
        assert "and more manifests use it" in text


class TestManifests:
    async def test_one_that_is_there_stays_with_its_tags_and_its_indexes(
        self, explain: Explain, pushes: Pushes
    ) -> None:
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        index = index_of([IMAGE])
        await pushes.put(REPOSITORY, index, [Tag("all")], by=ME)
        explanation, text = await explain(IMAGE.digest)
        assert explanation.live
        assert explanation.live.tags == Some(("latest",))
        assert explanation.blob is None
        (user,) = explanation.users.first
        assert (user.digest, user.names, user.tags) == (index.digest, "child", Some(("all",)))
        assert "stays until it is deleted" in text
        assert "tags point to it: latest" in text

    async def test_a_referrer_goes_with_its_subject(
        self, explain: Explain, pushes: Pushes, manifests: Manifests, clock: Clock
    ) -> None:
        await pushes.put(REPOSITORY, REFERRER, [], by=ME)
        assert await self.subject(explain) == Subject(IMAGE.digest, State.NOWHERE)
        await pushes.put(REPOSITORY, IMAGE, [], by=ME)
        assert await self.subject(explain) == Subject(IMAGE.digest, State.LIVE)
        clock.move(seconds=1)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        ends = clock() + KEPT + 4 * ages.L
        assert await self.subject(explain) == Subject(IMAGE.digest, State.DELETED, ends)
        explanation, text = await explain(IMAGE.digest)
        (over,) = explanation.over.first
        assert over.referrers == Some((REFERRER.digest,))
        assert f"manifests that refer to it go with it: {REFERRER.digest}" in text

    async def subject(self, explain: Explain) -> Subject | None:
        explanation, text = await explain(REFERRER.digest)
        assert explanation.live
        assert f"it refers to {IMAGE.digest}" in text
        assert "no tag points to it" in text
        return explanation.live.subject

    async def test_a_life_that_is_over_says_when_it_is_purged(
        self, stores: Stores, explain: Explain, pushes: Pushes, manifests: Manifests, clock: Clock
    ) -> None:
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
        await manifests.delete(REPOSITORY, IMAGE.digest, by=ME)
        explanation, text = await explain(IMAGE.digest)
        (over,) = explanation.over.first
        assert explanation.live is None
        assert (over.until, over.purged) == (clock() + KEPT, clock() + KEPT + 4 * ages.L)
        assert (over.targets, over.reason) == (2, "")
        assert "it can come back until" in text

    async def test_a_push_under_way_is_told(
        self, stores: Stores, explain: Explain, clock: Clock
    ) -> None:
        life = "1" * 32
        row = Insert(keys.build(IMAGE.digest, life), {"life": life})
        await stores.contents.commit(REPOSITORY, [row])
        explanation, text = await explain(IMAGE.digest)
        (pushing,) = explanation.pushing
        assert (pushing.life, pushing.ends) == (life, clock() + 2 * ages.L)
        assert "it is being pushed in several steps" in text

    async def test_what_was_never_here_is_told_so(self, explain: Explain) -> None:
        explanation, text = await explain(Digest.of(b"never"))
        assert explanation.is_empty
        assert "there is nothing of it here" in text
