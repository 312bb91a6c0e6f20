import pytest

from shared.storage import keys
from shared.storage.ports import Update
from shared.storage.rows.registries import (
    MasterKeyWrong,
    Policies,
    RegistryRecord,
    RegistryRecords,
)
from tests.support.app import GENERATION, LONG_AGO, MASTER_KEY, NAME, Memory, registry_rows
from tests.support.clock import Clock


@pytest.fixture
def records(worker: None, prepared: Memory) -> RegistryRecords:
    return RegistryRecords(prepared.rows, MASTER_KEY)


async def test_a_registry_is_made_once(records: RegistryRecords) -> None:
    assert await records.find("another") is None
    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    made = await records.find("another")
    await records.create(RegistryRecord("another", "two", ()), LONG_AGO)
    assert made
    assert made.generation == "one"
    assert [key.made for key in made.signing_keys] == [LONG_AGO]
    assert await records.find("another") == made


async def test_a_registry_reads_as_it_was_made(records: RegistryRecords) -> None:
    wanted = RegistryRecord(
        "another", "one", (), "hub.example", "Other", frozenset({"b", "a"}), Policies(3)
    )
    await records.create(wanted, LONG_AGO)
    made = await records.find("another")
    assert made
    assert made == RegistryRecord(
        "another",
        "one",
        made.signing_keys,
        "hub.example",
        "Other",
        frozenset({"a", "b"}),
        Policies(3),
    )


def test_policies_of_another_version_are_read() -> None:
    assert Policies.read("{}") == Policies()
    assert Policies.read('{"soft_delete_days": 1, "later": true}') == Policies(1)


async def test_the_key_is_sealed(records: RegistryRecords, memory: Memory) -> None:
    await memory.keep_registry()
    assert b"ENCRYPTED" in registry_rows()[1].values["sealed"]  # type: ignore[operator]
    with pytest.raises(MasterKeyWrong, match=NAME):
        await RegistryRecords(memory.rows, MASTER_KEY + "!").find(NAME)


async def test_keys_are_rows_of_their_own_and_the_newest_comes_last(
    records: RegistryRecords, memory: Memory, clock: Clock
) -> None:
    await memory.keep_registry()
    record = await records.find(NAME)
    assert record
    (first,) = record.signing_keys
    second = await records.rotate(record, clock())
    clock.move(hours=1)
    third = await records.rotate(record, clock(), [first.kid])
    found = await records.find(NAME)
    assert found
    assert [key.kid for key in found.signing_keys] == [second, third]
    assert found.generation == record.generation


async def test_a_key_is_opened_again_when_its_row_has_changed(
    records: RegistryRecords, memory: Memory
) -> None:
    await memory.keep_registry()
    first, again = await records.find(NAME), await records.find(NAME)
    assert first
    assert again
    assert again.signing_keys[0] is first.signing_keys[0]
    change = Update(first.signing_keys[0].kid, {"made": LONG_AGO})
    await memory.rows.commit(keys.REGISTRIES, keys.signing_keys(GENERATION), [change])
    changed = await records.find(NAME)
    assert changed
    assert changed.signing_keys[0] is not first.signing_keys[0]
