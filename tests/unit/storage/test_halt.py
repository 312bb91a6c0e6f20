"""Lost tables are noticed before they are made anew, and nothing else is taken for that."""

import logging
from datetime import timedelta

import pytest

from shared.storage import ages, keys
from shared.storage.halt import Halt
from shared.storage.layers.preparing import prepared
from shared.storage.ports import Insert, NotPrepared, Unavailable
from tests.support.app import Memory
from tests.support.clock import Clock


@pytest.fixture
def halt(memory: Memory) -> Halt:
    return Halt(memory.beside)


async def touch(memory: Memory) -> None:
    """Make a call to each store, as an app does that has just started."""
    rows, objects, messages, beside = prepared(*memory.ports())
    for table in keys.TABLES:
        await rows.get(table, "p", "k")
    await objects.facts("x")
    for queue in keys.QUEUES:
        await messages.peek(queue, 1)
    await beside.facts("x")


async def test_a_fresh_store_is_not_halted(memory: Memory, halt: Halt) -> None:
    await touch(memory)
    assert not await halt.is_on()


@pytest.mark.parametrize("table", [keys.CONTENTS, keys.BLOBS])
@pytest.mark.parametrize("is_write", [True, False])
async def test_a_lost_table_halts(
    memory: Memory, halt: Halt, table: str, is_write: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await memory.prepare()
    del memory.rows._tables[table]
    rows = prepared(*memory.ports())[0]

    if is_write:
        await rows.commit(table, "p", [Insert("k", {})])
    else:
        assert await rows.get(table, "p", "k") is None

    assert await halt.is_on()
    reports = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert reports == [f"rows are lost ({table}): nothing is removed until they are rebuilt"]
    assert "infra.admin rebuild" in caplog.messages[-1]


async def test_a_table_is_not_made_anew_before_all_are_halted(
    memory: Memory, halt: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memory.prepare()
    del memory.rows._tables[keys.BLOBS]

    async def busy(*_: object) -> None:
        raise Unavailable("no role yet")

    with monkeypatch.context() as patch:
        patch.setattr(memory.beside, "put", busy)
        with pytest.raises(Unavailable):
            await touch(memory)
    with pytest.raises(NotPrepared):
        await memory.rows.get(keys.BLOBS, "p", "k")
    await touch(memory)
    assert await halt.is_on()


@pytest.mark.parametrize("lost", ["another table", "a queue", "beside", "content"])
async def test_what_a_new_version_adds_does_not_halt(memory: Memory, halt: Halt, lost: str) -> None:
    await memory.prepare()
    if lost == "another table":
        del memory.rows._tables[keys.REGISTRIES]
    elif lost == "a queue":
        memory.messages._queues.discard(keys.LATER)
    elif lost == "beside":
        memory.beside._container = None
    else:
        memory.objects._container = None
    await touch(memory)
    assert not await halt.is_on()


async def test_two_who_start_on_a_fresh_store_do_not_halt_each_other(
    memory: Memory, halt: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has made everything when the second, who missed a table, looks at what is there."""
    prepare = memory.beside.prepare

    async def overtaken() -> None:
        monkeypatch.setattr(memory.beside, "prepare", prepare)
        await touch(memory)

    monkeypatch.setattr(memory.beside, "prepare", overtaken)
    await touch(memory)
    assert not await halt.is_on()


async def test_one_who_made_all_between_two_looks_does_not_halt(
    memory: Memory, halt: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = memory.objects.facts

    async def overtaken(name: str) -> object:
        monkeypatch.setattr(memory.objects, "facts", facts)
        await touch(memory)
        return await facts(name)

    monkeypatch.setattr(memory.objects, "facts", overtaken)
    rows = prepared(*memory.ports())[0]
    await rows.get(keys.BLOBS, "p", "k")
    assert not await halt.is_on()


async def test_it_lasts_until_it_is_lifted(prepared: Memory, halt: Halt, clock: Clock) -> None:
    assert not await halt.lift()
    await halt.put([keys.BLOBS])
    await halt.put([keys.BLOBS, keys.CONTENTS])
    assert await halt.is_on()
    clock.move(seconds=30)
    assert await halt.age() == timedelta(seconds=30)
    assert await halt.lift()
    assert not await halt.is_on()
    assert await halt.age() is None
    assert not await halt.lift()


async def test_a_rebuild_that_is_under_way_keeps_it(
    prepared: Memory, halt: Halt, clock: Clock
) -> None:
    await halt.put([keys.BLOBS])
    for rebuild in ("one", "two"):
        await halt.begin(rebuild)
        clock.move(seconds=30)
    assert await halt.begun("one") == timedelta(seconds=60)
    await halt.end("one")
    assert await halt.begun("one") is None
    assert not await halt.lift()
    assert await halt.others() == [timedelta(seconds=30)]
    await halt.end("two")
    assert await halt.lift()
    assert await halt.age() is None


async def test_one_that_was_killed_keeps_it_until_an_operator_says_so(
    prepared: Memory, halt: Halt, clock: Clock
) -> None:
    await halt.begin("one")
    assert not await halt.resume()
    await halt.begin("one")
    await halt.put([keys.BLOBS])
    clock.move(days=30)
    assert not await halt.lift()
    assert await halt.resume()
    assert await halt.age() is None
    assert await halt.others() == []


async def test_who_looked_for_rebuilds_too_long_ago_looks_again(
    prepared: Memory, halt: Halt, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await halt.put([keys.BLOBS])
    page = prepared.beside.page

    async def slow(prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        found = await page(prefix, position, limit)
        monkeypatch.setattr(prepared.beside, "page", page)
        clock.now += ages.L
        await halt.begin("one")
        return found

    monkeypatch.setattr(prepared.beside, "page", slow)
    assert not await halt.lift(clock.ticks)
    assert await halt.age() is not None
