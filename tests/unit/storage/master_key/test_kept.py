import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from shared.storage import keys
from shared.storage.master_key.document import Document, State
from shared.storage.master_key.kept import KeptKeys, drawn
from shared.storage.master_key.object import KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Insert, Ports, Unavailable, VaultRefused
from shared.storage.rows.registries import RegistryRecord, RegistryRecords, StateRefused
from tests.support.app import LONG_AGO, Memory
from tests.support.clock import Clock
from tests.support.master_keys import ACCOUNT, key_object


@dataclass
class Hosts:
    """Processes over one storage and one vault."""

    memory: Memory
    clock: Clock
    vault: MemoryVault = field(default_factory=MemoryVault)

    def host(self, vault: MemoryVault | None = None) -> KeptKeys:
        ports = Ports(*self.memory.ports())
        signing = Signing(vault or self.vault, ACCOUNT)
        return KeptKeys(ports, signing, self.clock, self.clock.ticks)

    @property
    def object(self) -> KeyObject:
        return key_object(self.memory.beside, self.vault)

    async def document(self) -> Document:
        found = await self.object.find()
        assert found
        return found.document

    async def lose(self) -> None:
        etag = await self.object.etag()
        assert await self.memory.beside.delete(keys.MASTER_KEY, etag)


@pytest.fixture
def hosts(prepared: Memory, clock: Clock) -> Hosts:
    return Hosts(prepared, clock)


async def test_the_first_start_makes_a_key_and_keeps_it_wrapped(hosts: Hosts) -> None:
    made = await hosts.host().read()
    document = await hosts.document()
    (kept,) = document.keys
    assert (kept.state, document.account) == (State.CURRENT, ACCOUNT)
    assert (len(made.current), made.others) == (64, ())
    assert await hosts.vault.unwrap(kept.wrapped) == made.current.encode()
    assert made.current.encode() not in document.text()
    assert made.current not in repr(made)


async def test_all_who_start_first_use_the_winners_key(hosts: Hosts) -> None:
    several = [hosts.host() for _ in range(5)]
    read = await asyncio.gather(*(host.read() for host in several for _ in range(3)))
    assert len({it.current for it in read}) == 1
    assert len((await hosts.document()).keys) == 1


async def test_a_second_start_changes_nothing(hosts: Hosts) -> None:
    first = await hosts.host().read()
    before = await hosts.object.etag()
    hosts.vault.renew()
    assert await hosts.host().read() == first
    assert await hosts.object.etag() == before


async def test_the_vault_is_asked_once_a_process(hosts: Hosts) -> None:
    await hosts.host().read()
    hosts.vault.calls.clear()
    host = hosts.host()
    assert hosts.vault.calls == []
    await asyncio.gather(*(host.read() for _ in range(200)))
    hosts.clock.move(days=1)
    await host.read()
    assert hosts.vault.calls == ["unwrap"]


async def test_a_running_process_does_not_need_the_vault(hosts: Hosts) -> None:
    host = hosts.host()
    first = await host.read()
    hosts.vault.trouble = "it is down"
    hosts.clock.move(days=1)
    assert await host.read() == first


IN_USE = ["content", "a registry's record", "registry other"]


@pytest.mark.parametrize("what", IN_USE)
async def test_with_content_and_without_the_object_no_key_is_made(hosts: Hosts, what: str) -> None:
    memory = hosts.memory
    if what == "content":
        await memory.objects.put("g/1", b"", {})
    elif what == "a registry's record":
        await memory.beside.put("g" * 32, b"", {})
    else:
        row = Insert("other", {"generation": "g"})
        await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [row])
    with pytest.raises(StateRefused, match=f"there is {what} in this storage, and no master key"):
        await hosts.host().read()
    assert await hosts.object.etag() == ""
    assert hosts.vault.calls == []


async def test_a_halt_and_a_rebuild_are_no_content(hosts: Hosts) -> None:
    await hosts.memory.beside.put(keys.HALTED, b"", {})
    await hosts.memory.beside.put(keys.rebuilding("1"), b"", {})
    assert await hosts.host().read()


