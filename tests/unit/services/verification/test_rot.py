"""Manifests whose bodies have rotted."""

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import ManifestUnknown, RegistryDisallowedOperation
from shared.events import ManifestRotted, read
from shared.model.attributes import FREE, Wanted
from shared.model.manifests.manifest import Manifest
from shared.model.names import Reference, Tag
from shared.services.attributes.changes import AttributeChanges
from shared.services.content import manifests as deleting
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.events.fan_out import Announcement, FanOut
from shared.services.garbage.leftovers import Leftovers
from shared.services.upkeep.builds import Builds
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.services.verification.verification import Verification, Verified
from shared.storage import ages, keys
from shared.storage.messages.errands import Errand, Kind
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Delete, Insert, Update
from shared.storage.rows.records import INLINE_BYTES, ROTTEN, DeletedRecord
from shared.storage.rows.registries import Policies
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.messages import addressed, awake
from tests.unit.services.conftest import (
    KEPT,
    LATEST,
    LIFETIME,
    REPOSITORY,
    Before,
    Crash,
    hold,
    image_of,
    parts,
    verification_of,
)
from tests.unit.services.upkeep.test_errands import fail_at, sent
from tests.unit.services.verification.test_healing import spoil

TWO = parts(2)
LARGE = image_of(TWO, annotations={"long": "x" * INLINE_BYTES})
SMALL = image_of(TWO)
TAGS = [Tag(f"v{number}") for number in range(5)]


@pytest.fixture(autouse=True)
async def held(stores: Stores) -> None:
    await hold(stores, *TWO)


async def named(stores: Stores, manifest: Manifest = LARGE) -> str:
    """Name the object with the body of a manifest that is there, or a copy of it."""
    record = await stores.contents.manifest(REPOSITORY, manifest.digest, with_body=False)
    assert record
    return keys.object_name(stores.generation, record.life)


async def rot(stores: Stores, memory: Memory, manifest: Manifest = LARGE) -> str:
    name = await named(stores, manifest)
    spoil(memory, name)
    stores.bodies._bodies.clear()
    return name


async def pushed(pushes: Pushes, *tags: Tag, manifest: Manifest = LARGE) -> None:
    await pushes.put(REPOSITORY, manifest, tags, by=ME)


async def follow(stores: Stores, memory: Memory, upkeep: Upkeep) -> None:
    """Read what has been sent and is seen at once, and what that leads to."""
    while now := [message for message in memory.messages.sent if message[2] <= 1]:
        memory.messages.sent[:] = [message for message in memory.messages.sent if message[2] > 1]
        for queue, body, _ in addressed(now):
            if queue == keys.UPKEEP:
                await upkeep.run(Errand.read(body.encode()))
            elif queue == keys.EVENTS:
                await FanOut(stores).follow(Announcement.read(body.encode()))


async def only(stores: Stores) -> DeletedRecord:
    (life,) = await stores.deleted.page(REPOSITORY, "", 10)
    return life


async def names(stores: Stores) -> list[str]:
    return [tag.name for tag in await stores.contents.tags(REPOSITORY, "", 10)]


async def test_a_sound_body_is_left_alone_and_its_row_as_it_was(
    stores: Stores, memory: Memory, verification: Verification, pushes: Pushes
) -> None:
    await pushed(pushes, LATEST)
    kept = memory.kept()
    assert (await verification.verify(await named(stores))).is_sound
    assert memory.kept() == kept


async def test_a_body_is_asked_once_more_whether_it_is_used(
    stores: Stores, verification: Verification, pushes: Pushes, memory: Memory, before: Before
) -> None:
    """The blob trigger fires before the push has written a row, whatever the bytes are."""
    found = []

    async def verify() -> None:
        assert memory.objects._container
        name = next(reversed(memory.objects._container.objects))
        found.append(await verification.verify(name))
        spoil(memory, name)
        found.append(await verification.verify(name))

    before(memory.rows, "commit", verify)
    await pushed(pushes, LATEST)
    assert [one.is_sound for one in found] == [True, False]
    assert all(one.again for one in found)
    assert memory.keys("manifest|")


