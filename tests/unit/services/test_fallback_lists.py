"""Lists of referrers that old clients keep, while clients that know the API push and delete."""

import json
from collections.abc import Awaitable, Callable, Sequence

import orjson
import pytest

from shared.errors import ManifestUnknown, PreconditionFailed
from shared.model import manifest as manifest_model
from shared.model.digest import Digest
from shared.model.manifest import Manifest, read_manifest
from shared.model.media_types import DOCKER_LIST, OCI_INDEX
from shared.model.names import Tag, referrers_tag
from shared.services import fallback_lists, referrers
from shared.services.events import Announcement, Events
from shared.services.fallback_lists import FallbackLists
from shared.services.manifests import Manifests
from shared.services.pushes import Condition, Pushes
from shared.storage import keys
from shared.storage.ports import Row, Update
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


async def test_what_is_there_and_no_referrer_stays_on_the_list(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, STRANGER)
    await push(pushes, index_of([STRANGER]), TAG)
    await push(pushes, NEW)
    await work_off()
    assert await listed(manifests) == [STRANGER.digest, NEW.digest]


async def test_what_is_not_there_is_listed_when_it_comes(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, index_of([STRANGER, OLD]), TAG)
    await work_off()
    assert await listed(manifests) == []
    await push(pushes, OLD)
    await work_off()
    assert await listed(manifests) == [OLD.digest]


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


async def test_of_a_list_in_step_no_referrer_is_read(
    pushes: Pushes, memory: Memory, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    await push(pushes, OLD)
    await push(pushes, NEW)
    await push(pushes, index_of([OLD, NEW]), TAG)
    read: list[str] = []
    get = memory.rows.get

    async def noted(table: str, partition: str, key: str, only: Sequence[str] | None) -> Row | None:
        read.append(key.partition("|")[0])
        return await get(table, partition, key, only)

    monkeypatch.setattr(memory.rows, "get", noted)
    assert await work_off() == 3
    assert read == ["outbox", "tag"] * 3


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
    for manifest in (STRANGER, OLD, NEW):
        await push(pushes, manifest)
    await push(pushes, index_of([STRANGER]), TAG)
    await work_off()
    assert len(await listed(manifests)) == 2


async def test_a_list_gains_many_referrers_at_once(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "_AT_ONCE", 2)
    referring = [
        image_of(ONE, subject=described_as(SUBJECT), annotations={"number": str(number)})
        for number in range(5)
    ]
    for each in referring:
        await push(pushes, each)
    await push(pushes, index_of(referring[3:4]), TAG)
    assert await work_off() == 7
    assert sorted(map(str, await listed(manifests))) == sorted(str(one.digest) for one in referring)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f'"x": {"[" * 300}{"]" * 300}', id="too deep to write"),
        pytest.param(f'"x": [{",".join(["1e15"] * 60)}]', id="larger when written"),
        pytest.param(f'"config": {json.dumps(ONE[0].descriptor())}', id="with a blob"),
    ],
)
async def test_what_would_be_no_manifest_any_more_is_left_alone(
    pushes: Pushes,
    manifests: Manifests,
    work_off: WorkOff,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    body: str,
) -> None:
    monkeypatch.setattr(manifest_model, "REFERENCES", 1)
    monkeypatch.setattr(fallback_lists, "REFERENCES", 1)
    monkeypatch.setattr(fallback_lists, "MANIFEST_BYTES", 1_000)
    fields = f'{{"schemaVersion": 2, "mediaType": "{OCI_INDEX}", "manifests": [], {body}}}'
    theirs = read_manifest(fields.encode(), OCI_INDEX)
    await push(pushes, theirs, TAG)
    await push(pushes, NEW)
    assert await work_off() == 2
    assert (await manifests.find(REPOSITORY, TAG)).digest == theirs.digest
    assert f"{TAG} cannot be kept in step" in caplog.text


