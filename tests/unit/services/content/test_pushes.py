from collections.abc import Callable, Sequence

import pytest

from shared.errors import ManifestBlobUnknown, Unavailable
from shared.model.digest import Digest
from shared.model.manifest import read_manifest
from shared.model.media_types import OCI_MANIFEST
from shared.model.names import Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Condition, Pushed, Pushes
from shared.storage import keys
from shared.storage.ports import Change, Conflict, Insert
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.images import blob
from tests.unit.services.conftest import (
    LATEST,
    REPOSITORY,
    Before,
    Crash,
    described_as,
    hold,
    image_of,
    index_of,
    parts,
)

TWO = parts(2)


async def pull(manifests: Manifests, tag: Tag = LATEST) -> bytes:
    return (await manifests.read(REPOSITORY, tag))[1]


@pytest.fixture
def transactions(prepared: Memory, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Change]]:
    """The transactions that a test makes on repositories, in order."""
    seen: list[Sequence[Change]] = []
    commit = prepared.rows.commit

    async def counted(table: str, partition: str, changes: Sequence[Change]) -> None:
        if table == keys.CONTENTS:
            seen.append(changes)
        await commit(table, partition, changes)

    monkeypatch.setattr(prepared.rows, "commit", counted)
    return seen


async def test_a_push_writes_all_it_changes_in_one_transaction(
    stores: Stores, pushes: Pushes, memory: Memory, transactions: list[Sequence[Change]]
) -> None:
    await hold(stores, *TWO)
    transactions.clear()
    subject = image_of(parts(1, "subject"))
    manifest = image_of(TWO, subject=described_as(subject))
    pushed = await pushes.put(REPOSITORY, manifest, [LATEST], by="me")
    assert pushed == Pushed(manifest.digest, (LATEST,), subject.digest)
    assert [change.key.partition("|")[0] for change in transactions[0]] == [
        *("outbox", "blob", "edge", "blob", "edge"),
        *("repository", "manifest", "tag", "referrer"),
    ]
    assert len(transactions) == 1
    assert len(memory.messages.sent) == 1
    assert await stores.index.page("", 10) == [REPOSITORY]


async def test_an_event_is_written_for_each_tag(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [Tag("a"), Tag("b")], by="me")
    await pushes.put(REPOSITORY, image_of(TWO, annotations={}), [], by="me")
    rows = [await stores.contents.event(REPOSITORY, key) for key in memory.keys("outbox|")]
    assert sorted(str(row.values["tag"]) for row in rows if row) == ["", "a", "b"]
    assert {(row.values["by"], row.values["event"]) for row in rows if row} == {
        ("me", "ManifestPushed")
    }


