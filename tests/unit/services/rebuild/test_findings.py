"""What a rebuild does not bring back, or not as it was, it lists."""

from collections.abc import AsyncGenerator

import pytest

from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.manifests.media_types import OCI_MANIFEST
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.rebuild.blobs import BlobsBack
from shared.services.rebuild.rebuild import Rebuild
from shared.services.verification.copies import Copies
from shared.services.verification.healing import Healing, Stage, Task
from shared.storage import ages, keys
from shared.storage.origins import BLOB, CANCELLED, MANIFEST, Origin
from shared.storage.ports import Insert, Put, Unavailable
from shared.storage.rows.holdings import BAD, content_of
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.unit.services.conftest import (
    hold,
    image_of,
    index_of,
    parts,
)
from tests.unit.services.rebuild.conftest import A, Again, B, C, Filled, lose, rows_of

TABLES = (keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)


def spoil(memory: Memory, name: str, data: bytes = b"rot") -> None:
    """Let an object's bytes be others."""
    container = memory.objects._container
    assert container
    there = container.objects[name]
    container.objects[name] = type(there)(data, there.metadata, there.etag, there.made)


def objects_of(memory: Memory, digest: Digest) -> list[str]:
    """Name all objects that should hash to a digest."""
    container = memory.objects._container
    assert container
    return [it for it, one in container.objects.items() if one.metadata["digest"] == str(digest)]


async def object_of(stores: Stores, digest: Digest) -> str:
    row = await stores.holdings.content(digest)
    assert row
    return content_of(row).object


async def push(stores: Stores, repository: RepositoryName, manifest: Manifest) -> str:
    """Push a manifest, and copy its body; give its life."""
    pushes = Pushes(stores, is_sparse_allowed=True)
    await pushes.put(repository, manifest, [], by=ME)
    record = await stores.contents.manifest(repository, manifest.digest, with_body=True)
    assert record
    await Copies(stores).make(repository, record)
    return record.life


