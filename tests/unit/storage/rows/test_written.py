"""What is written down of registries tells which are to be there, should their rows be lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.storage import keys
from shared.storage.ports import Delete
from shared.storage.rows.registries import (
    READ_LOCKS,
    Grace,
    LayoutRefused,
    Policies,
    RegistryRecord,
    RegistryRecords,
)
from shared.storage.rows.written import Written
from tests.support.app import LONG_AGO, MASTER_KEYS, Memory

DAY = timedelta(days=1)
ONE = RegistryRecord(
    "another", "one", (), "hub.example", policies=Policies(3), grace=Grace(DAY, DAY, LONG_AGO)
)


@pytest.fixture
def records(prepared: Memory) -> RegistryRecords:
    return RegistryRecords(prepared.rows, prepared.beside, MASTER_KEYS)


@pytest.fixture
def written(prepared: Memory) -> Written:
    return Written(prepared.beside, prepared.objects)


async def put_content(memory: Memory, generation: str) -> None:
    await memory.objects.put(keys.object_name(generation, "0" * 32), b"bytes", {})


async def lose(memory: Memory, name: str = "another") -> None:
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [Delete(name)])


async def test_a_registry_comes_back_as_it_was_last(
    records: RegistryRecords, written: Written, prepared: Memory
) -> None:
    await records.create(ONE, LONG_AGO)
    for days, flag in ((1, "first"), (2, READ_LOCKS)):

        def change(there: RegistryRecord, flag: str = flag) -> RegistryRecord:
            return replace(there, flags=there.flags | {flag})

        await records.change("another", "one", change, LONG_AGO + days * DAY)
    there = await records.of("one")
    await lose(prepared)

    (found,) = (await written.registries()).values()

    assert found == there == replace(ONE, flags=frozenset({READ_LOCKS, "first"}))
    assert await records.bring_back(found)
    assert not await records.bring_back(replace(found, generation="two"))
    assert await records.of("one") == there


async def test_of_two_generations_the_one_with_content_is_meant(
    records: RegistryRecords, written: Written, prepared: Memory
) -> None:
    await records.create(ONE, LONG_AGO)
    await lose(prepared)
    await records.create(replace(ONE, generation="two"), LONG_AGO + DAY)
    assert (await written.registries())["another"].generation == "two"
    await put_content(prepared, "one")
    assert (await written.registries())["another"].generation == "one"
    await put_content(prepared, "two")
    assert (await written.registries())["another"].generation == "two"


async def test_what_cannot_be_read_is_left_out(
    records: RegistryRecords, written: Written, prepared: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    await records.create(ONE, LONG_AGO)
    await prepared.beside.put(keys.HALTED, b"", {})
    await prepared.beside.put(keys.rebuilding("0"), b"", {})
    for name, body in {"a": b"\xff", "b": b"{}", "c": b"[]", "d": b'{"name": 1}'}.items():
        await prepared.beside.put(name, body, {})
    assert [*await written.registries()] == ["another"]
    assert len(caplog.messages) == 4
    assert all("says nothing of a registry" in message for message in caplog.messages)


async def test_a_registry_that_is_no_more_stays_so(written: Written, prepared: Memory) -> None:
    said = b'{"name": "another", "state": "deleted", "written": "2026-01-02T00:00:00+00:00"'
    await prepared.beside.put("one", said + b', "generation": "one"}', {})
    await put_content(prepared, "one")
    assert not await written.registries()
    assert not await written.is_lost("another")


async def test_state_of_another_layout_is_refused(written: Written, prepared: Memory) -> None:
    said = b'{"name": "another", "state": "active", "written": "2026-01-02T00:00:00+00:00"'
    await prepared.beside.put("one", said + b', "generation": "one", "layout": 2}', {})
    with pytest.raises(LayoutRefused, match="deploy the version"):
        await written.registries()


async def test_only_a_registry_with_content_is_lost(
    records: RegistryRecords, written: Written, prepared: Memory
) -> None:
    assert not await written.is_lost("another")
    await records.create(ONE, LONG_AGO)
    assert not await written.is_lost("another")
    await put_content(prepared, "two")
    assert not await written.is_lost("another")
    await put_content(prepared, "one")
    assert await written.is_lost("another")
    assert not await written.is_lost("registry")


async def test_without_a_container_of_content_nothing_is_lost(
    records: RegistryRecords, written: Written, prepared: Memory
) -> None:
    await records.create(ONE, LONG_AGO)
    prepared.objects._container = None
    assert not await written.is_lost("another")
    assert [*await written.registries()] == ["another"]


async def test_what_else_stands_beside_is_no_registry(
    written: Written, prepared: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (keys.HALTED, keys.rebuilding("1"), keys.MASTER_KEY):
        await prepared.beside.put(name, b"", {})

    assert not await written.registries()
    assert caplog.records == []
