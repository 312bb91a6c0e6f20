import pytest

from shared.storage import keys
from shared.storage.ports import Put
from shared.storage.rows.registries import MasterKeyWrong, RegistryRecords
from tests.support.app import MASTER_KEY, NAME, Memory, registry_row


@pytest.fixture
def records(worker: None, prepared: Memory) -> RegistryRecords:
    return RegistryRecords(prepared.rows, MASTER_KEY)


async def store(memory: Memory) -> None:
    row = Put(NAME, registry_row().values)
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [row])


async def test_a_registry_is_made_once(records: RegistryRecords) -> None:
    assert await records.find("another") is None
    await records.create("another", "one")
    made = await records.find("another")
    await records.create("another", "two")
    found = await records.find("another")
    assert made
    assert found
    assert found.generation == "one"
    assert found.signing_key.private_numbers() == made.signing_key.private_numbers()


async def test_the_key_is_sealed(records: RegistryRecords, memory: Memory) -> None:
    await store(memory)
    assert b"ENCRYPTED" in registry_row().values["signing_key"]  # type: ignore[operator]
    with pytest.raises(MasterKeyWrong, match=NAME):
        await RegistryRecords(memory.rows, MASTER_KEY + "!").find(NAME)
