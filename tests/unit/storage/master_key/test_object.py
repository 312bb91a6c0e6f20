from datetime import UTC, datetime, timedelta

import pytest

from shared.storage import keys
from shared.storage.master_key.document import Document, State
from shared.storage.master_key.kept import drawn
from shared.storage.master_key.object import KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.memory.objects import MemoryObjects
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Unavailable
from shared.storage.rows.registries import StateRefused

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
async def beside() -> MemoryObjects:
    made = MemoryObjects(lambda: NOW)
    await made.prepare()
    return made


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


@pytest.fixture
async def kept(beside: MemoryObjects, vault: MemoryVault) -> KeyObject:
    """The object of an account, with one key."""
    made = KeyObject(beside, Signing(vault, "account"))
    await made.put(Document("account", NOW, [await drawn(vault, State.CURRENT, NOW)]))
    return made


async def test_it_is_found_with_its_etag_and_age(kept: KeyObject) -> None:
    found = await kept.find()
    assert found
    assert (found.etag, found.age) == (await kept.etag(), timedelta())


async def test_one_of_another_account_is_refused_and_can_be_looked_at(
    kept: KeyObject, beside: MemoryObjects, vault: MemoryVault
) -> None:
    mine = KeyObject(beside, Signing(vault, "mine"))
    with pytest.raises(StateRefused, match=r"storage account account, and this is mine: .* adopt;"):
        await mine.find()
    found = await mine.find(is_ours=False)
    assert found
    assert found.document.account == "account"


async def test_a_big_one_is_not_read(
    kept: KeyObject, beside: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = await kept.etag()
    await beside.replace(keys.MASTER_KEY, b" " * (64 * 1024 + 1), etag)
    read: list[object] = []
    monkeypatch.setattr(beside, "read", lambda *args: read.append(args))
    with pytest.raises(StateRefused, match="has 65,537 bytes, and the app writes no such"):
        await kept.find()
    assert read == []


async def test_no_more_is_read_than_it_was_told_to_have(
    kept: KeyObject, beside: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, read = beside.read, []

    def grown(name: str, start: int, length: int) -> object:
        read.append((start, length))
        container = beside._open()
        it = container.objects[name]
        container.made[name] += 1
        etag = f'"{container.made[name]}"'
        container.objects[name] = type(it)(it.data + b" " * 100, {}, etag, it.made)
        return whole(name, start, length)

    facts = await beside.facts(keys.MASTER_KEY)
    assert facts
    monkeypatch.setattr(beside, "read", grown)
    with pytest.raises(Unavailable, match="is being changed too often"):
        await kept.find()
    assert read == [(0, facts.size + 100 * tries) for tries in range(8)]


async def test_the_most_that_the_app_writes_is_read(beside: MemoryObjects) -> None:
    vault = MemoryVault()
    key = await drawn(vault, State.CURRENT, NOW)
    long = type(key.wrapped)("v" * 64, b"\0" * 1024)  # an RSA key of 8,192 bits wraps in as many
    others = [type(key)(f"{n:064}", State.OPENING, NOW, NOW, long) for n in range(20)]
    kept = KeyObject(beside, Signing(vault, "a" * 24))
    await kept.put(Document("a" * 24, NOW, [key, *others]))
    assert await kept.find()
