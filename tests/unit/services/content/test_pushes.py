import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from shared.errors import ManifestBlobUnknown, ManifestInvalid, Unavailable, Unsupported
from shared.model.digest import Digest
from shared.model.manifests.manifest import read_manifest
from shared.model.manifests.media_types import OCI_MANIFEST
from shared.model.names import Tag, referrers_tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Condition, Pushed, Pushes
from shared.services.upkeep.errands import Upkeep
from shared.storage import keys, ports
from shared.storage.ports import Change, Conflict, Delete, Row, Update, Value
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME, THEM, YOU
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
    run_errands,
)

TWO = parts(2)
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


async def pull(manifests: Manifests, tag: Tag = LATEST) -> bytes:
    return (await manifests.read(REPOSITORY, tag))[1]


@pytest.fixture
def transactions(prepared: Memory, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Change]]:
    """The transactions that a test makes on repositories, in order."""
    seen: list[Sequence[Change]] = []
    commit = prepared.rows.commit

    async def counted(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        if table == keys.CONTENTS:
            seen.append(changes)
        return await commit(table, partition, changes)

    monkeypatch.setattr(prepared.rows, "commit", counted)
    return seen


async def test_a_push_writes_all_it_changes_in_one_transaction(
    stores: Stores, pushes: Pushes, memory: Memory, transactions: list[Sequence[Change]]
) -> None:
    await hold(stores, *TWO)
    transactions.clear()
    subject = image_of(parts(1, "subject"))
    manifest = image_of(TWO, subject=described_as(subject))
    pushed = await pushes.put(REPOSITORY, manifest, [LATEST], by=ME)
    assert pushed == Pushed(manifest.digest, (LATEST,), subject.digest)
    assert len(transactions) == 2  # `writable` was not there
    assert [change.key.partition("|")[0] for change in transactions[1]] == [
        *("outbox", "blob", "edge", "blob", "edge", "writable", "repository"),
        *("manifest", "tag", "tagged", "newest", "referrer"),
    ]
    assert len(memory.messages.sent) == 1
    assert await stores.index.page("", 10) == [REPOSITORY]


async def test_an_event_is_written_for_each_tag(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [Tag("a"), Tag("b")], by=ME)
    await pushes.put(REPOSITORY, image_of(TWO, annotations={}), [], by=ME)
    rows = [await stores.contents.event(REPOSITORY, key) for key in memory.keys("outbox|")]
    assert sorted(str(row.values["tag"]) for row in rows if row) == ["", "a", "b"]
    assert {(row.values["by"], row.values["event"]) for row in rows if row} == {
        ("me", "ManifestPushed")
    }


async def test_the_second_push_of_a_manifest_finds_it_there(
    stores: Stores, pushes: Pushes, manifests: Manifests, transactions: list[Sequence[Change]]
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    transactions.clear()
    for service, tries in ((pushes, 1), (Pushes(stores, is_sparse_allowed=False), 2)):
        await service.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
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
    await pushes.put(REPOSITORY, image_of(TWO), [tag], by=ME)
    clock.move(hours=1)
    service = pushes if is_known else Pushes(stores, is_sparse_allowed=False)
    newer = image_of(TWO, annotations={"newer": "yes"})
    await service.put(REPOSITORY, newer, [tag], by=ME)
    assert await pull(manifests, tag) == newer.body
    record = await stores.contents.tag(REPOSITORY, tag)
    assert record
    assert (record.created, record.updated) == (then, clock())


async def test_a_tag_changed_by_another_meanwhile_is_read_again(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    theirs = image_of(TWO, annotations={"whose": "theirs"})
    ours = image_of(TWO, annotations={"whose": "ours"})
    other = Pushes(stores, is_sparse_allowed=False)
    before(memory.rows, "commit", lambda: other.put(REPOSITORY, theirs, [LATEST], by=THEM))
    await pushes.put(REPOSITORY, ours, [LATEST], by=ME)
    assert await pull(manifests) == ours.body


async def test_a_tag_deleted_by_another_meanwhile_is_made_again(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    before(memory.rows, "commit", lambda: manifests.untag(REPOSITORY, LATEST, by=THEM))
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    assert await pull(manifests) == image_of(TWO).body


async def test_a_manifest_deleted_by_another_meanwhile_is_made_again(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    await hold(stores, *TWO)
    image = image_of(TWO)
    await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    before(memory.rows, "commit", lambda: manifests.delete(REPOSITORY, image.digest, by=THEM))
    await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    assert await pull(manifests) == image.body


async def test_all_that_is_missing_is_named_at_once_and_nothing_is_written(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    contents = parts(5)
    others = parts(2, "other")
    await hold(stores, contents[1], *others)
    await pushes.put(REPOSITORY, image_of(others), [], by=ME)
    kept = memory.kept()
    with pytest.raises(ManifestBlobUnknown) as caught:
        await pushes.put(REPOSITORY, image_of(contents), [LATEST], by=ME)
    missing = [content.digest for content in (contents[0], *contents[2:])]
    assert sorted(caught.value.digests) == sorted(missing)
    assert memory.kept() == kept


async def test_a_child_that_is_missing_is_named(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    here, away = image_of(TWO), image_of(TWO, annotations={})
    await pushes.put(REPOSITORY, here, [], by=ME)
    with pytest.raises(ManifestBlobUnknown) as caught:
        await pushes.put(REPOSITORY, index_of([here, away]), [], by=ME)
    assert caught.value.digests == [str(away.digest)]
    await pushes.put(REPOSITORY, away, [], by=ME)
    await pushes.put(REPOSITORY, index_of([here, away]), [], by=ME)


async def test_a_blob_that_comes_between_two_tries_is_used(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, before: Before
) -> None:
    before(memory.rows, "get", lambda: hold(stores, *TWO))
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    assert await pull(manifests) == image_of(TWO).body


async def test_a_blob_of_another_repository_is_missing(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO, repository=Tag("other/app"))  # type: ignore[arg-type]
    with pytest.raises(ManifestBlobUnknown):
        await pushes.put(REPOSITORY, image_of(TWO), [], by=ME)


async def test_foreign_layers_need_not_be_there(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, TWO[0])
    foreign = {
        **TWO[1].descriptor(),
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
    await pushes.put(REPOSITORY, image_of(TWO[:1], layers=[foreign]), [], by=ME)


async def test_a_layer_that_is_also_foreign_has_to_be_there(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, TWO[0])
    foreign = {
        **TWO[1].descriptor(),
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
    with pytest.raises(ManifestBlobUnknown):
        await pushes.put(REPOSITORY, image_of(TWO, blobs=[foreign]), [], by=ME)


async def test_a_subject_need_not_be_there(stores: Stores, pushes: Pushes) -> None:
    await hold(stores, *TWO)
    subject = described_as(image_of(parts(1, "away")))
    pushed = await pushes.put(REPOSITORY, image_of(TWO, subject=subject), [], by=ME)
    assert str(pushed.subject) == subject["digest"]


async def test_a_sparse_manifest_is_stored_where_it_may_be(
    stores: Stores, manifests: Manifests, memory: Memory
) -> None:
    contents = parts(3)
    await hold(stores, contents[1])
    image = image_of(contents)
    await Pushes(stores, is_sparse_allowed=True).put(REPOSITORY, image, [LATEST], by=ME)
    assert await pull(manifests) == image.body
    assert len(memory.keys("edge|")) == 3


async def test_the_links_of_a_push_are_renewed(
    stores: Stores, pushes: Pushes, clock: Clock
) -> None:
    await hold(stores, *TWO)
    clock.move(hours=23)
    await pushes.put(REPOSITORY, image_of(TWO), [], by=ME)
    for content in TWO:
        link = await stores.contents.link(REPOSITORY, Digest.parse(content.digest))
        assert link
        assert link.seen == clock()


async def test_one_digest_named_many_times_is_one_reference(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    await hold(stores, TWO[0])
    child = image_of(TWO[:1])
    await pushes.put(REPOSITORY, child, [], by=ME)
    layers = [TWO[0].descriptor()] * 60
    await pushes.put(REPOSITORY, image_of(TWO[:1], layers=layers), [], by=ME)
    await pushes.put(REPOSITORY, index_of([child] * 60), [], by=ME)
    assert len(memory.keys("edge|")) == 3


async def test_one_digest_may_be_a_blob_and_a_child_at_once(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    child = image_of(TWO[:1])
    await hold(stores, TWO[0], parts(1)[0])
    await pushes.put(REPOSITORY, child, [], by=ME)
    body = child.body
    same = [described_as(child)]
    await hold(stores, blob(body, OCI_MANIFEST))
    await pushes.put(REPOSITORY, index_of([child], blobs=same), [LATEST], by=ME)
    assert len([key for key in memory.keys("edge|") if str(child.digest) in key.split("|")[1]]) == 1


@pytest.mark.parametrize("count", [45, 46, 47, 48, 49, 50, 100, 1_200])
async def test_many_references_go_first_and_the_manifest_last(
    stores: Stores,
    pushes: Pushes,
    memory: Memory,
    transactions: list[Sequence[Change]],
    count: int,
) -> None:
    contents = parts(count)
    await hold(stores, *contents)
    await pushes.put(REPOSITORY, image_of(contents[:1]), [], by=ME)
    transactions.clear()
    await pushes.put(REPOSITORY, image_of(contents), [LATEST], by=ME)
    assert all(len(changes) <= 100 for changes in transactions)
    is_made = [keys.manifest(image_of(contents).digest) in _keys(each) for each in transactions]
    assert is_made == [False] * (len(transactions) - 1) + [True]
    assert len(transactions) <= 2 + count // 49
    assert all(keys.WRITABLE in _keys(each) for each in transactions)
    assert len(memory.keys("edge|")) == count + 1
    assert memory.keys("build|") == []


def _keys(changes: Sequence[Change]) -> list[str]:
    return [change.key for change in changes]


@pytest.mark.parametrize("writes", range(5))
async def test_a_push_that_dies_shows_nothing_until_it_is_repeated(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
    memory: Memory,
    clock: Clock,
    crash: Callable[[Memory, int], Callable[[], None]],
    writes: int,
) -> None:
    contents = parts(120)
    await hold(stores, *contents)
    await pushes.put(REPOSITORY, image_of(contents[:1]), [], by=ME)
    memory.messages.sent.clear()
    revive = crash(memory, writes)
    with pytest.raises(Crash):  # two messages, three transactions
        await pushes.put(REPOSITORY, image_of(contents), [LATEST], by=ME)
    revive()
    assert await stores.contents.tag(REPOSITORY, LATEST) is None
    clock.move(seconds=300)
    await run_errands(memory, upkeep)
    assert memory.keys("build|") == []
    assert len(memory.keys("edge|")) == 1
    await Pushes(stores, is_sparse_allowed=False).put(
        REPOSITORY, image_of(contents), [LATEST], by=ME
    )
    assert await pull(manifests) == image_of(contents).body
    assert await stores.index.page("", 10) == [REPOSITORY]


async def test_a_build_that_is_under_way_is_left_alone(
    stores: Stores, pushes: Pushes, upkeep: Upkeep, memory: Memory, before: Before
) -> None:
    contents = parts(120)
    await hold(stores, *contents)
    before(memory.rows, "commit", lambda: run_errands(memory, upkeep), at=4)
    await pushes.put(REPOSITORY, image_of(contents), [LATEST], by=ME)
    assert len(memory.keys("edge|")) == 120


async def test_a_build_that_was_ended_gives_up(
    stores: Stores, pushes: Pushes, upkeep: Upkeep, memory: Memory, clock: Clock, before: Before
) -> None:
    contents = parts(120)
    await hold(stores, *contents)

    async def late() -> None:
        clock.move(seconds=300)
        await run_errands(memory, upkeep)

    before(memory.rows, "commit", late, at=4)
    with pytest.raises(Unavailable, match="too long"):
        await pushes.put(REPOSITORY, image_of(contents), [LATEST], by=ME)
    assert (memory.keys("edge|"), memory.keys("build|"), memory.keys("manifest|")) == ([], [], [])


async def test_the_second_of_two_large_pushes_tags_what_the_first_has_made(
    stores: Stores,
    pushes: Pushes,
    upkeep: Upkeep,
    memory: Memory,
    clock: Clock,
    before: Before,
) -> None:
    contents = parts(120)
    await hold(stores, *contents)
    other = Pushes(stores, is_sparse_allowed=False)
    image = image_of(contents)
    before(memory.rows, "commit", lambda: other.put(REPOSITORY, image, [Tag("v1")], by=YOU), at=4)
    await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    assert memory.keys("tag|") == ["tag|latest", "tag|v1"]
    clock.move(seconds=300)
    await run_errands(memory, upkeep)
    assert len(memory.keys("edge|")) == 120


async def test_a_large_body_is_an_object(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await hold(stores, *TWO)
    objects = len(memory.objects._container.objects)  # type: ignore[union-attr]
    image = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
    for service, more in ((pushes, 1), (pushes, 1), (Pushes(stores, is_sparse_allowed=False), 2)):
        await service.put(REPOSITORY, image, [LATEST], by=ME)
        assert await pull(manifests) == image.body
        kept = len(memory.objects._container.objects)  # type: ignore[union-attr]
        assert kept == objects + more  # what a cold push has brought again is garbage
    fresh = Manifests(stores)
    stores.bodies._bodies.clear()
    assert await pull(fresh) == image.body


async def test_a_large_body_is_stored_once_however_many_tries_it_takes(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    image = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
    await Pushes(stores, is_sparse_allowed=False).put(REPOSITORY, image, [LATEST], by=ME)
    assert await pull(manifests) == image.body
    assert len(memory.objects._container.objects) == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("extra", [0, INLINE_BYTES], ids=["inline", "object"])
@pytest.mark.parametrize("count", [2, 120], ids=["small", "large"])
async def test_a_write_that_went_through_and_is_repeated_is_a_success(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    extra: int,
    count: int,
) -> None:
    """Azure answers 500 to a write that it has made, and its client repeats it: a conflict."""
    contents = parts(count)
    await hold(stores, *contents)
    commit = memory.rows.commit

    async def repeated(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        await commit(table, partition, changes)
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", repeated)
    image = image_of(contents, annotations={"long": "x" * extra})
    condition = Condition(is_new=True)
    await pushes.put(REPOSITORY, image, [LATEST], by=ME, condition=condition)
    stores.bodies._bodies.clear()
    assert await pull(manifests) == image.body
    assert len(memory.keys("outbox|")) == 1
    assert (len(memory.keys("edge|")), memory.keys("build|")) == (count, [])


async def test_a_repository_that_never_rests_is_given_up(
    stores: Stores,
    pushes: Pushes,
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def conflict(table: str, partition: str, changes: Sequence[Change]) -> None:
        clock.move(seconds=1)
        place = next(n for n, change in enumerate(changes) if change.key == keys.tag(LATEST))
        raise Conflict("tag", place)

    await hold(stores, *TWO)
    monkeypatch.setattr(memory.rows, "commit", conflict)
    with pytest.raises(Unavailable, match="changed too often"):
        await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)


async def test_a_manifest_that_is_no_json_is_pushed(stores: Stores, pushes: Pushes) -> None:
    text = read_manifest(b"", "text/plain")
    await pushes.put(REPOSITORY, text, [LATEST], by=ME)
    assert await pull(Manifests(stores)) == b""


async def test_a_push_is_told_of_before_it_is_made(
    stores: Stores, pushes: Pushes, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise ports.Unavailable("the queue is busy")

    await hold(stores, *TWO)
    kept = memory.kept()
    monkeypatch.setattr(memory.messages, "send", busy)
    with pytest.raises(ports.Unavailable):
        await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    assert memory.kept() == kept


async def test_a_push_that_took_long_is_told_of_again_and_fails_no_more(
    stores: Stores,
    pushes: Pushes,
    memory: Memory,
    clock: Clock,
    before: Before,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def late() -> None:
        clock.move(seconds=101)

        async def busy(*_: object) -> None:
            raise ports.Unavailable("the queue is busy")

        monkeypatch.setattr(memory.messages, "send", busy)

    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    before(memory.rows, "commit", late)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)


@pytest.mark.parametrize(
    ("values", "error"),
    [({"write_enabled": False}, Unsupported), ({"deletion": "id"}, Unavailable)],
    ids=["locked", "being deleted"],
)
async def test_a_repository_that_takes_no_pushes_says_why(
    stores: Stores,
    pushes: Pushes,
    manifests: Manifests,
    values: Mapping[str, Value],
    error: type[Exception],
) -> None:
    await hold(stores, *TWO)
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    changes: list[Change] = [Delete(keys.WRITABLE), Update(keys.REPOSITORY, values)]
    await stores.contents.commit(REPOSITORY, changes)
    for work in (
        pushes.put(REPOSITORY, image_of(TWO[:1]), [LATEST], by=ME),
        manifests.delete(REPOSITORY, image_of(TWO).digest, by=ME),
        manifests.untag(REPOSITORY, LATEST, by=ME),
    ):
        with pytest.raises(error):
            await work
    assert await pull(manifests) == image_of(TWO).body


async def test_a_child_may_be_a_blob(stores: Stores, pushes: Pushes, memory: Memory) -> None:
    """BuildKit's cache is an index of layers."""
    await hold(stores, *TWO)
    for media_type in (OCI_LAYER, OCI_MANIFEST):  # what is there decides
        children = [{**one.descriptor(), "mediaType": media_type} for one in TWO]
        cache = index_of([], manifests=children)
        await pushes.put(REPOSITORY, cache, [LATEST], by=ME)
    names = {row.values["names"] for row in await rows(stores, memory, "edge|")}
    assert names == {"link"}
    for one in TWO:
        assert await stores.contents.is_linked(REPOSITORY, Digest.parse(one.digest))


async def test_a_child_whose_type_is_unknown_may_be_a_manifest(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    await hold(stores, *TWO)
    child = image_of(TWO)
    await pushes.put(REPOSITORY, child, [], by=ME)
    described = {**described_as(child), "mediaType": "application/vnd.example"}
    await pushes.put(REPOSITORY, index_of([], manifests=[described]), [], by=ME)
    names = [row.values["names"] for row in await rows(stores, memory, "edge|")]
    assert sorted(map(str, names)) == ["child", "link", "link"]


async def rows(stores: Stores, memory: Memory, prefix: str) -> Sequence[Row]:
    return await stores.contents.rows(REPOSITORY, memory.keys(prefix))


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
async def test_an_incomplete_index_gets_no_other_tag_until_it_is_complete(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory, is_warm: bool
) -> None:
    await hold(stores, *TWO)
    child = image_of(TWO)
    index = index_of([child])
    await pushes.put(REPOSITORY, index, [referrers_tag(child.digest)], by=ME)
    service = pushes if is_warm else Pushes(stores, is_sparse_allowed=False)
    with pytest.raises(ManifestBlobUnknown):
        await service.put(REPOSITORY, index, [LATEST], by=ME)
    await pushes.put(REPOSITORY, child, [], by=ME)
    await service.put(REPOSITORY, index, [LATEST], by=ME)
    record = await stores.contents.manifest(REPOSITORY, index.digest, with_body=False)
    assert record
    assert not record.is_incomplete
    edge = keys.edge(child.digest, index.digest, record.life)
    (row,) = await stores.contents.rows(REPOSITORY, [edge])
    assert row.values["names"] == "child"


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
async def test_a_digest_has_the_media_type_that_the_first_push_said(
    stores: Stores, pushes: Pushes, manifests: Manifests, is_warm: bool
) -> None:
    await pushes.put(REPOSITORY, read_manifest(b"{}", "a/b"), [LATEST], by=ME)
    service = pushes if is_warm else Pushes(stores, is_sparse_allowed=False)
    with pytest.raises(ManifestInvalid, match="is there as 'a/b'"):
        await service.put(REPOSITORY, read_manifest(b"{}", "a/c"), [LATEST], by=ME)
    await service.put(REPOSITORY, read_manifest(b"{}", "A/B"), [LATEST], by=ME)
    found = await manifests.find(REPOSITORY, LATEST)
    assert found.media_type == "a/b"


async def test_latest_moves_from_an_image_to_the_index_that_names_it(
    stores: Stores, pushes: Pushes, manifests: Manifests, memory: Memory
) -> None:
    await hold(stores, *TWO)
    child = image_of(TWO)
    await pushes.put(REPOSITORY, child, [LATEST], by=ME)
    await pushes.put(REPOSITORY, index_of([child]), [LATEST], by=ME)
    assert await pull(manifests) == index_of([child]).body
    (moved,) = await rows(stores, memory, "moved|")
    assert moved.values["digest"] == str(child.digest)


async def test_all_rows_of_a_tag_say_the_same(
    stores: Stores, pushes: Pushes, memory: Memory
) -> None:
    await hold(stores, *TWO)
    newer = image_of(TWO, annotations={})
    for manifest, count in ((image_of(TWO), 0), (image_of(TWO), 0), (newer, 1)):
        await pushes.put(REPOSITORY, manifest, [LATEST], by=ME)
        record = await stores.contents.tag(REPOSITORY, LATEST)
        assert record
        assert memory.keys("tagged|") == [keys.tagged(manifest.digest, LATEST)]
        assert memory.keys("newest|") == [keys.newest(record.updated, LATEST)]
        assert len(memory.keys("moved|")) == count


async def test_eleven_tags_move_in_one_transaction(
    stores: Stores, pushes: Pushes, transactions: list[Sequence[Change]]
) -> None:
    contents = parts(128)
    await hold(stores, *contents)
    tags = [Tag(f"v{number}") for number in range(11)]
    subject = described_as(image_of(TWO))
    await pushes.put(REPOSITORY, image_of(contents[:1]), tags, by=ME)
    transactions.clear()
    await pushes.put(REPOSITORY, image_of(contents, subject=subject), tags, by=ME)
    assert len(transactions) == 4
    assert {key for key in _keys(transactions[-1]) if key.startswith("tag|")} == {
        keys.tag(tag) for tag in tags
    }


async def test_a_crowd_at_one_tag_goes_one_after_the_other(
    stores: Stores, pushes: Pushes, manifests: Manifests, transactions: list[Sequence[Change]]
) -> None:
    await hold(stores, *TWO)
    images = [image_of(TWO, annotations={"number": str(number)}) for number in range(64)]
    await pushes.put(REPOSITORY, image_of(TWO), [LATEST], by=ME)
    transactions.clear()
    await asyncio.gather(*(pushes.put(REPOSITORY, it, [LATEST], by=ME) for it in images))
    assert len(transactions) == len(images)


async def test_a_large_push_that_is_refused_looks_no_further_than_it_has_to(
    pushes: Pushes, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand names of nothing fit a request; two reads for each of them would be much."""
    get, reads = memory.rows.get, 0

    async def counted(*arguments: Any) -> Row | None:
        nonlocal reads
        reads += 1
        return await get(*arguments)

    monkeypatch.setattr(memory.rows, "get", counted)
    away = index_of([image_of(parts(1, f"away {number}")) for number in range(2_000)])
    with pytest.raises(ManifestBlobUnknown) as caught:
        await pushes.put(REPOSITORY, away, [LATEST], by=ME)
    assert len(caught.value.digests) == 256
    assert reads < 600
