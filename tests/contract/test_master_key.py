"""A master key that is kept in storage: over memory, and over the emulator and Azure's own SDKs."""

import asyncio
import json
import time
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from shared.assembly.webhooks import seal_of
from shared.services.master_key import rotation as module
from shared.services.master_key.rotation import Rotation
from shared.services.master_key.sealing import Sealing
from shared.storage import ages, keys
from shared.storage.azure.vaults import AzureVault
from shared.storage.master_key.document import Document, State
from shared.storage.master_key.kept import KeptKeys, drawn
from shared.storage.master_key.object import KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.ports import Delete, Messages, Objects, Ports, Rows
from shared.storage.rows.registries import RegistryRecord, RegistryRecords, StateRefused
from tests.support.key_vault import Credential, KeyVault

LIFETIME = timedelta(seconds=1)


@pytest.fixture
async def ports(
    empty_rows: Rows, empty_objects: Objects, messages: Messages, beside: Objects
) -> Ports:
    """Storage that is new, but for rows of other tests' registries."""
    await empty_rows.prepare(keys.TABLES)
    await empty_objects.prepare()
    await beside.prepare()
    for row in await empty_rows.scan(
        keys.REGISTRIES, keys.REGISTRY_PARTITION, after="", before="~", limit=100
    ):
        await empty_rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [Delete(row.key)])
    return Ports(empty_rows, empty_objects, messages, beside)


@pytest.fixture
async def key_vault(tmp_path: Path) -> AsyncIterator[KeyVault]:
    async with KeyVault(tmp_path) as opened:
        yield opened


@pytest.fixture
def signing(key_vault: KeyVault) -> Signing:
    trusted = str(key_vault.authorities)
    return Signing(AzureVault(key_vault.key, Credential, authorities=trusted), "account")


def now() -> datetime:
    return datetime.now(UTC)


async def test_of_several_first_starts_one_wins(ports: Ports, signing: Signing) -> None:
    hosts = [KeptKeys(ports, signing, now) for _ in range(4)]
    read = await asyncio.gather(*(host.read() for host in hosts))
    assert len({it.current for it in read}) == 1
    assert await KeptKeys(ports, signing, now).read() == read[0]


async def test_it_is_refused_while_there_is_content(ports: Ports, signing: Signing) -> None:
    await ports.objects.put("g/1", b"", {})
    with pytest.raises(StateRefused, match="there is content in this storage, and no master key"):
        await KeptKeys(ports, signing, now).read()


async def test_one_that_somebody_has_planted_is_taken_by_nobody(
    ports: Ports, signing: Signing
) -> None:
    host = KeptKeys(ports, signing, now)
    await host.read()
    etag = await KeyObject(ports.beside, signing).etag()
    body = b"".join([piece async for piece in ports.beside.read(keys.MASTER_KEY)])
    planted = Document("account", now(), [await drawn(signing.vault, State.CURRENT, now())])
    payload = urlsafe_b64encode(planted.text()).rstrip(b"=").decode()
    said = json.dumps({**json.loads(body), "payload": payload}).encode()
    await ports.beside.replace(keys.MASTER_KEY, said, etag)
    for one in (host, KeptKeys(ports, signing, now)):
        with pytest.raises(StateRefused, match="somebody else has written it"):
            await one.read()


async def test_its_signature_is_one_that_others_know(
    ports: Ports, signing: Signing, key_vault: KeyVault
) -> None:
    await KeptKeys(ports, signing, now).read()
    body = b"".join([piece async for piece in ports.beside.read(keys.MASTER_KEY)])
    said = json.loads(body)
    address, _, version = said["header"]["kid"].rpartition("/")
    compact = ".".join(said[part] for part in ("protected", "payload", "signature"))
    half = key_vault._versions[version].public_key()
    assert address == key_vault.key
    assert (
        jwt.api_jws.decode(compact, half, ["PS256"])
        == Document.read(urlsafe_b64decode(said["payload"] + "==")).text()
    )


async def test_a_start_asks_the_vault_twice(
    ports: Ports, signing: Signing, key_vault: KeyVault
) -> None:
    await KeptKeys(ports, signing, now).read()
    key_vault.calls.clear()
    fresh = AzureVault(key_vault.key, Credential, authorities=str(key_vault.authorities))
    await KeptKeys(ports, Signing(fresh, "account"), now).read()
    assert key_vault.calls == ["get", "unwrapkey"]


async def test_it_is_replaced(
    ports: Ports, signing: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN", timedelta(seconds=2))
    monkeypatch.setattr(ages, "L", timedelta(seconds=1))
    name, generation = uuid.uuid4().hex, uuid.uuid4().hex
    host = KeptKeys(ports, signing, now)
    records = RegistryRecords(ports.rows, ports.beside, host)
    await records.create(RegistryRecord(name, generation, ()), now())
    before = await records.find(name)
    first = await host.read()
    sealing = Sealing(ports.rows, seal_of)
    rotation = Rotation(ports, signing, sealing, now, asyncio.sleep, LIFETIME)

    began = time.monotonic()
    done = await rotation.run(lambda _, __: None)

    assert 3 < time.monotonic() - began < 60
    second = await host.read()
    assert (second.others, second.current != first.current) == ((first.current,), True)
    after = await records.find(name)
    assert before
    assert after
    assert after.signing_keys[0].kid == before.signing_keys[0].kid
    found = await KeyObject(ports.beside, signing).find()
    assert found
    assert found.document.current.id == done.current
    assert [key.state for key in found.document.keys] == [State.OPENING, State.CURRENT]
    assert await RegistryRecords(ports.rows, ports.beside, KeptKeys(ports, signing, now)).find(name)