async def test_bytes_that_are_bad_are_never_named(
    filled: Filled, stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    config = Digest.parse(parts(1)[0].digest)
    bad = objects_of(prepared, config)
    for name in bad:
        spoil(prepared, name)
    lose(prepared, *TABLES)

    report = await rebuild()

    assert {fault.what for fault in report.faults} == {*bad}
    for repository in (A, B):
        assert await stores.contents.link(repository, config) is None
        record = await stores.contents.manifest(repository, filled.image.digest, with_body=False)
        assert record
        assert record.is_incomplete
        assert report.revived[repository, filled.image.digest].missing == (str(config),)
    row = await stores.holdings.content(config)
    assert row
    assert row.values["state"] == BAD

    await hold(stores, parts(1)[0], repository=C)
    clock.now += 3 * ages.L
    for task in await Healing(stores).unfinished(config):
        await Healing(stores).do(task)
    for repository in (A, B):
        link = await stores.contents.link(repository, config)
        assert link
        assert link.object == await object_of(stores, config)
        assert link.object not in bad


@pytest.mark.parametrize("before", ["content", "lack"])
@pytest.mark.parametrize("lost", [TABLES, [keys.BLOBS]], ids=" ".join)
async def test_sound_bytes_that_come_just_before_bad_ones_are_noted_are_shown(
    filled: Filled,
    stores: Stores,
    prepared: Memory,
    rebuild: Again,
    monkeypatch: pytest.MonkeyPatch,
    lost: list[str],
    before: str,
) -> None:
    """Somebody uploads them when the rebuild has seen that there are none."""
    config = Digest.parse(parts(1)[0].digest)
    for name in objects_of(prepared, config):
        spoil(prepared, name)
    lose(prepared, *lost)
    await_sound, call = BlobsBack.await_sound, getattr(stores.holdings, before)

    async def uploaded(digest: Digest, *arguments: object) -> object:
        monkeypatch.setattr(stores.holdings, before, call)
        await hold(stores, parts(1)[0], repository=C)
        return await call(digest, *arguments)

    async def late(self: BlobsBack, repository: RepositoryName, digest: Digest) -> bool:
        if digest == config:
            monkeypatch.setattr(BlobsBack, "await_sound", await_sound)
            monkeypatch.setattr(stores.holdings, before, uploaded)
        return await await_sound(self, repository, digest)

    monkeypatch.setattr(BlobsBack, "await_sound", late)
    report = await rebuild()

    there = await object_of(stores, config)
    for repository in (A, B):
        link = await stores.contents.link(repository, config)
        assert link
        assert link.object == there
        assert await stores.contents.is_linked(repository, config)
    assert not [it for it in report.revived.values() if it.missing]


async def test_of_two_objects_the_sound_one_is_named(
    stores: Stores, prepared: Memory, rebuild: Again
) -> None:
    """The rotten one comes first, or last."""
    for number, spoiled in enumerate((0, 1)):
        content = blob(f"twice {number}".encode())
        digest = Digest.parse(content.digest)
        names = []
        for _ in range(2):
            lose(prepared, *TABLES)
            await hold(stores, content)
            names.append(await object_of(stores, digest))
        spoil(prepared, names[spoiled])
        lose(prepared, *TABLES)
        report = await rebuild()
        assert await object_of(stores, digest) == names[1 - spoiled]
        assert names[spoiled] in [fault.what for fault in report.faults]


async def test_links_name_what_is_the_content_now(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    """A second upload of a blob leaves an object; when `blobs` is lost, either may be named."""
    content = blob(b"twice")
    digest = Digest.parse(content.digest)
    await hold(stores, content, repository=A)
    clock.move(seconds=1)
    lose(prepared, keys.BLOBS)
    await hold(stores, content, repository=B)
    lose(prepared, keys.BLOBS)
    clock.move(seconds=1)
    await rebuild()
    named = await object_of(stores, digest)
    for repository in (A, B):
        link = await stores.contents.link(repository, digest)
        assert link
        assert link.object == named
    assert {*await stores.holdings.holders(digest, "", 9)} == {A, B}


def hot(digest: Digest, patch: pytest.MonkeyPatch, stores: Stores, name: str) -> None:
    """Let a call fail for one digest, as its partition is too busy."""
    call = getattr(stores.holdings, name)

    async def busy(what: Digest, *arguments: object, **options: object) -> object:
        if what == digest:
            raise Unavailable(f"the rows of {what} keep changing")
        return await call(what, *arguments, **options)

    patch.setattr(stores.holdings, name, busy)


@pytest.mark.parametrize(
    ("lost", "call"),
    [(TABLES, "offer"), (TABLES, "join"), ([keys.BLOBS], "offer"), ([keys.CONTENTS], "join")],
)
async def test_a_digest_that_is_too_busy_is_listed_and_the_rest_comes_back(
    filled: Filled,
    stores: Stores,
    prepared: Memory,
    rebuild: Again,
    monkeypatch: pytest.MonkeyPatch,
    lost: list[str],
    call: str,
) -> None:
    before = rows_of(prepared)
    lose(prepared, *lost)
    await stores.halt.put(lost)
    digest = Digest.parse(parts(3)[0].digest)
    with monkeypatch.context() as patch:
        hot(digest, patch, stores, call)
        report = await rebuild()
    assert report.is_unfinished
    assert {fault.why for fault in report.faults} >= {f"the rows of {digest} keep changing"}
    assert await stores.contents.manifest(A, filled.long.digest, with_body=False)
    assert not (await rebuild()).faults
    assert {*rows_of(prepared)} == {*before}


async def test_a_manifest_whose_object_cannot_be_read_now_is_listed(
    filled: Filled,
    stores: Stores,
    prepared: Memory,
    rebuild: Again,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = rows_of(prepared)
    lose(prepared, *TABLES)
    (name,) = objects_of(prepared, filled.long.digest)
    read = prepared.objects.read

    def busy(what: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        if what == name:
            raise Unavailable("it is busy")
        return read(what, start, length)

    with monkeypatch.context() as patch:
        patch.setattr(prepared.objects, "read", busy)
        report = await rebuild()
    assert report.is_unfinished
    assert [(it.what, it.why) for it in report.faults] == [(str(filled.long.digest), "it is busy")]
    await rebuild()
    assert rows_of(prepared) == before


async def test_a_link_without_bytes_is_listed(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    content = blob(b"removed")
    digest = Digest.parse(content.digest)
    await hold(stores, content)
    await stores.discard(await object_of(stores, digest))
    clock.move(seconds=1)
    lose(prepared, keys.BLOBS)
    report = await rebuild()
    assert [(fault.what, fault.where) for fault in report.faults] == [(str(digest), A)]


async def test_a_link_to_bad_bytes_is_withdrawn(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    content = blob(b"rotten")
    digest = Digest.parse(content.digest)
    await hold(stores, content)
    bad = await object_of(stores, digest)
    spoil(prepared, bad)
    clock.move(seconds=1)
    lose(prepared, keys.BLOBS)
    await rebuild()
    assert await Healing(stores).unfinished(digest) == [Task(digest, bad, Stage.WITHDRAW)]
    assert any(digest.encoded in message.body for message in prepared.messages.sent)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kind": "blob"},
        {"kind": "blob", "made": "now", "by": "x", "repository": "a"},
        {"kind": "blob", "made": "2026-01-01T00:00:00+00:00", "by": "x", "repository": "a"},
        {"kind": "manifest", "made": "2026-01-01T00:00:00+00:00", "by": "x", "repository": "a"},
        {"kind": "what", "made": "2026-01-01T00:00:00+00:00", "by": "x", "repository": "a"},
        {
            "kind": "blob",
            "made": "2026-01-01T00:00:00+00:00",
            "by": "x",
            "repository": "A//a",
            "digest": f"sha256:{'0' * 64}",
        },
        {
            "kind": "blob",
            "made": "2026-01-01T00:00:00+00:00",
            "by": "x",
            "repository": "a",
            "digest": "md5:0",
        },
    ],
)
async def test_an_object_that_nobody_knows_is_listed(
    stores: Stores, prepared: Memory, rebuild: Again, metadata: dict[str, str]
) -> None:
    name = keys.object_name(stores.generation, "0" * 32)
    await prepared.objects.put(name, b"?", metadata)
    report = await rebuild()
    assert [(fault.what, fault.why[:24]) for fault in report.faults] == [
        (name, "it does not say what it ")
    ]
    assert rows_of(prepared) == {}


async def test_a_cancelled_upload_is_nothing(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    about = Origin(CANCELLED, clock(), "x", A)
    name = keys.object_name(stores.generation, "0" * 32)
    await prepared.objects.put(name, b"", about.metadata())
    report = await rebuild()
    assert (report.objects, report.faults) == (1, [])


async def test_a_body_that_is_no_manifest_is_listed(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    digest = Digest.of(b"[]")
    about = Origin(MANIFEST, clock(), "x", A, digest, OCI_MANIFEST)
    name = keys.object_name(stores.generation, "0" * 32)
    await prepared.objects.put(name, b"[]", about.metadata())
    report = await rebuild()
    assert [(fault.what, fault.where) for fault in report.faults] == [(name, f"{A}@{digest}")]
    assert rows_of(prepared) == {}


async def test_of_several_lives_the_last_one_comes_back(
    stores: Stores, prepared: Memory, rebuild: Again, manifests: Manifests, clock: Clock
) -> None:
    image = image_of(parts(2))
    await hold(stores, *parts(2))
    lives = []
    for _ in range(3):
        clock.move(seconds=1)
        lives.append(await push(stores, A, image))
        await manifests.delete(A, image.digest, by=ME)
    lose(prepared, *TABLES)
    report = await rebuild()
    record = await stores.contents.manifest(A, image.digest, with_body=True)
    assert record
    assert (record.life, record.body) == (lives[-1], image.body)
    revived = report.revived[A, image.digest]
    assert revived.lives == 3
    assert revived.why == "pushed 3 times, so deleted before"


async def test_where_the_last_body_is_bad_one_before_comes_back(
    stores: Stores, prepared: Memory, rebuild: Again, manifests: Manifests, clock: Clock
) -> None:
    image = image_of(parts(2))
    await hold(stores, *parts(2))
    lives = []
    for _ in range(2):
        clock.move(seconds=1)
        lives.append(await push(stores, A, image))
        await manifests.delete(A, image.digest, by=ME)
    spoil(prepared, keys.object_name(stores.generation, lives[1]))
    lose(prepared, *TABLES)
    report = await rebuild()
    record = await stores.contents.manifest(A, image.digest, with_body=False)
    assert record
    assert record.life == lives[0]
    assert len(report.faults) == 1


async def test_what_a_row_says_is_deleted_stays_so(
    stores: Stores, prepared: Memory, rebuild: Again, manifests: Manifests, clock: Clock
) -> None:
    image = image_of(parts(2))
    await hold(stores, *parts(2))
    await push(stores, A, image)
    await manifests.delete(A, image.digest, by=ME)
    clock.move(days=1)
    before = rows_of(prepared)
    lose(prepared, keys.BLOBS)
    report = await rebuild()
    assert rows_of(prepared) == before
    assert not report.revived


async def test_a_repository_that_is_locked_is_left(
    stores: Stores, prepared: Memory, rebuild: Again
) -> None:
    image = image_of(parts(2))
    await hold(stores, *parts(2))
    await push(stores, A, image)
    lose(prepared, keys.CONTENTS)
    await stores.contents.commit(A, [Insert(keys.REPOSITORY, {"write_enabled": False})])
    report = await rebuild()
    assert not report.revived
    assert "locked" in report.faults[0].why


async def test_a_manifest_says_what_speaks_for_it(
    filled: Filled, prepared: Memory, rebuild: Again
) -> None:
    lose(prepared, *TABLES)
    report = await rebuild()
    why = {digest: one.why for (where, digest), one in report.revived.items() if where == A}
    assert why == {
        filled.image.digest: f"used by {filled.index.digest}",
        filled.large.digest: f"used by {filled.index.digest}",
        filled.index.digest: f"used by {filled.nested.digest}",
        filled.signature.digest: f"refers to {filled.image.digest}",
        filled.nested.digest: "nothing refers to it",
        filled.long.digest: "nothing refers to it",
    }


@pytest.mark.parametrize("is_sparse_allowed", [False, True])
async def test_nobody_reads_anothers_blob_by_having_named_it(
    stores: Stores, prepared: Memory, is_sparse_allowed: bool
) -> None:
    """What need not be in a repository to be named there is not shown there."""
    foreign = blob(b"foreign", "application/vnd.oci.image.layer.nondistributable.v1.tar")
    child = blob(b"child", "application/vnd.oci.image.layer.v1.tar")
    layer = blob(b"layer")
    await hold(stores, foreign, child, layer, repository=B)
    await hold(stores, *parts(1), repository=A)
    if not is_sparse_allowed:
        await hold(stores, layer, repository=A)
    image = image_of([*parts(1), foreign, layer])
    index = index_of([], manifests=[child.descriptor()])
    for manifest in (image, index):
        await push(stores, A, manifest)
    lose(prepared, *TABLES)

    await Rebuild(stores, "registry", is_sparse_allowed=is_sparse_allowed).run(lambda *_: None)

    shown = [
        it
        for it in (foreign, child, layer)
        if await stores.contents.link(A, Digest.parse(it.digest))
    ]
    assert shown == ([] if is_sparse_allowed else [layer])
    assert await stores.contents.manifest(A, image.digest, with_body=False)
    assert await stores.contents.manifest(A, index.digest, with_body=False)


async def test_a_mounted_blob_is_shown_where_it_is_used(
    filled: Filled, stores: Stores, prepared: Memory, rebuild: Again
) -> None:
    lose(prepared, *TABLES)
    await rebuild()
    for part in parts(3):
        assert await stores.contents.link(B, Digest.parse(part.digest))


async def test_what_is_made_meanwhile_is_left_to_its_maker(
    stores: Stores, prepared: Memory, clock: Clock
) -> None:
    begun = Rebuild(stores, "registry", is_sparse_allowed=False)
    clock.move(minutes=1)
    about = Origin(BLOB, clock(), "x", A, Digest.of(b"bytes"))
    name = keys.object_name(stores.generation, "0" * 32)
    await prepared.objects.put(name, b"bytes", about.metadata())
    clock.move(seconds=1)
    await begun.run(lambda *_: None)
    assert rows_of(prepared) == {}


async def test_what_is_on_its_way_out_is_not_named(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    digest = Digest.of(b"bytes")
    about = Origin(BLOB, clock(), "x", A, digest)
    name = keys.object_name(stores.generation, "0" * 32)
    etag = await prepared.objects.put(name, b"bytes", about.metadata())
    partition = keys.blob_partition(stores.generation, digest)
    note = Put(keys.gone(name), {"etag": etag})
    await prepared.rows.commit(keys.BLOBS, partition, [note])
    await rebuild()
    assert await stores.holdings.content(digest) is None


async def test_what_is_removed_while_it_is_hashed_is_not_named(
    stores: Stores, prepared: Memory, rebuild: Again, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(stores, *parts(1))
    digest = Digest.parse(parts(1)[0].digest)
    lose(prepared, *TABLES)
    is_gone = stores.holdings.is_gone

    async def removed(digest: Digest, name: str) -> bool:
        found = await is_gone(digest, name)
        await stores.discard(name)
        return found

    monkeypatch.setattr(stores.holdings, "is_gone", removed)
    await rebuild()
    assert await stores.holdings.content(digest) is None
