"""The master key is replaced while two hosts run, and whoever does it may die anywhere."""

import asyncio
import functools
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import api_jwt

from shared import bootstrap
from shared.errors import BlobUploadUnknown
from shared.model.webhooks.callbacks import CallbackUnreadable
from shared.services.master_key import rotation as module
from shared.services.master_key.rotation import MOST, RotationRefused, Step
from shared.services.webhooks.configuration.registering import Wish
from shared.storage import keys
from shared.storage.master_key.document import Document, KeptKey, State
from shared.storage.master_key.kept import drawn
from shared.storage.master_key.object import KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Conflict, NotPrepared, Ports, Vault, VaultRefused
from shared.storage.rows.registries import MasterKeyWrong, StateRefused
from tests.support.app import NAME, Memory
from tests.support.clock import Clock
from tests.support.master_keys import key_object
from tests.support.rotations import (
    HOOK,
    LIFETIME,
    REPOSITORY,
    SERVER,
    URI,
    Died,
    Dying,
    World,
)
from tests.support.webhooks import ScriptedPoster


class JwtTime(type):
    """The time that tokens are read at: that of the clock of this test."""

    clock: Clock

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)

    def now(cls, tz: object) -> datetime:
        return cls.clock()


_key = functools.cache(rsa.generate_private_key)
"""Makes one key pair for all tests: that takes a while."""


@pytest.fixture
def poster() -> ScriptedPoster:
    return ScriptedPoster()


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


