"""A master key that is kept in storage: over memory, and over the emulator and Azure's own SDKs."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.assembly.webhooks import seal_of
from shared.services.master_key import rotation as module
from shared.services.master_key.rotation import Rotation
from shared.services.master_key.sealing import Sealing
from shared.storage import ages, keys
from shared.storage.azure.vaults import AzureVault
from shared.storage.master_key.document import State
from shared.storage.master_key.kept import KeptKeys, KeyObject
from shared.storage.ports import Delete, Messages, Objects, Ports, Rows, Vault
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
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with KeyVault(tmp_path) as opened:
        yield AzureVault(opened.key, Credential, authorities=str(opened.authorities))


def now() -> datetime:
    return datetime.now(UTC)


async def test_of_several_first_starts_one_wins(ports: Ports, vault: Vault) -> None:
    hosts = [KeptKeys(ports, vault, now) for _ in range(4)]
    read = await asyncio.gather(*(host.read() for host in hosts))
    assert len({it.current for it in read}) == 1
    assert await KeptKeys(ports, vault, now).read() == read[0]


async def test_it_is_refused_while_there_is_content(ports: Ports, vault: Vault) -> None:
    await ports.objects.put("g/1", b"", {})
    with pytest.raises(StateRefused, match="there is content in this storage, and no master key"):
        await KeptKeys(ports, vault, now).read()


async def test_it_is_replaced(ports: Ports, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", timedelta(seconds=2))
    monkeypatch.setattr(ages, "L", timedelta(seconds=1))
    name, generation = uuid.uuid4().hex, uuid.uuid4().hex
    host = KeptKeys(ports, vault, now)
    records = RegistryRecords(ports.rows, ports.beside, host)
    await records.create(RegistryRecord(name, generation, ()), now())
    before = await records.find(name)
    first = await host.read()
    sealing = Sealing(ports.rows, seal_of)
    rotation = Rotation(ports, vault, sealing, now, asyncio.sleep, LIFETIME)

    began = time.monotonic()
    done = await rotation.run(lambda _, __: None)

    assert 3 < time.monotonic() - began < 60
    second = await host.read()
    assert (second.others, second.current != first.current) == ((first.current,), True)
    after = await records.find(name)
    assert before
    assert after
    assert after.signing_keys[0].kid == before.signing_keys[0].kid
    found = await KeyObject(ports.beside).find()
    assert found
    assert found.document.current.id == done.current
    assert [key.state for key in found.document.keys] == [State.OPENING, State.CURRENT]
    assert await RegistryRecords(ports.rows, ports.beside, KeptKeys(ports, vault, now)).find(name)
