"""Lists of referrers that old clients keep, while clients that know the API push and delete."""

from collections.abc import Awaitable, Callable

import orjson
import pytest

from shared.errors import ManifestUnknown, PreconditionFailed, Unavailable
from shared.events import ManifestPushed
from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.media_types import DOCKER_LIST
from shared.model.names import Tag, referrers_tag
from shared.services import fallback_lists, referrers
from shared.services.events import Announcement, Events
from shared.services.fallback_lists import FallbackLists
from shared.services.manifests import Manifests
from shared.services.pushes import Condition, Pushes
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.images import document
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    Before,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)

type WorkOff = Callable[[], Awaitable[int]]

ONE = parts(1)
SUBJECT = image_of(ONE)
TAG = referrers_tag(SUBJECT.digest)
OLD, NEW = (
    image_of(ONE, subject=described_as(SUBJECT), annotations={"by": name})
    for name in ("old", "new")
)
STRANGER = image_of(ONE, annotations={"subject": "none"})


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *ONE)


@pytest.fixture
def lists(stores: Stores) -> FallbackLists:
    return FallbackLists(stores)


@pytest.fixture
def work_off(stores: Stores, memory: Memory, lists: FallbackLists) -> WorkOff:
    """Do what the function behind the queue does, until it has nothing more to do."""

    async def work() -> int:
        count = 0
        while memory.messages.sent:
            announcement = Announcement.read(memory.messages.sent.pop(0)[1].encode())
            for event in await Events(stores).waiting(announcement):
                await lists.follow(REPOSITORY, event)
            await Events(stores).settle(announcement)
            count += 1
            assert count < 50
        return count

    return work


async def push(pushes: Pushes, manifest: Manifest, *tags: Tag) -> None:
    await pushes.put(REPOSITORY, manifest, tags, by="me")


async def listed(manifests: Manifests, tag: Tag = TAG) -> list[Digest]:
    _, body = await manifests.read(REPOSITORY, tag)
    return [Digest.parse(one["digest"]) for one in orjson.loads(body)["manifests"]]


async def test_where_no_list_is_none_is_made(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, NEW)
    assert await work_off() == 1
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, TAG)


async def test_a_referrer_that_is_pushed_is_listed_as_the_api_lists_it(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD], annotations={"kept": "yes"}), TAG)
    assert await work_off() == 2
    await push(pushes, NEW)
    assert await work_off() == 2  # the push, and that of the list, after which there is no other
    _, body = await manifests.read(REPOSITORY, TAG)
    index = orjson.loads(body)
    assert index["manifests"] == [described_as(OLD), NEW.as_referrer()]
    assert index["annotations"] == {"kept": "yes"}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_list_that_comes_later_gets_what_it_lacks(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, algorithm: str
) -> None:
    subject = read_manifest(SUBJECT.body, SUBJECT.media_type, algorithm)
    referrer = image_of(ONE, subject=described_as(subject))
    await push(pushes, referrer)
    await push(pushes, index_of([]), referrers_tag(subject.digest))
    await work_off()
    assert await listed(manifests, referrers_tag(subject.digest)) == [referrer.digest]