async def test_a_manifest_that_has_rotted_is_gone_with_its_tags(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
) -> None:
    await pushed(pushes, *TAGS)
    await follow(stores, memory, upkeep)
    name = await rot(stores, memory)
    for _ in range(2):
        assert (await verification.verify(name)).is_sound is False
    references: list[Reference] = [LARGE.digest, *TAGS]
    for reference in references:
        with pytest.raises(ManifestUnknown):
            await manifests.find(REPOSITORY, reference)
        with pytest.raises(ManifestUnknown):
            await manifests.read(REPOSITORY, reference)
    life = await only(stores)
    assert (life.reason, life.by, life.until) == (ROTTEN, "verification", stores.clock() + KEPT)
    (key,) = [key for key in memory.keys("outbox|") if await is_about_rot(stores, key)]
    assert key


async def is_about_rot(stores: Stores, key: str) -> bool:
    row = await stores.contents.event(REPOSITORY, key)
    return row is not None and isinstance(read(row.values), ManifestRotted)


async def test_the_next_push_lives_anew_and_brings_back_the_tags_that_are_free(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
    purge: Purge,
    clock: Clock,
) -> None:
    await pushed(pushes, *TAGS)
    name = await rot(stores, memory)
    await verification.verify(name)
    await follow(stores, memory, upkeep)
    await pushed(pushes, TAGS[0], manifest=SMALL)
    await pushed(pushes, TAGS[1])
    await follow(stores, memory, upkeep)
    assert await names(stores) == TAGS
    for tag in TAGS[1:]:
        assert (await manifests.read(REPOSITORY, tag))[1] == LARGE.body
    assert (await manifests.read(REPOSITORY, TAGS[0]))[1] == SMALL.body
    life = await only(stores)
    clock.now = life.until + 5 * ages.L
    stores.bodies._bodies.clear()
    await purge.purge(REPOSITORY, LARGE.digest, life.manifest.life)
    assert await stores.objects.facts(name) is None
    assert memory.keys("deleted|") == []
    assert len(memory.keys("edge|")) == 4
    assert await named(stores) != name


async def test_a_push_of_what_is_there_brings_nothing_back(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
    upkeep: Upkeep,
) -> None:
    """A tag that was deleted since the tags came back stays deleted."""
    await pushed(pushes, *TAGS)
    await verification.verify(await rot(stores, memory))
    await pushed(pushes, LATEST)
    await follow(stores, memory, upkeep)
    await manifests.untag(REPOSITORY, TAGS[0], by=ME)
    await pushed(pushes, LATEST)
    await follow(stores, memory, upkeep)
    assert await names(stores) == [LATEST, *TAGS[1:]]


async def test_no_lock_keeps_what_has_rotted(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deleting, "_TAGS", 1)
    await pushed(pushes, *TAGS)
    locked = Update(keys.REPOSITORY, {"write_enabled": False, "delete_enabled": False})
    await stores.contents.commit(REPOSITORY, [locked, Delete(keys.WRITABLE)])
    await verification.verify(await rot(stores, memory))
    assert memory.keys("manifest|") == []
    assert await names(stores) == []
    assert await stores.contents.writable(REPOSITORY) is None


async def test_a_deletion_that_died_is_brought_to_its_end_whoever_pushed_meanwhile(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    upkeep: Upkeep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deleting, "_TAGS", 1)
    await pushed(pushes, *TAGS)
    name = await rot(stores, memory)
    with monkeypatch.context() as patch:
        fail_at(memory, patch, 2)
        with pytest.raises(Exception, match="storage is down"):
            await verification.verify(name)
    await pushed(pushes, LATEST)
    (errand,) = sent(memory, Kind.END_DELETION)
    await upkeep.run(errand)
    assert memory.keys("manifest|") == []
    assert (await only(stores)).reason == ROTTEN
    assert len(memory.keys("tagged|")) == 6


async def test_another_life_is_not_taken_for_the_one_that_has_rotted(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
    before: Before,
) -> None:
    await pushed(pushes, LATEST)
    name = await rot(stores, memory)

    async def again() -> None:
        await manifests.delete(REPOSITORY, LARGE.digest, by=ME)
        await pushed(pushes, LATEST)

    before(memory.rows, "commit", again)
    assert (await verification.verify(name)).is_sound is False
    assert await named(stores) != name
    assert (await manifests.read(REPOSITORY, LATEST))[1] == LARGE.body
    assert (await only(stores)).reason == ""