async def test_the_second_push_of_a_manifest_finds_it_there(
    stores: Stores, pushes: Pushes, manifests: Manifests, transactions: list[Sequence[Change]]
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
    transactions.clear()
    for service, tries in ((pushes, 1), (Pushes(stores, is_sparse_allowed=False), 3)):
        await service.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
        assert len(transactions) == tries  # a process that has not seen it tries in vain first
        transactions.clear()
    assert await pull(manifests) == image_of(TWO).body


@pytest.mark.parametrize("name", ["latest", "manifest", "repository", "tag", "blob"])
@pytest.mark.parametrize("is_known", [True, False], ids=["hinted", "unhinted"])
async def test_a_tag_is_overwritten_whatever_its_name(
    stores: Stores, pushes: Pushes, manifests: Manifests, clock: Clock, name: str, is_known: bool
) -> None:
    await hold(stores, *TWO)
    tag, then = Tag(name), clock()
    await pushes.put(REPOSITORY, image_of(TWO), [tag], by="me")
    clock.move(hours=1)
    service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
    newer = image_of(TWO, annotations={"newer": "yes"})
    await service.put(REPOSITORY, newer, [tag], by="me")
    assert await pull(manifests, tag) == newer.body
    record = await stores.contents.tag(REPOSITORY, tag)
    assert record
    assert (record.created, record.updated) == (then, clock())


async def test_a_tag_changed_by_another_meanwhile_is_read_again(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
    theirs = image_of(TWO, annotations={"whose": "theirs"})
    ours = image_of(TWO, annotations={"whose": "ours"})
    before(memory.rows, "commit", lambda: pushes.put(REPOSITORY, theirs, [LATEST], by="them"))
    await pushes.put(REPOSITORY, ours, [LATEST], by="me")
    assert await pull(manifests) == ours.body


async def test_a_tag_deleted_by_another_meanwhile_is_made_again(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
    before(memory.rows, "commit", lambda: manifests.untag(REPOSITORY, LATEST, by="them"))
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
    assert await pull(manifests) == image_of(TWO).body


async def test_a_manifest_deleted_by_another_meanwhile_is_made_again(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await hold(stores, *TWO)
    image = image_of(TWO)
    await pushes.put(REPOSITORY, image, [LATEST], by="me")
    before(memory.rows, "commit", lambda: manifests.delete(REPOSITORY, image.digest, by="them"))
    await pushes.put(REPOSITORY, image, [LATEST], by="me")
    assert await pull(manifests) == image.body


async def test_all_that_is_missing_is_named_at_once_and_nothing_is_written(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    contents = parts(5)
    await hold(stores, contents[1])
    kept = memory.kept()
    with pytest.raises(ManifestBlobUnknown) as caught:
        await pushes.put(REPOSITORY, image_of(contents), [LATEST], by="me")
    missing = [content.digest for content in (contents[0], *contents[2:])]
    assert sorted(caught.value.digests) == sorted(missing)
    assert memory.kept() == kept
    assert memory.messages.sent == []


async def test_a_child_that_is_missing_is_named(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    here, away = image_of(TWO), image_of(TWO, annotations={})
    await pushes.put(REPOSITORY, here, [], by="me")
    with pytest.raises(ManifestBlobUnknown) as caught:
        await pushes.put(REPOSITORY, index_of([here, away]), [], by="me")
    assert caught.value.digests == [str(away.digest)]
    await pushes.put(REPOSITORY, away, [], by="me")
    await pushes.put(REPOSITORY, index_of([here, away]), [], by="me")


async def test_a_blob_that_comes_between_two_tries_is_used(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    before(memory.rows, "get", lambda: hold(stores, *TWO))
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
    assert await pull(manifests) == image_of(TWO).body


async def test_a_blob_of_another_repository_is_missing(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO, repository=Tag("other/app"))  # type: ignore[arg-type]
    with pytest.raises(ManifestBlobUnknown):
        await pushes.put(REPOSITORY, image_of(TWO), [], by="me")


async def test_foreign_layers_need_not_be_there(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, TWO[0])
    foreign = {
        **TWO[1].descriptor(),
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
    await pushes.put(REPOSITORY, image_of(TWO[:1], layers=[foreign]), [], by="me")


async def test_a_layer_that_is_also_foreign_has_to_be_there(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, TWO[0])
    foreign = {
        **TWO[1].descriptor(),
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
    with pytest.raises(ManifestBlobUnknown):
        await pushes.put(REPOSITORY, image_of(TWO, blobs=[foreign]), [], by="me")


async def test_a_subject_need_not_be_there(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    subject = described_as(image_of(parts(1, "away")))
    pushed = await pushes.put(REPOSITORY, image_of(TWO, subject=subject), [], by="me")
    assert str(pushed.subject) == subject["digest"]


async def test_a_sparse_manifest_is_stored_where_it_may_be(
    stores: Stores, manifests: Manifests, memory: Memory
) -> None:
    contents = parts(3)
    await hold(stores, contents[1])
    image = image_of(contents)
    await Pushes(stores, is_sparse_allowed=True).put(REPOSITORY, image, [LATEST], by="me")
    assert await pull(manifests) == image.body
    assert len(memory.keys("edge|")) == 3


async def test_the_links_of_a_push_are_renewed(
    stores: Stores, pushes: Pushes, clock: Clock
) -> None:
    await hold(stores, *TWO)
    clock.move(hours=23)
    await pushes.put(REPOSITORY, image_of(TWO), [], by="me")
    for content in TWO:
        link = await stores.contents.link(REPOSITORY, Digest.parse(content.digest))
        assert link
        assert link.seen == clock()


async def test_one_digest_named_many_times_is_one_reference(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    await hold(stores, TWO[0])
    child = image_of(TWO[:1])
    await pushes.put(REPOSITORY, child, [], by="me")
    layers = [TWO[0].descriptor()] * 60
    await pushes.put(REPOSITORY, image_of(TWO[:1], layers=layers), [], by="me")
    await pushes.put(REPOSITORY, index_of([child] * 60), [], by="me")
    assert len(memory.keys("edge|")) == 3


async def test_one_digest_may_be_a_blob_and_a_child_at_once(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    child = image_of(TWO[:1])
    await hold(stores, TWO[0], parts(1)[0])
    await pushes.put(REPOSITORY, child, [], by="me")
    body = child.body
    same = [described_as(child)]
    await hold(stores, blob(body, OCI_MANIFEST))
    await pushes.put(REPOSITORY, index_of([child], layers=same), [LATEST], by="me")
    assert len([key for key in memory.keys("edge|") if str(child.digest) in key.split("|")[1]]) == 1
    await manifests.delete(REPOSITORY, index_of([child], layers=same).digest, by="me")
    assert [key for key in memory.keys("edge|") if str(child.digest) in key.split("|")[1]] == []


@pytest.mark.parametrize("count", [45, 46, 47, 48, 49, 50, 51, 100, 1_200])
async def test_many_references_go_first_and_the_manifest_last(
    stores: Stores,
    pushes: Pushes,
    memory: Memory,
    transactions: list[Sequence[Change]],
    count: int,
) -> None:
    contents = parts(count)
    await hold(stores, *contents)
    transactions.clear()
    await pushes.put(REPOSITORY, image_of(contents), [LATEST], by="me")
    assert all(len(changes) <= 100 for changes in transactions)
    assert len(transactions) == -(-(2 * count + 4) // 100) or len(transactions) == 1 + count // 50
    inserted = [any(isinstance(each, Insert) for each in changes) for changes in transactions]
    assert inserted == [False] * (len(transactions) - 1) + [True]
    assert len(memory.keys("edge|")) == count


@pytest.mark.parametrize("writes", range(4))
async def test_a_push_that_dies_shows_nothing_until_it_is_repeated(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
) -> None:
    contents = parts(120)
    await hold(stores, *contents)
    revive = crash(memory, writes)
    with pytest.raises(Crash):
        await pushes.put(REPOSITORY, image_of(contents), [LATEST], by="me")
    revive()
    is_in = writes == 3  # all three transactions, and died before it was listed
    assert bool(await stores.contents.tag(REPOSITORY, LATEST)) is is_in
    await Pushes(stores, is_sparse_allowed=False).put(
        REPOSITORY, image_of(contents), [LATEST], by="me"
    )
    assert await pull(manifests) == image_of(contents).body
    assert await stores.index.page("", 10) == [REPOSITORY]


async def test_a_large_body_is_an_object(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await hold(stores, *TWO)
    objects = len(memory.objects._container.objects)  # type: ignore[union-attr]
    image = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
    for service in (pushes, pushes, Pushes(stores, is_sparse_allowed=False)):
        await service.put(REPOSITORY, image, [LATEST], by="me")
        assert await pull(manifests) == image.body
        kept = len(memory.objects._container.objects)  # type: ignore[union-attr]
        assert kept == objects + 1  # those that pushed it again have taken theirs away
    fresh = Manifests(stores)
    stores.bodies._bodies.clear()
    assert await pull(fresh) == image.body


async def test_a_large_body_is_stored_once_however_many_tries_it_takes(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")
    image = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
    await Pushes(stores, is_sparse_allowed=False).put(REPOSITORY, image, [LATEST], by="me")
    assert await pull(manifests) == image.body
    assert len(memory.objects._container.objects) == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("extra", [0, INLINE_BYTES], ids=["inline", "object"])
async def test_a_write_that_went_through_and_is_repeated_is_a_success(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    extra: int,
) -> None:
    """Azure answers 500 to a write that it has made, and its client repeats it: a conflict."""
    await hold(stores, *TWO)
    commit = memory.rows.commit

    async def repeated(table: str, partition: str, changes: Sequence[Change]) -> None:
        monkeypatch.setattr(memory.rows, "commit", commit)
        await commit(table, partition, changes)
        await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", repeated)
    image = image_of(TWO, annotations={"long": "x" * extra})
    condition = Condition(is_new=True)
    await pushes.put(REPOSITORY, image, [LATEST], by="me", condition=condition)
    stores.bodies._bodies.clear()
    assert await pull(manifests) == image.body
    assert len(memory.keys("outbox|")) == 1
    assert len(memory.messages.sent) == 1


async def test_a_repository_that_never_rests_is_given_up(
    stores: Stores, pushes: Pushes, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conflict(table: str, partition: str, changes: Sequence[Change]) -> None:
        place = next(n for n, change in enumerate(changes) if change.key == keys.tag(LATEST))
        raise Conflict("tag", place)

    await hold(stores, *TWO)
    monkeypatch.setattr(memory.rows, "commit", conflict)
    with pytest.raises(Unavailable, match="changed too often"):
        await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by="me")


async def test_a_manifest_that_is_no_json_is_pushed(stores: Stores, pushes: Pushes) -> None:
    text = read_manifest(b"", "text/plain")
    await pushes.put(REPOSITORY, text, [LATEST], by="me")
    assert await pull(Manifests(stores)) == b""
