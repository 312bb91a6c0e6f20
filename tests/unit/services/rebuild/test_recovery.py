"""An account whose tables are lost gets everything back but tags, and is halted until then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared import administration, bootstrap
from shared.assembly import recovery as assembly
from shared.model.manifests.manifest import Manifest
from shared.services.rebuild.rebuild import Rebuild
from shared.services.rebuild.report import Report, Step, Tell
from shared.settings import Settings
from shared.storage import ages, keys
from shared.storage.halt import Halt
from shared.storage.ports import Insert, Unavailable
from shared.storage.rows.registries import (
    READ_LOCKS,
    RegistryRecord,
    RegistryRecords,
    StateRefused,
)
from tests.support.app import LONG_AGO, MASTER_KEY, MASTER_KEYS, NAME, Memory
from tests.support.clock import Clock
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import Crash
from tests.unit.services.rebuild.conftest import A, Filled, lose, lose_row, rows_of

type Slept = list[float]


@pytest.fixture
def settings() -> Settings:
    env = {"AzureWebJobsStorage": "memory", "REGISTRY_MASTER_KEY": MASTER_KEY}
    return Settings.from_env(env)


@pytest.fixture
def slept(memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Slept:
    """How long a recovery has slept; it opens memory."""
    spans: Slept = []

    async def sleep(seconds: float) -> None:
        spans.append(seconds)
        clock.move(seconds=seconds)

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[object]:
        yield memory.ports()

    monkeypatch.setattr(bootstrap, "opened_ports", opened)
    monkeypatch.setattr(bootstrap, "now", clock)
    monkeypatch.setattr(assembly, "asyncio", SimpleNamespace(sleep=sleep))
    return spans


@pytest.fixture
async def records(slept: Slept, prepared: Memory) -> RegistryRecords:
    """Two registries, of which one is filled."""
    records = RegistryRecords(prepared.rows, prepared.beside, MASTER_KEYS)
    for name, generation in ((NAME, GENERATION), ("other", "0" * 32)):
        await records.create(RegistryRecord(name, generation, ()), LONG_AGO)
    return records


async def recover(settings: Settings, *, is_dry: bool = False) -> dict[str, Report]:
    async with administration.recovery(settings, is_dry=is_dry) as recovery:
        reports = await recovery.run(lambda *_: None)
    return {report.registry: report for report in reports}


async def lost(settings: Settings) -> list[str]:
    async with administration.recovery(settings) as recovery:
        return await recovery.lost()


async def test_all_tables_come_back(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings, slept: Slept
) -> None:
    before, known = rows_of(prepared), await records.of(GENERATION)
    prepared.rows._tables.clear()
    prepared.messages._queues.clear()
    assert await lost(settings) == [f"table {table}" for table in keys.TABLES]

    reports = await recover(settings)

    assert rows_of(prepared) == before
    assert await records.of(GENERATION) == known
    assert await records.of("0" * 32)
    assert [*reports] == ["other", NAME]
    assert len(reports[NAME].revived) == 7
    assert reports["other"].objects == 0
    assert slept == [2 * ages.L.total_seconds()]
    assert await lost(settings) == []
    assert prepared.messages._queues == {*keys.QUEUES}


async def test_nothing_is_removed_until_all_is_back(
    filled: Filled,
    records: RegistryRecords,
    prepared: Memory,
    settings: Settings,
    clock: Clock,
    slept: Slept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, halt = rows_of(prepared), Halt(prepared.beside)
    lose(prepared, keys.REGISTRIES, keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)
    commit, left = prepared.rows.commit, 40

    async def dying(*arguments: Any) -> list[str]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash
        return await commit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(prepared.rows, "commit", dying)
        with pytest.raises(Crash):
            await recover(settings)
    assert await halt.age() is not None
    assert await lost(settings) == ["rows for which removal was halted before"]

    await recover(settings)

    assert rows_of(prepared) == before
    assert await halt.age() is None


async def test_what_may_yet_come_back_is_not_removed(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings
) -> None:
    """A repository is locked: no manifest of it comes back until it is not."""
    lose(prepared, keys.CONTENTS)
    partition = keys.contents_partition(GENERATION, A)
    locked = Insert(keys.REPOSITORY, {"write_enabled": False})
    await prepared.rows.commit(keys.CONTENTS, partition, [locked])

    report = (await recover(settings))[NAME]

    assert (report.is_unfinished, len(report.faults)) == (True, 6)
    assert await Halt(prepared.beside).age() is not None

    lose_row(prepared, (keys.CONTENTS, partition, keys.REPOSITORY))
    report = (await recover(settings))[NAME]

    assert (report.is_unfinished, len(report.revived)) == (False, 6)
    assert await Halt(prepared.beside).age() is None


async def test_it_tells_that_locks_against_reading_are_lost(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings
) -> None:
    """The registry's record says that there were some, not of what."""

    def lock(record: RegistryRecord) -> RegistryRecord:
        return replace(record, flags=frozenset({READ_LOCKS}))

    await records.change(NAME, GENERATION, lock, LONG_AGO + timedelta(days=1))
    prepared.rows._tables.clear()
    reports = await recover(settings)
    assert (reports[NAME].had_read_locks, reports["other"].had_read_locks) == (True, False)