@pytest.mark.parametrize("is_known", [True, False])
async def test_what_has_rotted_cannot_be_restored_and_that_is_said(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    manifests: Manifests,
    restores: Restores,
    is_known: bool,
) -> None:
    await pushed(pushes, LATEST)
    name = await rot(stores, memory)
    if is_known:
        await verification.verify(name)
    else:
        await manifests.delete(REPOSITORY, LARGE.digest, by=ME)
        kept = memory.kept()
        assert (await verification.verify(name)).is_sound is False
        assert memory.kept() == kept
    life = (await only(stores)).manifest.life
    with pytest.raises(ManifestUnknown, match="have rotted, so it cannot come back"):
        await restores.manifest(REPOSITORY, LARGE.digest, life, by=ME)
    assert memory.keys("manifest|") == []


async def test_a_repository_comes_back_without_what_has_rotted(
    stores: Stores, memory: Memory, pushes: Pushes, deletions: RepositoryDeletions
) -> None:
    await pushed(pushes, LATEST)
    await pushed(pushes, TAGS[0], manifest=SMALL)
    await rot(stores, memory)
    await deletions.delete(REPOSITORY, by=ME)
    life = await stores.deleted.page(REPOSITORY, "", 10)
    await deletions.restore(REPOSITORY, life[0].deletion, by=ME)
    assert await names(stores) == [TAGS[0]]


async def test_what_a_rotten_body_used_is_found_without_it(
    stores: Stores,
    memory: Memory,
    pushes: Pushes,
    manifests: Manifests,
    purge: Purge,
    clock: Clock,
) -> None:
    await pushed(pushes, LATEST)
    await pushed(pushes, TAGS[0], manifest=SMALL)
    await manifests.delete(REPOSITORY, LARGE.digest, by=ME)
    life = await only(stores)
    spoil(memory, life.manifest.object)
    stores.bodies._bodies.clear()
    clock.now = life.until + 5 * ages.L
    await purge.purge(REPOSITORY, LARGE.digest, life.manifest.life)
    assert memory.keys("deleted|") == []
    assert {keys.user_of(key)[0] for key in memory.keys("edge|")} == {SMALL.digest}


async def test_a_build_whose_body_has_rotted_is_ended(
    stores: Stores, memory: Memory, pushes: Pushes, clock: Clock
) -> None:
    await pushed(pushes, LATEST)
    row = await stores.contents.manifest_row(REPOSITORY, LARGE.digest)
    assert row
    life = str(row.values["life"])
    build = Insert(keys.build(LARGE.digest, life), {**row.values, "steps": 1})
    await stores.contents.commit(REPOSITORY, [build, Delete(row.key)])
    spoil(memory, str(row.values["object"]))
    stores.bodies._bodies.clear()
    clock.now += 3 * ages.L
    await Builds(stores).end(REPOSITORY, LARGE.digest, life)
    assert memory.keys("build|") == []
    assert memory.keys("edge|") == []


async def test_what_was_locked_is_locked_when_it_lives_anew(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    attributes: AttributeChanges,
    upkeep: Upkeep,
) -> None:
    """Once: whoever unlocks it after that has the last word."""
    locked = replace(FREE, delete_enabled=False, read_enabled=False)
    await pushed(pushes, LATEST)
    await attributes.manifest(REPOSITORY, LARGE.digest, Wanted(delete_enabled=False))
    await attributes.manifest(REPOSITORY, LARGE.digest, Wanted(read_enabled=False))
    await follow(stores, memory, upkeep)
    await verification.verify(await rot(stores, memory))
    await pushed(pushes, LATEST)
    again = [*memory.messages.sent]
    await follow(stores, memory, upkeep)
    record = await stores.contents.manifest(REPOSITORY, LARGE.digest, with_body=False)
    assert record
    assert record.attributes == locked
    await attributes.manifest(REPOSITORY, LARGE.digest, Wanted(True, True, True, True))
    memory.messages.sent += again
    for key in memory.keys("outbox|"):
        await stores.contents.commit(REPOSITORY, [Update(key, {"state": ""})])
    await follow(stores, memory, upkeep)
    record = await stores.contents.manifest(REPOSITORY, LARGE.digest, with_body=False)
    assert record
    assert record.attributes == FREE


