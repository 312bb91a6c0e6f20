"""Rounds: when the sweep goes on, for how long, and that nothing stops it for good."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.content.pushes import Pushes
from shared.services.sweep import rounds
from shared.services.sweep import sweep as module
from shared.services.sweep.findings import Told, What
from shared.services.sweep.rounds import DAY, go_on
from shared.services.sweep.sweep import Sweep
from shared.storage import keys
from shared.storage.ports import Insert, Put, Unavailable
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import (
    GRACE,
    KEPT,
    LIFETIME,
    REPOSITORY,
    Before,
    hold,
    image_of,
    parts,
)
from tests.unit.services.sweep.conftest import OLD, whole_round

TWO = parts(2)
SECOND = timedelta(seconds=1)
NAMES = [RepositoryName(name) for name in ("a", "b", "c", "d")]

type Pages = list[str]


@pytest.fixture
def pages(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """The pages that were read."""
    read: list[str] = []
    page = memory.rows.page

    async def counted(table: str, **options: object) -> object:
        read.append(table)
        return await page(table, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(memory.rows, "page", counted)
    return read


@pytest.fixture
def calls(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """The calls to tables."""
    made: list[str] = []
    for name in ("get", "scan", "page", "commit"):
        _count(memory, name, made, monkeypatch)
    return made


def _count(memory: Memory, name: str, made: Pages, patch: pytest.MonkeyPatch) -> None:
    original: Callable[..., object] = getattr(memory.rows, name)

    def counted(*arguments: object, **options: object) -> object:
        made.append(name)
        return original(*arguments, **options)

    patch.setattr(memory.rows, name, counted)


async def test_a_round_begins_a_day_after_the_one_before_began(
    sweep: Sweep, clock: Clock, pages: Pages
) -> None:
    await go_on([sweep], clock.ticks)
    assert len(pages) == 4
    clock.now += DAY - SECOND
    await go_on([sweep], clock.ticks)
    assert len(pages) == 4
    clock.now += SECOND
    await go_on([sweep], clock.ticks)
    assert len(pages) == 8


async def test_a_tick_with_nothing_to_do_is_one_call(
    sweep: Sweep, clock: Clock, calls: Pages
) -> None:
    await go_on([sweep], clock.ticks)
    calls.clear()
    await go_on([sweep], clock.ticks)
    assert calls == ["scan"]


async def test_a_round_that_takes_longer_than_a_day_is_followed_at_once(
    stores: Stores, sweep: Sweep, clock: Clock, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sweep.go_on()
    clock.now += 2 * DAY
    await go_on([sweep], clock.ticks)
    assert (await stores.walks.saved()).position == ""
    pages.clear()
    await go_on([sweep], clock.ticks)
    assert len(pages) == 4


async def test_a_tick_ends_in_time_and_the_next_goes_on(
    stores: Stores, sweep: Sweep, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        await hold(stores, *TWO, repository=name)
    monkeypatch.setattr(module, "_PAGE", 1)
    page, read = memory.rows.page, list[str]()

    async def slow(table: str, **options: object) -> object:
        clock.move(minutes=1)
        read.append(f"{options['first']} {table} {options['position']}")
        return await page(table, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(memory.rows, "page", slow)
    ticks = 0
    while not ticks or (await stores.walks.saved()).position:
        before = len(read)
        await go_on([sweep], clock.ticks)
        assert len(read) - before <= 5
        ticks += 1
    assert ticks > 3
    assert len(read) == len(set(read))


class Counted(Sweep):
    """A sweep that has so many pages, or fails."""

    def __init__(self, name: str, pages: int, told: list[str]) -> None:
        self.name, self.pages, self.told = name, pages, told

    async def go_on_with_round(self, pause: timedelta) -> bool:
        self.told.append(self.name)
        if self.pages < 0:
            raise ValueError(self.name)
        self.pages -= 1
        return self.pages > 0


async def test_registries_take_turns_and_one_that_fails_holds_up_no_other(clock: Clock) -> None:
    told: list[str] = []
    sweeps = [Counted("a", 3, told), Counted("b", -1, told), Counted("c", 2, told)]
    with pytest.raises(ValueError, match="b"):
        await go_on(sweeps, clock.ticks)
    assert told == ["a", "b", "c", "a", "c", "a"]


class TestWhatCannotBeUnderstood:
    """Each of these stopped the sweep at its page for good."""

    @pytest.fixture
    async def full(self, stores: Stores, pushes: Pushes, clock: Clock) -> None:
        for name in NAMES:
            await hold(stores, *TWO, *parts(1, name), repository=name)
            await pushes.put(name, image_of(TWO), [Tag("v1")], by=ME)
        clock.now += 2 * GRACE

    async def found(self, sweep: Sweep) -> list[str]:
        """Sweep a round; tell in which repositories unused links were found."""
        findings = await whole_round(sweep)
        return [str(finding.where) for finding in findings if finding.what is What.LINK]

    @pytest.mark.parametrize(
        ("repository", "key", "values"),
        [
            (NAMES[1], "blob|no digest", {}),
            (NAMES[1], f"edge|{TWO[0].digest}|no digest|life", {"names": ""}),
            (NAMES[1], f"deleted|{TWO[0].digest}|{'0' * 32}", {"life": "0" * 32}),
            (NAMES[1], f"build|{TWO[0].digest}", {"life": ""}),
        ],
        ids=lambda each: str(each).split("|")[0][:10],
    )
    async def test_a_strange_row_of_a_repository_hides_no_other_repository(
        self,
        full: None,
        stores: Stores,
        sweep: Sweep,
        clock: Clock,
        repository: RepositoryName,
        key: str,
        values: dict[str, str],
    ) -> None:
        await stores.contents.commit(repository, [Insert(key, values)])
        clock.now += 2 * GRACE
        assert {*NAMES} - {repository} <= {*await self.found(sweep)}

    async def test_nor_does_a_strange_partition(
        self, full: None, memory: Memory, sweep: Sweep
    ) -> None:
        partition = f"{GENERATION}|no digest"
        await memory.rows.commit(keys.BLOBS, partition, [Put("content", {"state": "good"})])
        assert await self.found(sweep) == NAMES

    async def test_nor_an_object_that_does_not_say_what_it_is(
        self, full: None, stores: Stores, memory: Memory, sweep: Sweep, clock: Clock
    ) -> None:
        for metadata in ({}, {"kind": "blob", "made": "never", "by": "x", "repository": "a"}):
            name = keys.object_name(GENERATION, stores.new_id())
            await stores.objects.put(name, b"", metadata)
        clock.now += LIFETIME
        assert await self.found(sweep) == NAMES

    async def test_nor_what_cannot_be_seen_to(
        self, full: None, stores: Stores, sweep: Sweep, clock: Clock
    ) -> None:
        async def fail(repository: RepositoryName, digest: Digest) -> None:
            raise ZeroDivisionError

        told = Told(fail, fail)  # type: ignore[arg-type]
        failing = Sweep(stores, told, grace=GRACE, kept=KEPT, lifetime=LIFETIME)
        assert await self.found(failing) == NAMES

    async def test_where_storage_fails_the_page_is_swept_again(
        self, full: None, stores: Stores, sweep: Sweep, memory: Memory, before: Before
    ) -> None:
        async def fail() -> None:
            raise Unavailable("no storage")

        while not (await sweep.go_on()).position.startswith("contents"):
            pass
        at = (await stores.walks.saved()).position
        before(memory.rows, "scan", fail, 2)
        with pytest.raises(Unavailable):
            await sweep.go_on()
        assert (await stores.walks.saved()).position == at


async def test_scaled_days_are_heeded(
    sweep: Sweep, clock: Clock, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "DAY", SECOND)
    await go_on([sweep], clock.ticks)
    clock.now += SECOND
    await go_on([sweep], clock.ticks)
    assert len(pages) == 8


async def test_what_a_round_tells_the_collector_is_a_message(
    stores: Stores, memory: Memory, clock: Clock
) -> None:
    """As jobs put it together: whoever dies after it has lost nothing."""
    await hold(stores, *TWO)
    clock.now += 2 * GRACE + OLD
    told = Told(lambda where, what: stores.collecting.ask(where, [what]), _nobody)
    await go_on([Sweep(stores, told, grace=GRACE, kept=KEPT, lifetime=LIFETIME)], clock.ticks)
    assert {queue for queue, *_ in memory.messages.sent} == {keys.GARBAGE}
    assert len(memory.messages.sent) == 2
    assert await stores.contents.link(REPOSITORY, Digest.parse(TWO[0].digest))


async def _nobody(_: object) -> None:
    raise AssertionError("nothing is to be healed")


@pytest.mark.parametrize("walk", ["listed", "kept", "contents", "blobs", "objects"])
async def test_a_round_whose_position_storage_refuses_begins_anew(
    stores: Stores,
    memory: Memory,
    sweep: Sweep,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    walk: str,
) -> None:
    page = memory.objects.page

    async def refusing(prefix: str, position: str, limit: int) -> object:
        if position:
            raise ValueError("400 OutOfRangeQueryParameterValue")
        return await page(prefix, position, limit)

    monkeypatch.setattr(memory.objects, "page", refusing)
    await go_on([sweep], clock.ticks)
    clock.now += DAY / 2
    await stores.walks.save(await stores.walks.saved(), f"{walk}|of another version")
    clock.now += DAY / 3
    await go_on([sweep], clock.ticks)
    saved = await stores.walks.saved()
    assert (saved.position, saved.begun) == ("", timedelta())
    assert "a round of the sweep begins anew: there is no way on from" in caplog.text
