"""Rows that are lost come back from the objects; what is there stays as it is."""

from collections.abc import Callable
from itertools import chain, count, cycle, islice

import pytest

from shared.errors import ManifestBlobUnknown
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.services.content.pushes import Pushes
from shared.services.garbage.garbage import Garbage
from shared.services.sweep.findings import Told
from shared.services.sweep.sweep import Sweep
from shared.services.verification.healing import Healing
from shared.storage import keys
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import GRACE, KEPT, LIFETIME, Crash, parts
from tests.unit.services.rebuild.conftest import (
    A,
    Again,
    B,
    Filled,
    Rows,
    lose,
    lose_row,
    rows_of,
)
from tests.unit.services.sweep.conftest import whole_round


@pytest.fixture
def sweep(stores: Stores) -> Sweep:
    told = Told(Garbage(stores, GRACE).collect, Healing(stores).do)
    return Sweep(stores, told, grace=GRACE, kept=KEPT, lifetime=LIFETIME)


TABLES = (keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)


@pytest.mark.parametrize(
    "tables",
    [TABLES, [keys.CONTENTS], [keys.BLOBS], [keys.REPOSITORIES], [keys.CONTENTS, keys.BLOBS]],
    ids=" ".join,
)
async def test_lost_tables_come_back(
    filled: Filled, prepared: Memory, rebuild: Again, tables: list[str]
) -> None:
    before = rows_of(prepared)
    lose(prepared, *tables)

    report = await rebuild()

    assert rows_of(prepared) == before
    assert not report.faults
    assert len(report.revived) == (7 if keys.CONTENTS in tables else 0)
    assert report.known == (0 if keys.CONTENTS in tables else 7)
    assert not [it for it in prepared.messages.sent if it.queue == keys.EVENTS]


async def test_where_nothing_is_lost_nothing_is_changed(
    filled: Filled, prepared: Memory, rebuild: Again
) -> None:
    before = prepared.kept()
    report = await rebuild()
    assert prepared.kept() == before
    assert (report.known, report.completed, report.revived) == (7, 0, {})


async def test_it_can_be_done_twice(filled: Filled, prepared: Memory, rebuild: Again) -> None:
    lose(prepared, *TABLES)
    await rebuild()
    before = prepared.kept()
    report = await rebuild()
    assert prepared.kept() == before
    assert (report.known, report.completed, report.revived) == (7, 0, {})


async def test_each_row_comes_back_by_itself(
    filled: Filled, prepared: Memory, rebuild: Again, clock: Clock
) -> None:
    before = rows_of(prepared)
    for place in before:
        if _some(place):
            lose_row(prepared, place)
            await rebuild()
            assert rows_of(prepared) == before, place
            clock.move(hours=1)


def _some(place: tuple[str, str, str]) -> bool:
    """Leave out what is there a hundred times over, and that of which no row speaks.

    That is `repository`, and the link to what nothing uses: it may have been deleted.
    """
    _, partition, key = place
    layers = [blob.digest for blob in parts(120, "layer")[1:]]
    is_layer = any(digest in partition or digest in key for digest in layers)
    (unused,) = parts(1, "unused")
    return key not in {keys.REPOSITORY, f"blob|{unused.digest}"} and not is_layer


async def test_a_rebuild_that_dies_is_begun_anew(
    filled: Filled,
    stores: Stores,
    prepared: Memory,
    rebuild: Again,
    clock: Clock,
    crash: Callable[[Memory, int], Callable[[], None]],
) -> None:
    """However far it came, also in the midst of a push of several transactions."""
    before = rows_of(prepared)
    lose(prepared, *TABLES)
    await stores.halt.put(TABLES)
    for writes in chain([5, 50, 100, 100], islice(cycle([1, 2, 3]), 24), count(10, 20)):
        live = crash(prepared, writes)
        try:
            await rebuild()
        except Crash:
            live()
            clock.move(seconds=10)
        else:
            live()
            break
    assert {key for *_, key in rows_of(prepared) if key.startswith("build|")}
    assert _shape(rows_of(prepared)) == _shape(before)
    for repository, manifest in [*((A, it) for it in filled.all()), (B, filled.image)]:
        record = await stores.contents.manifest(repository, manifest.digest, with_body=True)
        assert record
        assert await stores.body(record) == manifest.body
        name = keys.object_name(stores.generation, record.life)
        assert await prepared.objects.facts(name), "its body is no object"


async def test_pushes_go_on_meanwhile(
    filled: Filled, stores: Stores, prepared: Memory, rebuild: Again, pushes: Pushes
) -> None:
    """Whoever pushes what comes back, at any time, meets it, or is met by it."""
    before = rows_of(prepared)
    lose(prepared, *TABLES)
    commit, calls, pushed = prepared.rows.commit, 0, 0

    async def overtaken(*arguments: object) -> object:
        nonlocal calls, pushed
        calls += 1
        if calls % 7 == 0:
            prepared.rows.commit = commit  # type: ignore[method-assign]
            for manifest in (filled.image, filled.large):
                try:
                    await Pushes(stores, is_sparse_allowed=False).put(
                        A, manifest, [Tag("v2")], by=ME
                    )
                    pushed += 1
                except ManifestBlobUnknown:
                    pass
            prepared.rows.commit = overtaken  # type: ignore[method-assign, assignment]
        return await commit(*arguments)  # type: ignore[arg-type]

    prepared.rows.commit = overtaken  # type: ignore[method-assign, assignment]
    report = await rebuild()

    assert pushed
    assert not report.faults
    assert _shape(rows_of(prepared)) == _shape(before)
    tag = await stores.contents.tag(A, Tag("v2"))
    assert tag
    assert tag.digest == filled.large.digest


def _shape(rows: Rows) -> set[tuple[str, str, str]]:
    """Give what there is, whichever lives and objects it is of; builds are left to upkeep."""
    return {
        (table, partition, key.rpartition("|")[0] if key.startswith(("edge|", "good|")) else key)
        for table, partition, key in rows
        if not key.startswith("build|")
    }


@pytest.mark.parametrize("tables", [TABLES, [keys.CONTENTS], [keys.BLOBS]], ids=" ".join)
async def test_the_collector_takes_nothing_that_is_needed(
    filled: Filled,
    stores: Stores,
    prepared: Memory,
    rebuild: Again,
    clock: Clock,
    sweep: Sweep,
    tables: list[str],
) -> None:
    """All clocks start at the rebuild: not even what nothing uses goes before its grace period."""
    lose(prepared, *tables)
    await rebuild()
    before = rows_of(prepared)
    clock.now += GRACE
    await whole_round(sweep)
    assert rows_of(prepared) == before or tables == [keys.BLOBS]
    clock.now += 3 * GRACE
    for _ in range(2):
        await whole_round(sweep)
    (unused,) = parts(1, "unused")
    assert await stores.contents.link(A, Digest.parse(unused.digest)) is None
    for repository, manifest in [*((A, it) for it in filled.all()), (B, filled.image)]:
        record = await stores.contents.manifest(repository, manifest.digest, with_body=True)
        assert record
        assert await stores.body(record) == manifest.body
        for part in manifest.blobs:
            link = await stores.contents.link(repository, part.digest)
            assert link
            assert await prepared.objects.facts(link.object)