async def test_a_tag_of_what_has_rotted_comes_again_where_names_are_never_freed(
    stores: Stores, memory: Memory
) -> None:
    """The push of the same by its tag is what the 404 asks for; no other takes the name."""
    once = replace(stores, policies=Policies(7, is_write_once=True, is_never_freed=True))
    manifests, pushes = Manifests(once, KEPT), Pushes(once, is_sparse_allowed=False)
    await pushed(pushes, *TAGS)
    await manifests.untag(REPOSITORY, TAGS[2], by=ME)
    name = await rot(stores, memory)
    await verification_of(once, manifests).verify(name)
    for tag, manifest in ((TAGS[0], SMALL), (TAGS[2], LARGE)):
        with pytest.raises(RegistryDisallowedOperation, match="does not come again"):
            await pushed(pushes, tag, manifest=manifest)
    await pushed(pushes, *TAGS[:2])
    assert await names(stores) == TAGS[:2]
    for tag in TAGS[:2]:
        assert (await manifests.read(REPOSITORY, tag))[1] == LARGE.body
    await manifests.delete(REPOSITORY, LARGE.digest, by=ME)
    with pytest.raises(RegistryDisallowedOperation, match="does not come again"):
        await pushed(pushes, TAGS[0])


class TestCopies:
    async def test_a_push_leads_to_a_copy_of_its_body_that_tells_all(
        self, stores: Stores, memory: Memory, pushes: Pushes, upkeep: Upkeep, clock: Clock
    ) -> None:
        await pushed(pushes, LATEST, manifest=SMALL)
        began = clock()
        clock.now += 5 * ages.L
        await follow(stores, memory, upkeep)
        name = await named(stores, SMALL)
        facts = await stores.objects.facts(name)
        assert facts
        assert b"".join([piece async for piece in stores.objects.read(name)]) == SMALL.body
        assert {**facts.metadata, "by": ""} == {
            "kind": "manifest",
            "digest": str(SMALL.digest),
            "repository": REPOSITORY,
            "media_type": SMALL.media_type,
            "made": began.isoformat(),
            "by": "",
        }

    async def test_a_copy_is_made_once_and_a_large_body_is_none(
        self, stores: Stores, memory: Memory, pushes: Pushes, upkeep: Upkeep
    ) -> None:
        for _ in range(2):
            await pushed(pushes, *TAGS[:2], manifest=SMALL)
            await pushed(pushes, LATEST)
            await follow(stores, memory, upkeep)
        assert memory.objects._container
        assert len(memory.objects._container.objects) == len(TWO) + 2
        assert sent(memory, Kind.AFTER_PUSH) == []

    async def test_a_push_of_what_is_there_costs_a_read(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        upkeep: Upkeep,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        scan = memory.rows.scan

        async def refuse(*_: object, **__: object) -> None:
            raise AssertionError

        async def webhooks(table: str, *which: Any, **more: Any) -> object:
            assert table == keys.WEBHOOKS
            return await scan(table, *which, **more)

        await pushed(pushes, LATEST, manifest=SMALL)
        await follow(stores, memory, upkeep)
        clock.move(seconds=1)
        await pushed(pushes, LATEST, manifest=SMALL)
        monkeypatch.setattr(memory.objects, "put", refuse)
        monkeypatch.setattr(memory.rows, "scan", webhooks)
        await follow(stores, memory, upkeep)

    async def test_a_copy_comes_for_no_life_that_is_over(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        manifests: Manifests,
        upkeep: Upkeep,
    ) -> None:
        await pushed(pushes, LATEST, manifest=SMALL)
        await manifests.delete(REPOSITORY, SMALL.digest, by=ME)
        await follow(stores, memory, upkeep)
        assert memory.objects._container
        assert len(memory.objects._container.objects) == len(TWO)

    async def test_it_goes_with_its_life(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        upkeep: Upkeep,
        clock: Clock,
    ) -> None:
        await pushed(pushes, LATEST, manifest=SMALL)
        await follow(stores, memory, upkeep)
        name = await named(stores, SMALL)
        await manifests.delete(REPOSITORY, SMALL.digest, by=ME)
        life = await only(stores)
        clock.now = life.until + 5 * ages.L
        leftovers = Leftovers(stores, LIFETIME)
        assert not (await leftovers.look_at(name)).is_removed
        assert (await purge.look(REPOSITORY, life)).object == name
        await purge.purge(REPOSITORY, SMALL.digest, life.manifest.life)
        assert await stores.objects.facts(name) is None

    async def test_one_that_comes_after_the_purge_is_a_leftover(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        manifests: Manifests,
        purge: Purge,
        upkeep: Upkeep,
        before: Before,
        clock: Clock,
    ) -> None:
        await pushed(pushes, LATEST, manifest=SMALL)
        name = await named(stores, SMALL)

        async def go() -> None:
            await manifests.delete(REPOSITORY, SMALL.digest, by=ME)
            life = await only(stores)
            clock.now = life.until + 5 * ages.L
            await purge.purge(REPOSITORY, SMALL.digest, life.manifest.life)

        before(memory.objects, "put", go)
        await follow(stores, memory, upkeep)
        assert await stores.objects.facts(name)
        clock.now += 10 * ages.L
        assert (await Leftovers(stores, LIFETIME).look_at(name)).is_removed

    @pytest.mark.parametrize("is_over", [False, True], ids=["live", "over"])
    async def test_one_that_has_rotted_is_made_again(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        manifests: Manifests,
        upkeep: Upkeep,
        verification: Verification,
        is_over: bool,
    ) -> None:
        await pushed(pushes, LATEST, manifest=SMALL)
        await follow(stores, memory, upkeep)
        name = await rot(stores, memory, SMALL)
        if is_over:
            await manifests.delete(REPOSITORY, SMALL.digest, by=ME)
        assert (await verification.verify(name)).is_sound is False
        (errand,) = sent(memory, Kind.COPY_BODY)
        for _ in range(2):
            await upkeep.run(errand)
            assert (await verification.verify(name)).is_sound
        assert bool(memory.keys("manifest|")) is not is_over

    async def test_one_that_has_rotted_in_its_row_too_is_the_manifest(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        upkeep: Upkeep,
        verification: Verification,
    ) -> None:
        await pushed(pushes, LATEST, manifest=SMALL)
        await follow(stores, memory, upkeep)
        bad = Update(keys.manifest(SMALL.digest), {"body0": b"rotten"})
        await stores.contents.commit(REPOSITORY, [bad])
        await verification.verify(await rot(stores, memory, SMALL))
        assert memory.keys("manifest|") == []
        assert sent(memory, Kind.COPY_BODY) == []

    async def test_who_dies_before_it_leaves_the_errand(
        self,
        stores: Stores,
        memory: Memory,
        pushes: Pushes,
        upkeep: Upkeep,
        before: Before,
    ) -> None:
        async def die() -> None:
            raise Crash

        await pushed(pushes, LATEST, manifest=SMALL)
        fan_out = Announcement.read(awake(memory.messages.sent[-1]).body.encode())
        await FanOut(stores).follow(fan_out)
        (errand,) = sent(memory, Kind.AFTER_PUSH)
        before(memory.objects, "put", die)
        with pytest.raises(Crash):
            await upkeep.run(errand)
        await upkeep.run(errand)
        assert await stores.objects.facts(await named(stores, SMALL))


async def test_who_meets_a_body_that_has_rotted_has_it_verified(
    stores: Stores, memory: Memory, pushes: Pushes, manifests: Manifests
) -> None:
    await pushed(pushes, LATEST)
    name = await rot(stores, memory)
    with pytest.raises(ManifestUnknown):
        await manifests.read(REPOSITORY, LARGE.digest)
    sent = addressed(memory.messages.sent)
    (body,) = [body for queue, body, _ in sent if queue == keys.VERIFICATION]
    assert ToVerify.read(body.encode()).name == name


@pytest.mark.parametrize("kind", ["object", "row"])
async def test_who_misses_a_body_leads_to_the_end_of_its_manifest(
    stores: Stores,
    memory: Memory,
    pushes: Pushes,
    manifests: Manifests,
    verification: Verification,
    kind: str,
) -> None:
    """An object that is not there does not say whose body it had, nor does a row."""
    manifest = LARGE if kind == "object" else SMALL
    await pushed(pushes, LATEST, manifest=manifest)
    if kind == "object":
        name = await named(stores)
        facts = await stores.objects.facts(name)
        assert facts
        await stores.objects.delete(name, facts.etag)
    else:
        spoilt = Update(keys.manifest(manifest.digest), {"body0": b"rotten"})
        await stores.contents.commit(REPOSITORY, [spoilt])
    stores.bodies._bodies.clear()
    with pytest.raises(ManifestUnknown):
        await manifests.read(REPOSITORY, manifest.digest)
    sent = addressed(memory.messages.sent)
    (body,) = [body for queue, body, _ in sent if queue == keys.VERIFICATION]
    await verification.go_on(ToVerify.read(body.encode()))
    assert memory.keys("manifest|") == []
    assert (await only(stores)).reason == ROTTEN
    await pushed(pushes, LATEST, manifest=manifest)
    stores.bodies._bodies.clear()
    assert await manifests.read(REPOSITORY, manifest.digest)
    assert await verification.go_on(ToVerify.read(body.encode())) == Verified()