async def test_a_halt_that_another_lifts_meanwhile_is_put_anew(
    filled: Filled,
    records: RegistryRecords,
    prepared: Memory,
    settings: Settings,
    slept: Slept,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another rebuild ends while this one waits."""
    halt = Halt(prepared.beside)
    halted: list[bool] = []
    await halt.put([keys.BLOBS])
    clock.move(hours=1)

    async def lifting(seconds: float) -> None:
        slept.append(seconds)
        clock.move(seconds=seconds)
        if len(slept) == 1:  # it had looked for notes before there was ours
            there = await prepared.beside.facts(keys.HALTED)
            assert there
            await prepared.beside.delete(keys.HALTED, there.etag)

    async def noting(self: Rebuild, tell: Tell) -> Report:
        halted.append(await halt.age() is not None)
        return await run(self, tell)

    run = Rebuild.run
    monkeypatch.setattr(assembly, "asyncio", SimpleNamespace(sleep=lifting))
    monkeypatch.setattr(Rebuild, "run", noting)
    await recover(settings)
    assert halted == [True, True]
    assert slept == [2 * ages.L.total_seconds()] * 2


async def test_the_last_of_two_rebuilds_lifts_the_halt(
    filled: Filled,
    records: RegistryRecords,
    prepared: Memory,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another one begins and ends while this one is at work."""
    halt, run = Halt(prepared.beside), Rebuild.run
    lose(prepared, keys.CONTENTS, keys.BLOBS)
    halted: list[bool] = []

    async def overtaken(self: Rebuild, tell: Tell) -> Report:
        with monkeypatch.context() as patch:
            patch.setattr(Rebuild, "run", run)
            await recover(settings)
        halted.append(await halt.age() is not None)
        return await run(self, tell)

    monkeypatch.setattr(Rebuild, "run", overtaken)
    await recover(settings)
    assert halted == [True, True]
    assert await halt.age() is None
    assert await halt.others() == []


async def test_a_rebuild_that_fails_keeps_no_other_from_lifting_the_halt(
    filled: Filled,
    records: RegistryRecords,
    prepared: Memory,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    halt = Halt(prepared.beside)

    async def failing(self: Rebuild, tell: Tell) -> Report:
        assert len(await halt.others()) == 1
        raise Unavailable("storage is away")

    with monkeypatch.context() as patch:
        patch.setattr(Rebuild, "run", failing)
        with pytest.raises(Unavailable):
            await recover(settings)
    assert await halt.age() is not None
    await recover(settings)
    assert await halt.age() is None


async def test_a_halt_that_the_app_put_is_relied_on_once_this_one_is_noted_long_enough(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings, slept: Slept
) -> None:
    """Another may be about to lift it, which had looked for notes before there was ours."""
    await Halt(prepared.beside).put([keys.BLOBS])
    prepared.clock.now += timedelta(days=1)
    await recover(settings)
    assert slept == [2 * ages.L.total_seconds()]


async def test_a_dry_run_says_what_would_be_and_writes_nothing(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings, slept: Slept
) -> None:
    prepared.rows._tables.clear()
    would = await recover(settings, is_dry=True)
    assert prepared.rows._tables == {}
    assert prepared.messages.sent == []
    assert await Halt(prepared.beside).age() is None
    assert slept == []
    assert await recover(settings) == would


def _lives(memory: Memory, manifest: Manifest) -> list[str]:
    container = memory.objects._container
    assert container
    return [
        keys.drawn(name)
        for name, it in container.objects.items()
        if it.metadata["digest"] == str(manifest.digest)
    ]


@pytest.mark.parametrize("table", [keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS])
async def test_a_dry_run_of_what_is_half_lost(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings, table: str
) -> None:
    lose(prepared, table)
    if table == keys.CONTENTS:  # and a rebuild has died in the midst of one
        life = next(life for life in _lives(prepared, filled.large))
        about = Insert(keys.build(filled.large.digest, life), {"steps": 1})
        partition = keys.contents_partition(GENERATION, A)
        await prepared.rows.commit(keys.CONTENTS, partition, [about])
    await Halt(prepared.beside).put([table])
    kept = prepared.kept()
    would = await recover(settings, is_dry=True)
    assert prepared.kept() == kept
    assert await Halt(prepared.beside).age() is not None
    assert await recover(settings) == would


async def test_a_table_that_others_made_anew_is_named(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings
) -> None:
    assert await lost(settings) == []
    lose(prepared, keys.CONTENTS)
    assert await lost(settings) == ["rows of table contents"]
    assert prepared.objects._container
    prepared.objects._container.objects.clear()
    assert await lost(settings) == []


async def test_a_table_that_is_merely_new_is_not_lost(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings
) -> None:
    """An app of before had no webhooks; whoever misses their table makes it."""
    prepared.rows._tables.pop(keys.WEBHOOKS)
    assert await lost(settings) == []
    prepared.rows._tables.pop(keys.ACCOUNTS)
    assert await lost(settings) == [f"table {keys.ACCOUNTS}", f"table {keys.WEBHOOKS}"]


async def test_a_registry_that_lost_its_row_is_named(
    records: RegistryRecords, prepared: Memory, settings: Settings
) -> None:
    lose(prepared, keys.REGISTRIES)
    assert await lost(settings) == ["registry other", f"registry {NAME}"]


async def test_a_row_that_another_brings_back_is_taken(
    records: RegistryRecords,
    prepared: Memory,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = prepared.rows._tables[keys.REGISTRIES].pop(keys.REGISTRY_PARTITION)
    bring_back = RegistryRecords.bring_back

    async def overtaken(self: RegistryRecords, record: RegistryRecord) -> bool:
        prepared.rows._tables[keys.REGISTRIES][keys.REGISTRY_PARTITION] = rows
        return await bring_back(self, replace(record, generation="x"))

    monkeypatch.setattr(RegistryRecords, "bring_back", overtaken)
    assert {it.generation for it in (await recover(settings)).values()} == {GENERATION, "0" * 32}


async def test_without_a_word_of_a_registry_nothing_is_done(
    slept: Slept, memory: Memory, settings: Settings
) -> None:
    for prepare in (False, True):
        if prepare:
            await memory.prepare()
        for ask in (lost, recover):
            with pytest.raises(StateRefused, match="nothing in this storage says"):
                await ask(settings)
        assert await _is_untouched(memory) != prepare


async def _is_untouched(memory: Memory) -> bool:
    return not memory.rows._tables


async def test_it_tells_how_far_it_is(
    filled: Filled, records: RegistryRecords, prepared: Memory, settings: Settings
) -> None:
    prepared.rows._tables.clear()
    told: dict[Step, int] = {}
    async with administration.recovery(settings) as recovery:
        _, report = await recovery.run(lambda step, done: told.update({step: done}))
    assert told[Step.OBJECTS] == report.objects == 137
    assert told[Step.MANIFESTS] == 7
    assert report.counts() == {
        "objects": 137,
        "blobs": 130,
        "blobs shown again": 130,
        "manifests brought back": 7,
        "manifests known": 0,
        "manifests completed": 0,
        "faults": 0,
    }