async def test_a_tag_of_an_image_by_its_own_digest_is_left_alone(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, STRANGER)
    image = index_of([STRANGER])
    own = referrers_tag(image.digest)
    await push(pushes, image, own)
    await push(pushes, image_of(ONE, subject=described_as(image)))
    assert await work_off() == 3
    assert (await manifests.find(REPOSITORY, own)).digest == image.digest


async def test_a_list_that_is_a_referrer_itself_is_left_alone(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    theirs = index_of([], subject=described_as(SUBJECT))
    await push(pushes, theirs, TAG)
    assert await work_off() == 1
    assert (await manifests.find(REPOSITORY, TAG)).digest == theirs.digest


async def test_lists_that_were_made_here_go_when_they_are_replaced(
    pushes: Pushes, manifests: Manifests, memory: Memory, work_off: WorkOff
) -> None:
    theirs = index_of([])
    await push(pushes, theirs, TAG)
    for referrer in (OLD, NEW):
        await push(pushes, referrer)
        await work_off()
    last = await manifests.find(REPOSITORY, TAG)
    kept = {OLD.digest, NEW.digest, theirs.digest, last.digest}
    assert set(memory.keys("manifest|")) == {keys.manifest(digest) for digest in kept}


async def test_a_list_that_was_made_here_stays_while_it_has_a_tag(
    pushes: Pushes, manifests: Manifests, stores: Stores, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([]), TAG)
    await work_off()
    ours, body = await manifests.read(REPOSITORY, TAG)
    await push(pushes, read_manifest(body, OCI_INDEX), LATEST)
    made_here = Update(keys.manifest(ours.digest), {"is_made_here": True})
    await stores.contents.commit(REPOSITORY, [made_here])
    await push(pushes, NEW)
    await work_off()
    assert (await manifests.find(REPOSITORY, LATEST)).digest == ours.digest


async def test_a_list_that_was_made_here_stays_in_an_index(
    pushes: Pushes, manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([]), TAG)
    await work_off()
    ours, body = await manifests.read(REPOSITORY, TAG)
    await push(pushes, NEW)
    index = index_of([read_manifest(body, OCI_INDEX)])
    before(memory.rows, "commit", lambda: push(pushes, index), at=2)
    await work_off()
    assert (await manifests.find(REPOSITORY, ours.digest)).digest == ours.digest


async def test_a_list_that_was_made_here_stays_when_a_client_has_pushed_it(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([]), TAG)
    await work_off()
    ours, body = await manifests.read(REPOSITORY, TAG)
    await push(pushes, read_manifest(body, OCI_INDEX))
    await push(pushes, NEW)
    await work_off()
    assert (await manifests.find(REPOSITORY, ours.digest)).digest == ours.digest


@pytest.fixture
async def behind(pushes: Pushes, work_off: WorkOff) -> None:
    """A list that lacks what was just pushed."""
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await push(pushes, NEW)


@pytest.mark.usefixtures("behind")
async def test_a_list_that_changes_meanwhile_is_brought_in_step_by_its_own_event(
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


@pytest.mark.usefixtures("behind")
async def test_a_referrer_that_is_added_while_it_is_deleted_is_struck_off_again(
    manifests: Manifests, memory: Memory, work_off: WorkOff, before: Before
) -> None:
    async def delete() -> None:
        await manifests.delete(REPOSITORY, NEW.digest, by="me")
        await work_off()
        assert await listed(manifests) == [OLD.digest]

    before(memory.rows, "commit", delete)
    await work_off()
    assert await listed(manifests) == [OLD.digest]


async def test_what_is_deleted_and_listed_again_is_struck_off_again(
    pushes: Pushes, manifests: Manifests, work_off: WorkOff
) -> None:
    await push(pushes, OLD)
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    await manifests.delete(REPOSITORY, OLD.digest, by="me")
    await work_off()
    await push(pushes, index_of([OLD]), TAG)
    await work_off()
    assert await listed(manifests) == []


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
