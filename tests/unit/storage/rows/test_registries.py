import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.storage import keys
from shared.storage.master_key.source import GivenKey
from shared.storage.ports import Change, Unavailable, Update
from shared.storage.rows.registries import (
    READ_LOCKS,
    Grace,
    MasterKeyWrong,
    Policies,
    RegistryRecord,
    RegistryRecords,
)
from tests.support.app import (
    GENERATION,
    LONG_AGO,
    MASTER_KEY,
    MASTER_KEYS,
    NAME,
    Memory,
    registry_rows,
)
from tests.support.clock import Clock


@pytest.fixture
def records(worker: None, prepared: Memory) -> RegistryRecords:
    return RegistryRecords(prepared.rows, prepared.beside, MASTER_KEYS)


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


HOUR = timedelta(hours=1)


async def test_a_registry_is_found_by_its_generation(records: RegistryRecords) -> None:
    grace = Grace(HOUR, 2 * HOUR, LONG_AGO)
    made = RegistryRecord("another", "one", (), policies=Policies(3), grace=grace)
    await records.create(made, LONG_AGO)
    assert await records.of("one") == made
    assert await records.of("two") is None


async def test_a_registry_is_changed_while_it_is_the_same(records: RegistryRecords) -> None:
    def change(there: RegistryRecord) -> RegistryRecord:
        return replace(there, flags=there.flags | {READ_LOCKS})

    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    await records.change("another", "two", change, LONG_AGO)
    await records.change("none", "one", change, LONG_AGO)
    there = await records.of("one")
    assert there
    assert there.flags == frozenset()
    for _ in range(2):
        await records.change("another", "one", change, LONG_AGO)
        there = await records.of("one")
        assert there
        assert there.flags == {READ_LOCKS}


async def test_a_change_is_written_down_before_it_is_made(
    records: RegistryRecords, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(there: RegistryRecord) -> RegistryRecord:
        return replace(there, policies=Policies(number))

    async def dies(*_: object) -> list[str]:
        raise Unavailable("the table is busy")

    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    for number in (1, 2, 3):
        if number == 3:
            monkeypatch.setattr(memory.rows, "commit", dies)
        with suppress(Unavailable):
            await records.change("another", "one", change, LONG_AGO + number * HOUR)
    found = await written(memory)
    assert [json.loads(it["policies"])["soft_delete_days"] for it in found.values()] == [7, 3, 2, 1]


@pytest.mark.parametrize("others", [1, 8])
async def test_whoever_changes_a_registry_misses_nobody_else(
    records: RegistryRecords, memory: Memory, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    commit, left = memory.rows.commit, others

    async def overtaken(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        nonlocal left
        if left:
            left -= 1
            await commit(table, partition, [Update("another", {"login_server": str(left)})])
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", overtaken)
    changed = records.change(
        "another", "one", lambda it: replace(it, flags=frozenset("c")), LONG_AGO
    )
    if others == 8:
        with pytest.raises(Unavailable, match="too often"):
            await changed
        return
    await changed
    there = await records.of("one")
    assert there
    assert (there.login_server, there.flags) == ("0", frozenset("c"))


def test_a_lower_grace_period_is_heeded_when_the_longer_one_has_passed(clock: Clock) -> None:
    day, start = timedelta(days=1), clock()
    long = Grace(day)
    assert long.changed(day, start) is long
    lowered = long.changed(HOUR, start)
    assert Grace.read(lowered.text()) == lowered
    assert lowered.at(start) == lowered.at(start + 0.999 * day) == day
    assert lowered.at(start + day) == HOUR
    assert lowered.changed(HOUR, start + day / 2) is lowered


def test_what_was_in_force_holds_through_several_changes(clock: Clock) -> None:
    day, start = timedelta(days=1), clock()
    lowered = Grace(day).changed(HOUR, start)
    again = lowered.changed(HOUR / 2, start + day / 2)
    assert again.at(start + 1.4 * day) == day
    assert again.at(start + 1.5 * day) == HOUR / 2
    raised = lowered.changed(2 * HOUR, start + day / 2)
    assert raised.at(start + 1.4 * day) == day
    assert lowered.changed(2 * day, start).at(start) == 2 * day
    assert lowered.changed(2 * HOUR, start + 2 * day) == Grace(2 * HOUR)


async def test_the_key_is_sealed(records: RegistryRecords, memory: Memory) -> None:
    await memory.keep_registry()
    assert b"ENCRYPTED" in registry_rows()[1].values["sealed"]  # type: ignore[operator]
    with pytest.raises(MasterKeyWrong, match=NAME):
        await RegistryRecords(memory.rows, memory.beside, GivenKey(MASTER_KEY + "!")).find(NAME)


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


async def test_what_a_rebuild_must_know_is_written_before_the_row(
    records: RegistryRecords, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object) -> None:
        raise Unavailable("the table is busy")

    record = RegistryRecord("another", "one", (), "hub.example", flags=frozenset({"b", "a"}))
    with monkeypatch.context() as patch:
        patch.setattr(memory.rows, "commit", dies)
        with pytest.raises(Unavailable):
            await records.create(record, LONG_AGO)
    await records.create(record, LONG_AGO)
    row = await memory.rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, "another")
    assert row
    assert await written(memory) == {
        "one": {
            "name": "another",
            "state": "active",
            "written": LONG_AGO.isoformat(),
            **row.values,
        }
    }


async def test_nothing_is_left_written_of_a_registry_whose_name_is_taken(
    records: RegistryRecords, memory: Memory
) -> None:
    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    await records.create(RegistryRecord("another", "two", ()), LONG_AGO)
    assert [*await written(memory)] == ["one"]


async def test_who_meets_his_own_call_takes_nothing_back(
    records: RegistryRecords, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = memory.rows.commit

    async def twice(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        await commit(table, partition, changes)
        if partition != keys.REGISTRY_PARTITION:
            return []
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", twice)
    await records.create(RegistryRecord("another", "one", ()), LONG_AGO)
    assert [*await written(memory)] == ["one"]


async def written(memory: Memory) -> dict[str, Any]:
    assert memory.beside._container
    found = memory.beside._container.objects
    return {name: json.loads(it.data) for name, it in sorted(found.items())}