@pytest.fixture
def patched(
    environment: None,
    vault: MemoryVault,
    poster: ScriptedPoster,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    monkeypatch.setattr(time, "monotonic", clock.ticks)
    monkeypatch.setattr(time, "time", clock.ticks)
    monkeypatch.setattr(api_jwt, "datetime", JwtTime("Time", (), {"clock": clock}))
    monkeypatch.setattr(bootstrap, "open_vault", lambda _: vault)
    monkeypatch.setattr(bootstrap, "open_poster", lambda _: poster)
    monkeypatch.setattr(rsa, "generate_private_key", _key)
    yield
    monkeypatch.undo()


@pytest.fixture
async def world(
    patched: None, memory: Memory, clock: Clock, vault: MemoryVault, poster: ScriptedPoster
) -> World:
    made = World(memory, clock, vault, poster)
    await made.start()
    return made


OLD_AND_NEW = [State.OPENING, State.CURRENT]


async def test_it_is_replaced_while_clients_go_on(world: World) -> None:
    (old,) = await world.states()
    done = await world.rotate()
    assert await world.states() == {old: State.OPENING, done.current: State.CURRENT}
    assert (done.sealed, done.unreadable, done.removed) == (2, [], ())
    await world.check()
    await world.sleep(300)


async def test_at_every_call_to_storage_clients_go_on(world: World) -> None:
    await world.rotate(Dying(meanwhile=world.go_on))
    await world.sleep(300)
    await world.check()


async def test_who_dies_anywhere_is_followed_by_who_ends_it(
    patched: None, clock: Clock, vault: MemoryVault, poster: ScriptedPoster
) -> None:
    at = 0
    while True:
        at += 1
        world = World(Memory(clock), clock, vault, poster)
        await world.start()
        dying = Dying(at)
        try:
            await world.rotate(dying)
        except Died:
            await world.sleep(60)
        else:
            break
        await world.rotate()
        assert [*(await world.states()).values()] in (OLD_AND_NEW, [State.OPENING, *OLD_AND_NEW])
        await world.check()
        await world.sleep(60)
    assert at == 6


async def test_two_at_once_make_one_new_key(world: World) -> None:
    done = await asyncio.gather(world.rotate(), world.rotate())
    assert {it.current for it in done} == {
        key for key, it in (await world.states()).items() if it is State.CURRENT
    }
    assert [*(await world.states()).values()] == OLD_AND_NEW
    await world.check()


async def test_the_old_key_opens_until_uploads_have_ended(world: World) -> None:
    (old,) = await world.states()
    session = world.sessions[0]
    await world.rotate()
    world.clock.move(seconds=LIFETIME.total_seconds() - 600)
    (await world.hosts[0].at(SERVER)).uploads.open(session, REPOSITORY, NAME)
    second = await world.rotate()
    assert (old in await world.states(), second.removed) == (True, ())
    world.forget()
    world.clock.move(seconds=LIFETIME.total_seconds() + 300)
    third = await world.rotate()
    assert old in third.removed
    assert [*(await world.states()).values()] == OLD_AND_NEW
    with pytest.raises(BlobUploadUnknown):
        (await world.hosts[0].at(SERVER)).uploads.open(session, REPOSITORY, NAME)
    await world.check()


async def test_what_a_late_process_has_sealed_outlives_the_key(world: World) -> None:
    late = world.webhooks(await world.jobs(1))
    await world.rotate()
    await late.create("latehook", Wish(uri=URI, secret="late"))
    world.forget()
    world.clock.move(seconds=LIFETIME.total_seconds() + 300)
    done = await world.rotate()
    assert (len(done.removed), done.sealed) == (1, 4)
    await world.go_on()
    webhooks = world.webhooks(await world.jobs(0))
    assert webhooks.callback(await webhooks.show("latehook")).secrets[0].text == "late"
    await world.check()


async def test_a_webhook_that_is_changed_meanwhile_is_sealed_as_it_is_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = world.memory.rows.commit
    changed: list[str] = []

    async def meanwhile(table: str, *args: object) -> object:
        if table == keys.WEBHOOKS and not changed:
            changed.append(table)
            await world.give_secret(0, "another one")
        return await commit(table, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.memory.rows, "commit", meanwhile)
    done = await world.rotate()
    assert (len(changed), done.unreadable) == (1, [])
    await world.go_on()
    await world.check()


async def test_all_keys_are_wrapped_with_the_newest_version(world: World) -> None:
    version = world.vault.renew()
    await world.rotate()
    found = await key_object(world.memory.beside, world.vault).find()
    assert found
    assert {key.wrapped.version for key in found.document.keys} == {version}


async def test_nothing_is_begun_that_the_vault_would_not_let_end(world: World) -> None:
    before = await key_object(world.memory.beside, world.vault).etag()
    world.vault.trouble = "forbidden"
    with pytest.raises(VaultRefused):
        await world.rotate()
    world.vault.trouble = ""
    own, world.vault = world.vault, MemoryVault("https://other.test/keys/k")
    with pytest.raises(StateRefused, match=f"is signed with {own.key}"):
        await world.rotate()
    world.vault = own
    assert await key_object(world.memory.beside, world.vault).etag() == before


async def test_lost_tables_are_no_reason_to_go_on(world: World) -> None:
    del world.memory.rows._tables[keys.REGISTRIES]
    with pytest.raises(NotPrepared):
        await world.rotation().run(lambda _, __: None)


async def test_without_a_key_there_is_nothing_to_rotate(
    patched: None, memory: Memory, clock: Clock, vault: MemoryVault, poster: ScriptedPoster
) -> None:
    await memory.prepare()
    with pytest.raises(RotationRefused, match="the app makes it at its first request"):
        await World(memory, clock, vault, poster).rotate()


async def test_there_are_only_so_many_at_once(world: World) -> None:
    for _ in range(MOST - 1):
        await world.rotate()
    with pytest.raises(RotationRefused, match=f"there are {MOST} master keys already: .* repeat"):
        await world.rotate()


async def test_it_tells_what_it_waits_for(world: World) -> None:
    told: list[tuple[Step, int]] = []
    await world.rotation().run(lambda step, count: told.append((step, count)))
    assert told == [(Step.WAITING, 260), (Step.SEALING, 2)]


async def test_a_key_that_is_there_is_not_lost(world: World) -> None:
    assert await world.rotation().lost() == ""


async def move(world: World) -> None:
    """Bring all content from an account that another deployment has, of the same vault."""
    found = await key_object(world.memory.beside, world.vault).find()
    assert found
    there = KeyObject(world.memory.beside, Signing(world.vault, "there"))
    await there.replace(replace(found.document, account="there"), found.etag)


async def test_one_of_an_account_whose_content_was_brought_here_is_taken_over(
    world: World, memory: Memory
) -> None:
    before = await world.states()
    await move(world)
    assert "was written for the storage account there" in await world.rotation().lost()
    assert await world.rotation().foreign() == "there"
    await world.rotation().adopt()
    assert await world.rotation().foreign() is None
    assert (await world.rotation().lost(), await world.states()) == ("", before)
    world.clock.move(seconds=61)
    await world.go_on()
    await world.rotate()
    await world.check()


async def test_one_that_somebody_else_has_signed_is_taken_over_by_nobody(world: World) -> None:
    own, world.vault = world.vault, MemoryVault(world.vault.key)
    await lose(world)
    await key_object(world.memory.beside, world.vault).put(
        Document("there", world.clock(), [await drawn(world.vault, State.CURRENT, world.clock())])
    )
    world.vault = own
    etag = await key_object(world.memory.beside).etag()
    for call in (world.rotation().foreign, world.rotation().adopt, world.rotate):
        with pytest.raises(VaultRefused, match="is not there"):
            await call()
    assert await key_object(world.memory.beside).etag() == etag


async def lose(world: World) -> None:
    etag = await key_object(world.memory.beside, world.vault).etag()
    await world.memory.beside.delete(keys.MASTER_KEY, etag)


async def spoil(world: World) -> None:
    await lose(world)
    await world.memory.beside.put(keys.MASTER_KEY, b"{}", {})


async def destroy_the_vaults_key(world: World) -> None:
    world.vault._versions.clear()
    world.vault.renew()


LOSSES = [lose, spoil, destroy_the_vaults_key]


@pytest.mark.parametrize("loss", LOSSES)
async def test_one_that_is_lost_is_replaced_at_the_cost_of_what_it_sealed(
    world: World, loss: object, memory: Memory
) -> None:
    await loss(world)  # type: ignore[operator]
    assert await world.rotation().lost()
    done = await world.rotation().replace_lost()
    assert [(it.is_webhook, it.table) for it in done.unreadable] == [
        (False, keys.REGISTRIES),
        (True, keys.WEBHOOKS),
    ]
    assert await world.states() == {done.current: State.CURRENT}
    world.clock.move(seconds=61)
    world.forget()
    webhooks = world.webhooks(await world.jobs(0))
    with pytest.raises(CallbackUnreadable):
        await webhooks.update(HOOK, Wish(secret="new"))
    await webhooks.update(HOOK, Wish(uri=URI, secret="new"))
    world.secret = "new"
    await world.go_on()
    await world.sleep(120)
    assert await world.rotation().lost() == ""


async def test_the_object_of_before_is_told_by_what_it_does_not_open(world: World) -> None:
    first = b"".join([piece async for piece in world.memory.beside.read(keys.MASTER_KEY)])
    await world.rotate()
    world.forget()
    world.clock.move(seconds=LIFETIME.total_seconds() + 300)
    await world.rotate()
    await lose(world)
    await world.memory.beside.put(keys.MASTER_KEY, first, {})
    assert await world.rotation().lost() == "it does not open 1 of the signing keys"
    fresh = bootstrap.Registries(world.settings, Ports(*world.memory.ports()))
    with pytest.raises(MasterKeyWrong, match="bring back the version of this object"):
        await fresh.at(SERVER)
    done = await world.rotation().replace_lost()
    assert len(done.unreadable) == 2
    assert await fresh.at(SERVER)


async def test_who_dies_while_one_is_replaced_is_followed_by_who_ends_it(
    patched: None, clock: Clock, vault: MemoryVault, poster: ScriptedPoster
) -> None:
    at = 0
    while True:
        at += 1
        world = World(Memory(clock), clock, vault, poster)
        await world.start()
        await lose(world)
        try:
            await world.rotation(Dying(at)).replace_lost()
        except Died:
            pass
        else:
            break
        if await world.rotation().lost():
            await world.rotation().replace_lost()
        world.clock.move(seconds=61)
        world.forget()
        await world.webhooks(await world.jobs(0)).update(HOOK, Wish(uri=URI, secret=world.secret))
        await world.go_on()
    assert at == 3


@pytest.mark.parametrize("loss", [lose, spoil])
async def test_of_two_who_replace_one_that_is_lost_the_later_takes_nothing(
    world: World, loss: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    await loss(world)  # type: ignore[operator]
    done: list[module.Rotated] = []

    async def drawn_late(vault: Vault, state: State, now: datetime) -> KeptKey:
        monkeypatch.setattr(module, "drawn", drawn)
        done.append(await world.rotation().replace_lost())
        return await drawn(vault, state, now)

    monkeypatch.setattr(module, "drawn", drawn_late)
    with pytest.raises(Conflict):
        await world.rotation().replace_lost()
    assert await world.states() == {done[0].current: State.CURRENT}


def test_a_key_opens_for_an_hour_at_the_least() -> None:
    assert module.opening(timedelta(seconds=1)) > timedelta(hours=1)
    assert module.opening(timedelta(days=7)) > timedelta(days=7)
