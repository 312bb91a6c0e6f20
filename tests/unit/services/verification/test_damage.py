"""What is found bad or missing: it is reported, told by an event, and marked when it is healed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.errors import BlobUnknown, ManifestUnknown
from shared.events import BlobWithdrawn, read
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.events.fan_out import Announcement, FanOut
from shared.services.upkeep.errands import Upkeep
from shared.services.verification.healing import Healing, Stage, Task
from shared.services.verification.verification import Verification
from shared.storage import ages, keys
from shared.storage.origins import BLOB as A_BLOB
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import Update
from shared.storage.rows.holdings import BAD as CONDEMNED
from shared.storage.rows.holdings import GOOD, Content
from shared.storage.rows.records import ManifestRecord
from shared.storage.rows.rounds.scrubs import BAD, COPY, MISSING, Damage
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.messages import addressed
from tests.unit.services.conftest import LATEST, REPOSITORY, Before, Crash, hold, image_of
from tests.unit.services.content.test_uploads import part, shown
from tests.unit.services.verification.test_healing import (
    BLOB,
    DIGEST,
    OTHER,
    condemned,
    linked,
    run_all,
    spoil,
)
from tests.unit.services.verification.test_rot import LARGE, SMALL, TWO, follow, named, pushed, rot

HERE = [REPOSITORY, OTHER]


def lose(memory: Memory, name: str) -> None:
    """Let an object be gone that a row names."""
    assert memory.objects._container
    del memory.objects._container.objects[name]


async def damages(stores: Stores) -> list[Damage]:
    return await stores.scrubs.damages("", 10)


async def told(stores: Stores, repository: RepositoryName) -> list[BlobWithdrawn]:
    """Give the events that a blob was withdrawn there."""
    walked = await stores.walks.contents("", 1_000)
    rows = [
        await stores.contents.event(where, row.key)
        for where, row in walked.rows
        if where == repository and row.key.startswith("outbox|")
    ]
    events = [read(row.values) for row in rows if row]
    return [event for event in events if isinstance(event, BlobWithdrawn)]


async def test_bad_bytes_are_reported_and_marked_as_healed_by_the_next_push(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    uploads: Uploads,
    pushes: Pushes,
    upkeep: Upkeep,
    clock: Clock,
) -> None:
    for repository in HERE:
        await hold(stores, *TWO, BLOB, repository=repository)
        await pushes.put(repository, image_of([TWO[0], BLOB]), [LATEST], by=ME)
    name = await linked(stores)
    spoil(memory, name)
    found = clock()
    assert (await verification.verify(name)).fault == BAD
    expected = Damage(name, A_BLOB, REPOSITORY, DIGEST, BAD, found)
    assert await damages(stores) == [expected]
    clock.move(minutes=1)
    await run_all(memory, upkeep, clock)
    assert await damages(stores) == [expected]
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    await run_all(memory, upkeep, clock)
    (healed,) = await damages(stores)
    assert replace(healed, healed=None) == expected
    assert healed.healed
    assert found < healed.healed <= clock()
    for repository in HERE:
        assert await shown(stores, DIGEST, repository) == BLOB.content


async def test_it_is_reported_before_it_is_condemned(
    stores: Stores, memory: Memory, verification: Verification, before: Before
) -> None:
    await hold(stores, BLOB)
    name = await linked(stores)
    spoil(memory, name)

    async def look() -> None:
        assert [one.object for one in await damages(stores)] == [name]
        raise Crash

    before(memory.rows, "commit", look, at=2)
    with pytest.raises(Crash):
        await verification.verify(name)
    row = await stores.holdings.content(DIGEST)
    assert row
    assert row.values["state"] == GOOD


async def test_an_event_tells_each_repository_that_a_blob_was_withdrawn(
    stores: Stores, memory: Memory, verification: Verification, clock: Clock
) -> None:
    task = await condemned(stores, memory, verification, OTHER)
    await Healing(stores).do(task)
    for repository in HERE:
        (event,) = await told(stores, repository)
        assert (event.digest, event.cause.by) == (str(DIGEST), "verification")
        assert event.at == clock()
    await Healing(stores).do(task)
    assert [len(await told(stores, repository)) for repository in HERE] == [1, 1]


async def test_what_is_pointed_to_sound_bytes_is_no_event(
    stores: Stores, memory: Memory, verification: Verification, uploads: Uploads, clock: Clock
) -> None:
    task = await condemned(stores, memory, verification)
    await uploads.commit(OTHER, uploads.start(), DIGEST, part(BLOB.content))
    clock.move(hours=1)
    await Healing(stores).do(Task(DIGEST, task.bad, Stage.SETTLE))
    assert await shown(stores, DIGEST) == BLOB.content
    assert await told(stores, REPOSITORY) == []


async def test_the_event_is_promised_first_and_goes_with_the_link(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    crash: Callable[..., Callable[[], None]],
) -> None:
    task = await condemned(stores, memory, verification)
    memory.messages.sent.clear()
    live_again = crash(memory, 1)
    with pytest.raises(Crash):
        await Healing(stores).do(task)
    live_again()
    ((queue, body, _),) = addressed(memory.messages.sent)
    assert queue == keys.EVENTS
    assert await linked(stores)
    await Healing(stores).do(task)
    assert not await linked(stores)
    assert Announcement.read(body.encode()).repository == REPOSITORY


async def test_a_link_that_changes_meanwhile_is_told_of_once(
    stores: Stores, memory: Memory, verification: Verification, before: Before, clock: Clock
) -> None:
    task = await condemned(stores, memory, verification)

    async def seen() -> None:
        changed = Update(keys.blob(DIGEST), {"seen": clock()})
        await stores.contents.commit(REPOSITORY, [changed])

    before(memory.rows, "commit", seen)
    await Healing(stores).do(task)
    sent = addressed(memory.messages.sent)
    assert len([queue for queue, *_ in sent if queue == keys.EVENTS]) == 1
    assert len(await told(stores, REPOSITORY)) == 1


async def test_nobody_within_hears_of_it_and_the_event_is_removed(
    stores: Stores, memory: Memory, verification: Verification
) -> None:
    await Healing(stores).do(await condemned(stores, memory, verification))
    (key,) = memory.keys("outbox|")
    memory.messages.sent.clear()
    await FanOut(stores).follow(Announcement(stores.generation, REPOSITORY, [key]))
    ((queue, body, _),) = addressed(memory.messages.sent)
    assert queue == keys.EVENTS
    await FanOut(stores).follow(Announcement.read(body.encode()))
    assert memory.keys("outbox|") == []


async def test_an_object_that_a_row_names_and_that_is_gone_is_healed_as_bad_bytes_are(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    uploads: Uploads,
    blobs: Blobs,
    upkeep: Upkeep,
    clock: Clock,
) -> None:
    await hold(stores, BLOB)
    name = await linked(stores)
    lose(memory, name)
    assert (await verification.verify(name)).is_sound is None
    found = await verification.verify(name, digest=DIGEST)
    assert (found.is_sound, found.fault) == (False, MISSING)
    assert [one.what for one in await damages(stores)] == [MISSING]
    await run_all(memory, upkeep, clock)
    with pytest.raises(BlobUnknown):
        await blobs.find(REPOSITORY, DIGEST)
    await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    assert await shown(stores, DIGEST) == BLOB.content


async def test_what_goes_while_it_is_hashed_is_missing_if_its_row_still_names_it(
    stores: Stores, memory: Memory, verification: Verification, before: Before
) -> None:
    await hold(stores, BLOB)
    name = await linked(stores)

    async def gone() -> None:
        lose(memory, name)

    before(stores.collecting._messages, "send", gone)
    assert (await verification.verify(name)).fault == MISSING


@pytest.mark.parametrize("is_there", [True, False])
async def test_an_object_that_is_gone_and_that_no_row_names_is_nothing(
    stores: Stores, memory: Memory, verification: Verification, is_there: bool
) -> None:
    if is_there:
        await hold(stores, BLOB)
    sent = [*memory.messages.sent]
    name = keys.object_name(stores.generation, "e" * 32)
    assert (await verification.verify(name, digest=DIGEST)).is_sound is None
    assert await damages(stores) == []
    assert memory.messages.sent == sent


async def test_what_nobody_holds_cannot_be_healed(
    stores: Stores, memory: Memory, verification: Verification
) -> None:
    await hold(stores, BLOB)
    name = await linked(stores)
    lose(memory, name)
    held = await stores.holdings.held(DIGEST, REPOSITORY)
    assert held.holder
    rows = memory.rows._tables[keys.BLOBS][keys.blob_partition(stores.generation, DIGEST)]
    del rows[held.holder.key]
    assert (await verification.verify(name, digest=DIGEST)).fault == MISSING
    assert (await stores.holdings.content(DIGEST)).values["state"] != CONDEMNED  # type: ignore[union-attr]


@pytest.fixture
async def two(stores: Stores) -> None:
    await hold(stores, *TWO)


async def record_of(stores: Stores, manifest: Manifest) -> ManifestRecord:
    record = await stores.contents.manifest(REPOSITORY, manifest.digest, with_body=True)
    assert record
    return record


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("fault", [BAD, MISSING])
async def test_a_manifest_without_a_sound_body_goes_and_is_healed_by_the_next_push(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
    fault: str,
) -> None:
    await pushed(pushes, LATEST)
    name, record = await rot(stores, memory), await record_of(stores, LARGE)
    if fault == MISSING:
        lose(memory, name)
    found = await verification.verify_manifest(REPOSITORY, record)
    assert (found.is_sound, found.fault) == (False, fault)
    (damage,) = await damages(stores)
    assert (damage.object, damage.kind, damage.what) == (name, MANIFEST, fault)
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, LATEST)
    await pushed(pushes, LATEST)
    await follow(stores, memory, upkeep)
    (damage,) = await damages(stores)
    assert damage.healed


@pytest.mark.usefixtures("two")
async def test_a_manifest_whose_row_has_rotted_goes(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
) -> None:
    await pushed(pushes, LATEST, manifest=SMALL)
    record = await record_of(stores, SMALL)
    misread = replace(record, body=b"misread")
    assert (await verification.verify_manifest(REPOSITORY, misread)).is_sound is None
    key = keys.manifest(SMALL.digest)
    await stores.contents.commit(REPOSITORY, [Update(key, {"body0": b"rotten"})])
    record = await record_of(stores, SMALL)
    assert (await verification.verify_manifest(REPOSITORY, record)).fault == BAD
    with pytest.raises(ManifestUnknown):
        await manifests.find(REPOSITORY, LATEST)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("fault", ["", BAD, MISSING])
async def test_a_copy_is_made_again(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    upkeep: Upkeep,
    fault: str,
) -> None:
    await pushed(pushes, LATEST, manifest=SMALL)
    await follow(stores, memory, upkeep)
    name, record = await named(stores, SMALL), await record_of(stores, SMALL)
    if fault:
        spoil(memory, name)
    if fault == MISSING:
        lose(memory, name)
    assert (await verification.verify_manifest(REPOSITORY, record)).fault == fault
    assert [(one.kind, one.healed) for one in await damages(stores)] == [(COPY, None)] * bool(fault)
    await follow(stores, memory, upkeep)
    assert [bool(one.healed) for one in await damages(stores)] == [True] * bool(fault)
    assert b"".join([piece async for piece in stores.objects.read(name)]) == SMALL.body


@pytest.mark.parametrize("says_what_it_is", [True, False])
async def test_an_object_that_somebody_has_overwritten_is_healed_and_then_removed(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    uploads: Uploads,
    upkeep: Upkeep,
    clock: Clock,
    says_what_it_is: bool,
) -> None:
    await hold(stores, BLOB)
    name = await linked(stores)
    facts = await stores.objects.facts(name)
    assert facts
    lose(memory, name)
    await stores.objects.put(name, b"another's", facts.metadata if says_what_it_is else {})
    found = await verification.verify(name, digest=None if says_what_it_is else DIGEST)
    assert (found.is_sound, found.fault) == (False, MISSING)
    await run_all(memory, upkeep, clock)
    assert not await linked(stores)
    await uploads.commit(REPOSITORY, uploads.start(), DIGEST, part(BLOB.content))
    await run_all(memory, upkeep, clock)
    assert await shown(stores, DIGEST) == BLOB.content
    clock.move(hours=1)
    await verification.verify(name)
    assert bool(await stores.objects.facts(name)) != says_what_it_is


async def test_an_object_that_is_made_while_its_row_is_read_is_looked_at_again(
    stores: Stores, memory: Memory, verification: Verification, before: Before
) -> None:
    """Its upload began after the object was looked for, and was done before its row was."""
    name = keys.object_name(stores.generation, stores.new_id()[:-1] + "1")

    async def make() -> None:
        about = Origin(A_BLOB, stores.clock(), "call", REPOSITORY, DIGEST)
        etag = await stores.objects.put(name, BLOB.content, about.metadata())
        await stores.holdings.offer(DIGEST, REPOSITORY, Content(name, etag, BLOB.size))

    before(memory.rows, "get", make)
    found = await verification.verify(name, digest=DIGEST)
    assert (found.is_sound, found.again) == (None, ages.L)
    assert await damages(stores) == []
    assert (await verification.verify(name, digest=DIGEST)).is_sound


@pytest.mark.parametrize("metadata", [{}, {"kind": "blob", "made": "never"}, "of another"])
@pytest.mark.parametrize("is_bad", [False, True])
async def test_an_object_that_does_not_say_what_it_is_is_hashed_as_its_row_says(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    clock: Clock,
    metadata: dict[str, str] | str,
    is_bad: bool,
) -> None:
    """It was looked at again every L, without end."""
    await hold(stores, BLOB)
    name = await linked(stores)
    if isinstance(metadata, str):
        other = Digest.of(b"another")
        metadata = dict(Origin(A_BLOB, clock(), "call", REPOSITORY, other).metadata())
    assert memory.objects._container
    object.__setattr__(memory.objects._container.objects[name], "metadata", metadata)
    if is_bad:
        spoil(memory, name)
    verified = await verification.verify(name, digest=DIGEST)
    assert (verified.is_sound, verified.again) == (not is_bad, None)
    assert [one.what for one in await damages(stores)] == ([BAD] if is_bad else [])
    row = await stores.holdings.content(DIGEST)
    assert row
    assert row.values["verified"] == clock()