async def test_content_that_came_with_the_object_is_no_reason_to_refuse(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = hosts.host()
    find = late._object.find
    answers = [None]

    async def found_late() -> object:
        if answers:
            await hosts.host().read()
            await hosts.memory.objects.put("g/1", b"", {})
            return answers.pop()
        return await find()

    monkeypatch.setattr(late._object, "find", found_late)
    assert await late.read() == await hosts.host().read()


async def test_a_registry_is_made_after_its_master_key(hosts: Hosts) -> None:
    memory = hosts.memory
    records = RegistryRecords(memory.rows, memory.beside, hosts.host())
    await records.create(RegistryRecord("one", "g" * 32, ()), LONG_AGO)
    assert await RegistryRecords(memory.rows, memory.beside, hosts.host()).find("one")


async def test_a_key_that_is_lost_while_a_process_runs_is_not_made_anew(hosts: Hosts) -> None:
    host = hosts.host()
    await host.read()
    await hosts.memory.objects.put("g/1", b"", {})
    await hosts.lose()
    with pytest.raises(StateRefused, match="Bring it back"):
        await host.read()


async def test_a_vault_that_fails_makes_no_key_and_is_not_asked_by_a_crowd(
    hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    host = hosts.host()
    hosts.vault.trouble = "the vault is closed: open it"
    for _ in range(3):
        answers = await asyncio.gather(*(host.read() for _ in range(50)), return_exceptions=True)
        assert {(type(it), str(it)) for it in answers} == {
            (VaultRefused, "the vault is closed: open it")
        }
    assert hosts.vault.calls == ["wrap"]
    told = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert [line.getMessage() for line in told] == [
        "the master key cannot be had from its vault: the vault is closed: open it"
    ]
    assert await hosts.object.etag() == ""
    hosts.vault.trouble = ""
    with pytest.raises(VaultRefused):
        await host.read()
    hosts.clock.move(seconds=6)
    assert await host.read()


async def test_a_kept_key_is_not_replaced_while_the_vault_fails(hosts: Hosts) -> None:
    first = await hosts.host().read()
    hosts.vault.trouble = "no"
    host = hosts.host()
    with pytest.raises(VaultRefused):
        await host.read()
    hosts.vault.trouble = ""
    hosts.clock.move(seconds=6)
    assert await host.read() == first


async def test_a_vault_that_gives_back_something_else_wraps_no_master_key(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(*_: object) -> bytes:
        return b"something else"

    monkeypatch.setattr(MemoryVault, "unwrap", other)
    with pytest.raises(VaultRefused, match="gives back something else"):
        await hosts.host().read()
    assert await hosts.object.etag() == ""


async def test_the_key_of_another_vault_is_refused_and_that_vault_not_asked(hosts: Hosts) -> None:
    await hosts.host().read()
    other = MemoryVault("https://other.test/keys/k")
    with pytest.raises(StateRefused, match=f"signed with {hosts.vault.key}, .* is {other.key}"):
        await hosts.host(other).read()
    assert other.calls == []


async def test_another_key_in_the_object_is_known_at_the_next_look(hosts: Hosts) -> None:
    host = hosts.host()
    first = await host.read()
    announced = await drawn(hosts.vault, State.ANNOUNCED, hosts.clock())
    before = await hosts.document()
    document = before.anew([*before.keys, announced], hosts.clock())
    await hosts.object.replace(document, await hosts.object.etag())
    read = await host.read()
    assert (read.current, len(read.others)) == (first.current, 1)


async def test_who_knows_the_current_key_goes_on_without_the_vault(hosts: Hosts) -> None:
    host = hosts.host()
    first = await host.read()
    announced = await drawn(hosts.vault, State.ANNOUNCED, hosts.clock())
    before = await hosts.document()
    document = before.anew([*before.keys, announced], hosts.clock())
    await hosts.object.replace(document, await hosts.object.etag())
    hosts.vault.trouble = "for a moment"
    for _ in range(3):
        assert await host.read() == first
    hosts.vault.trouble = ""
    hosts.clock.move(seconds=6)
    assert len((await host.read()).others) == 1


async def test_an_object_that_nobody_has_signed_is_refused(hosts: Hosts) -> None:
    await hosts.memory.beside.put(keys.MASTER_KEY, b"{}", {})
    with pytest.raises(StateRefused, match="object master-key in the container registries is not"):
        await hosts.host().read()
    assert hosts.vault.calls == []


async def replaced(hosts: Hosts, body: bytes) -> None:
    await hosts.memory.beside.replace(keys.MASTER_KEY, body, await hosts.object.etag())


async def body_of(hosts: Hosts) -> bytes:
    return b"".join([piece async for piece in hosts.memory.beside.read(keys.MASTER_KEY)])


async def planted(hosts: Hosts) -> bytes:
    """Give an object with a key of somebody who can wrap, with the version that has signed."""
    key = await drawn(hosts.vault, State.CURRENT, hosts.clock())
    document = Document(ACCOUNT, hosts.clock(), [key])
    other = MemoryVault(hosts.vault.key, _versions=dict.fromkeys(hosts.vault._versions, b""))
    return await Signing(other, ACCOUNT).signed(document)


async def test_a_key_that_somebody_has_planted_is_taken_by_nobody(hosts: Hosts) -> None:
    running = hosts.host()
    await running.read()
    await replaced(hosts, await planted(hosts))
    hosts.vault.calls.clear()
    for host in (running, hosts.host()):
        with pytest.raises(StateRefused, match="so somebody else has written it: bring the last"):
            await host.read()
    assert hosts.vault.calls == []


async def test_one_that_is_planted_before_the_first_start_is_taken_by_nobody(hosts: Hosts) -> None:
    await hosts.vault.sign(b"")
    await hosts.memory.beside.put(keys.MASTER_KEY, await planted(hosts), {})
    with pytest.raises(StateRefused, match="so somebody else has written it"):
        await hosts.host().read()


async def test_an_older_one_is_refused_by_who_knows_a_later_one(hosts: Hosts) -> None:
    host = hosts.host()
    first = await host.read()
    old = await body_of(hosts)
    before = await hosts.document()
    later = before.anew(
        [*before.keys, await drawn(hosts.vault, State.ANNOUNCED, hosts.clock())], hosts.clock()
    )
    await hosts.object.replace(later, await hosts.object.etag())
    last = await body_of(hosts)
    assert len((await host.read()).others) == 1
    await replaced(hosts, old)
    with pytest.raises(
        StateRefused, match=r"is of .*, and the one before it was of .*: bring that"
    ):
        await host.read()
    assert await hosts.host().read() == first
    await replaced(hosts, last)
    assert len((await host.read()).others) == 1


async def test_whose_signature_cannot_be_asked_about_is_not_gone_by(hosts: Hosts) -> None:
    await hosts.host().read()
    own = MemoryVault(hosts.vault.key, _versions=hosts.vault._versions)
    host = hosts.host(own)
    first = await host.read()
    before = await hosts.document()
    hosts.vault.renew()
    await hosts.object.replace(before.anew(before.keys, hosts.clock()), await hosts.object.etag())
    own.trouble = "for a moment"
    own.calls.clear()
    for _ in range(3):
        with pytest.raises(VaultRefused, match="for a moment"):
            await host.read()
    assert own.calls == ["get"]
    own.trouble = ""
    hosts.clock.move(seconds=6)
    assert await host.read() == first


async def test_a_container_full_of_other_things_is_not_looked_through_for_ever(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = 0

    async def page(prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        nonlocal pages
        pages += 1
        return [keys.HALTED], f"{pages}"

    monkeypatch.setattr(hosts.memory.beside, "page", page)
    with pytest.raises(StateRefused, match="so much that it was not looked through for a registry"):
        await hosts.host().read()
    assert pages == 100


async def test_the_body_and_the_etag_are_of_one_object(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hosts.host().read()
    kept, beside = hosts.object, hosts.memory.beside
    read = beside.read
    before = await kept.etag()

    def changed_meanwhile(*args: object) -> object:
        monkeypatch.setattr(beside, "read", read)
        stream = read(keys.MASTER_KEY)
        container = beside._open()
        it = container.objects[keys.MASTER_KEY]
        container.made[keys.MASTER_KEY] += 1
        container.objects[keys.MASTER_KEY] = type(it)(it.data, {}, '"9"', it.made)
        return stream

    monkeypatch.setattr(beside, "read", changed_meanwhile)
    found = await kept.find()
    assert found
    assert (before, found.etag) == ('"1"', '"9"')


async def test_a_store_that_fails_is_no_lost_key(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_: str) -> None:
        raise Unavailable("storage")

    monkeypatch.setattr(hosts.memory.beside, "facts", down)
    with pytest.raises(Unavailable):
        await hosts.host().read()
    assert hosts.vault.calls == []


async def test_storage_without_anything_yet_is_new(memory: Memory, clock: Clock) -> None:
    memory.rows._tables.clear()
    hosts = Hosts(memory, clock)
    assert await hosts.object.find() is None
    assert await hosts.host()._used() == ""