async def test_what_a_client_undoes_without_a_condition_is_done_again(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await push(pushes, NEW)
    await work_off()
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    assert await listed(manifests) == [OLD.digest, NEW.digest]


async def test_a_referrer_that_is_deleted_is_struck_off(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, NEW)
    await push(pushes, index_of([OLD, NEW]), TAG)
    await work_off()
    await manifests.delete(REPOSITORY, OLD.digest, by="me")
    await work_off()
    assert await listed(manifests) == [NEW.digest]
    await manifests.delete(REPOSITORY, NEW.digest, by="me")
    await work_off()
    assert await listed(manifests) == []


async def test_a_referrer_that_is_deleted_and_pushed_again_stays(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await manifests.delete(REPOSITORY, OLD.digest, by="me")
    await push(pushes, OLD)
    assert await work_off() == 2
    assert await listed(manifests) == [OLD.digest]


async def test_what_is_no_referrer_here_or_not_yet_stays_on_the_list(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, STRANGER)
    await push(pushes, index_of([STRANGER, OLD]), TAG)
    await push(pushes, NEW)
    await work_off()
    assert await listed(manifests) == [STRANGER.digest, OLD.digest, NEW.digest]
    await push(pushes, OLD)
    await work_off()
    assert await listed(manifests) == [STRANGER.digest, OLD.digest, NEW.digest]


async def test_an_event_about_no_referrer_reads_nothing(
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await push(pushes, SUBJECT, LATEST)
    await manifests.untag(REPOSITORY, LATEST, by="me")
    await manifests.delete(REPOSITORY, SUBJECT.digest, by="me")

    async def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(FallbackLists, "_bring_in_step", refuse)
    assert await work_off() == 3


async def test_a_docker_list_under_the_tag_is_left_alone(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    fields = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}
    await push(pushes, read_manifest(document(fields, DOCKER_LIST).content, DOCKER_LIST), TAG)
    await push(pushes, NEW)
    assert await work_off() == 2
    assert await listed(manifests) == []


async def test_a_list_has_no_more_than_fits_a_manifest(
    pushes: Pushes,
    manifests: Manifests,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = len(index_of([]).body) + len(orjson.dumps(NEW.as_referrer())) + 1
    await push(pushes, OLD)
    await push(pushes, NEW)
    for limit, count in ((room - 10, 0), (room, 1)):
        monkeypatch.setattr(fallback_lists, "MANIFEST_BYTES", limit)
        await push(pushes, index_of([]), TAG)
        await work_off()
        assert len(await listed(manifests)) == count


async def test_a_list_has_no_more_descriptors_than_a_manifest(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback_lists, "REFERENCES", 2)
    await push(pushes, OLD)
    await push(pushes, NEW)
    await push(pushes, index_of([STRANGER]), TAG)
    await work_off()
    assert len(await listed(manifests)) == 2


async def test_a_list_has_no_more_referrers_than_are_read_at_once(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "_MOST", 1)
    await push(pushes, OLD)
    await push(pushes, NEW)
    await push(pushes, index_of([]), TAG)
    await work_off()
    assert await listed(manifests) == [min(OLD.digest, NEW.digest, key=str)]


@pytest.fixture
async def behind(pushes: Pushes, work_off: WorkOff) -> None:
    """A list that lacks what was just pushed."""
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await push(pushes, NEW)


@pytest.mark.usefixtures("behind")
async def test_a_list_that_changes_meanwhile_is_read_again(
    pushes: Pushes, manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    theirs = index_of([STRANGER, OLD])
    await push(pushes, STRANGER)
    before(memory.rows, "commit", lambda: push(pushes, theirs, TAG))
    await work_off()
    assert await listed(manifests) == [STRANGER.digest, OLD.digest, NEW.digest]


@pytest.mark.usefixtures("behind")
async def test_a_list_that_goes_meanwhile_does_not_come_back(
    manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    before(memory.rows, "commit", lambda: manifests.untag(REPOSITORY, TAG, by="me"))
    await work_off()
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, TAG)


async def test_a_list_that_never_rests_is_given_up_to_be_tried_again(
    pushes: Pushes, lists: FallbackLists, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise PreconditionFailed

    await push(pushes, index_of([], annotations={"a": "list"}), TAG)
    await push(pushes, NEW)
    monkeypatch.setattr(Pushes, "put", refuse)
    subject = str(SUBJECT.digest)
    event = ManifestPushed(str(NEW.digest), "", NEW.media_type, 1, "me", stores.clock(), subject)
    with pytest.raises(Unavailable, match="changed too often"):
        await lists.follow(REPOSITORY, event)


async def test_an_old_client_with_a_condition_reads_again(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    read = await manifests.find(REPOSITORY, TAG)
    await push(pushes, NEW)
    await work_off()
    condition = Condition(digests=frozenset({str(read.digest)}))
    with pytest.raises(PreconditionFailed):
        await pushes.put(REPOSITORY, index_of([]), [TAG], by="me", condition=condition)
