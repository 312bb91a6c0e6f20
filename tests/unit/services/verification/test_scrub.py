"""The scrub: round and round, in the order of keys, within its budget, and what it finds."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.uploads import Uploads
from shared.services.upkeep.errands import Upkeep
from shared.services.verification import scrub as module
from shared.services.verification.scrub import KEPT, Scrub, tick_all
from shared.services.verification.verification import Verification
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Unavailable
from shared.storage.rows.rounds.scrubs import BAD, MISSING, Round
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.support.images import blob
from tests.support.messages import addressed
from tests.unit.services.conftest import LATEST, REPOSITORY, Before, Crash, hold, image_of
from tests.unit.services.content.test_uploads import part
from tests.unit.services.verification.test_healing import run_all, spoil

SIZE = 100
BLOBS = sorted(
    (blob(f"{number:0{SIZE}}".encode()) for number in range(12)), key=lambda each: each.digest
)
MUCH = 10**9
DAY = timedelta(days=1)

type Reads = list[str]


@pytest.fixture
async def names(stores: Stores, clock: Clock) -> list[str]:
    """Blobs that were made long ago; the names of their objects, in the order of the walk."""
    await hold(stores, *BLOBS)
    clock.move(hours=1)
    rows = [await stores.holdings.content(Digest.parse(each.digest)) for each in BLOBS]
    return [str(row.values["object"]) for row in rows if row]


@pytest.fixture
def reads(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Reads:
    read, found = memory.objects.read, list[str]()

    async def noted(name: str, *more: Any) -> AsyncGenerator[bytes]:
        found.append(name)
        async for piece in read(name, *more):
            yield piece

    monkeypatch.setattr(memory.objects, "read", noted)
    return found


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 5)


def scrub_of(stores: Stores, verification: Verification, a_day: int = MUCH) -> Scrub:
    return Scrub(stores, verification, a_day)


async def whole(scrub: Scrub, clock: Clock) -> Round:
    """Tick by the hour until a round ends."""
    for _ in range(1_000):
        found = await scrub.tick()
        if found and found.ended:
            return found
        clock.move(hours=1)
    raise AssertionError("the round does not end")


def calls(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each call to storage from now on."""
    made: list[str] = []

    def noted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            made.append(name)
            return original(*arguments, **options)

        return call

    for port in (memory.rows, memory.objects, memory.messages):
        for name in ("get", "scan", "page", "commit", "facts", "read", "delete", "send"):
            if hasattr(port, name):
                monkeypatch.setattr(port, name, noted(name, getattr(port, name)))
    return made


@pytest.mark.usefixtures("small_pages")
async def test_a_round_verifies_all_there_is_in_the_order_of_keys(
    stores: Stores, verification: Verification, names: list[str], reads: Reads, clock: Clock
) -> None:
    found = await scrub_of(stores, verification).tick()
    assert found
    assert reads == names
    assert (found.objects, found.bytes, found.skipped) == (len(names), SIZE * len(names), 0)
    assert found.ended == clock()


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("at_a_time", [1, 3, 5])
async def test_the_budget_of_a_day_is_heeded_and_each_object_read_once(
    stores: Stores,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    at_a_time: int,
) -> None:
    scrub = scrub_of(stores, verification, 24 * SIZE * at_a_time)
    for hour in range(1, 13):
        await scrub.tick()
        assert len(reads) == min(hour * at_a_time, len(names))
        clock.move(minutes=59, seconds=58)
    assert reads == names


async def test_ticks_that_come_too_early_read_no_more_in_a_day(
    stores: Stores, verification: Verification, names: list[str], reads: Reads, clock: Clock
) -> None:
    scrub = scrub_of(stores, verification, 24 * SIZE)
    for tick in range(12):
        await scrub.tick()
        assert len(reads) <= tick * 55.5 / 60 + 1.1
        clock.move(minutes=55.5)
    assert len(reads) >= 8


async def test_what_was_read_beyond_the_budget_is_paid_by_later_ticks(
    stores: Stores, verification: Verification, names: list[str], reads: Reads, clock: Clock
) -> None:
    scrub = scrub_of(stores, verification, 24 * SIZE // 4)
    read_by_hour = []
    for _ in range(13):
        await scrub.tick()
        read_by_hour.append(len(reads))
        clock.move(hours=1)
    assert read_by_hour == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]


async def test_a_budget_of_a_few_bytes_a_day_is_heeded_too(
    stores: Stores, verification: Verification, names: list[str], reads: Reads, clock: Clock
) -> None:
    scrub, read_by_day = scrub_of(stores, verification, 20), list[int]()
    for _ in range(12):
        await scrub.tick()
        read_by_day.append(len(reads))
        clock.move(days=1)
    assert read_by_day == [1] * 5 + [2] * 5 + [3] * 2


@pytest.mark.parametrize("a_day", [SIZE, MUCH])
async def test_a_tick_that_is_not_due_is_one_read(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    a_day: int,
) -> None:
    await scrub_of(stores, verification, a_day).tick()
    clock.move(hours=1)
    made = calls(memory, monkeypatch)
    assert await scrub_of(stores, verification, a_day).tick() is None
    assert made == ["get"]


async def test_no_budget_is_no_scrub(
    stores: Stores, memory: Memory, verification: Verification, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = calls(memory, monkeypatch)
    assert await scrub_of(stores, verification, 0).tick() is None
    assert made == []


async def test_a_round_begins_once_a_day_and_skips_what_was_verified_within_a_week(
    stores: Stores, verification: Verification, names: list[str], reads: Reads, clock: Clock
) -> None:
    scrub = scrub_of(stores, verification)
    rounds = []
    for _ in range(24 * 8):
        if found := await scrub.tick():
            rounds.append((found.objects, found.skipped))
        clock.move(hours=1)
    all_of = len(names)
    assert rounds == [(all_of, 0), *6 * [(0, all_of)], (all_of, 0)]
    assert reads == 2 * names


async def test_a_whole_round_of_all_reads_again_what_was_verified_lately(
    stores: Stores,
    verification: Verification,
    names: list[str],
    memory: Memory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scrub = scrub_of(stores, verification)
    await scrub.run(lambda _: None)
    spoil(memory, names[2])
    skipping = await scrub.run(lambda _: None)
    assert skipping
    assert (skipping.objects, skipping.skipped, skipping.bad) == (0, len(names), 0)
    found = await scrub.run(lambda _: None, is_all=True)
    assert found
    assert (found.objects, found.skipped, found.bad) == (len(names), 0, 1)
    assert f"object {names[2]}, a blob of {BLOBS[2].digest} in {REPOSITORY}, is bad" in caplog.text


async def test_a_clock_that_was_wrong_holds_up_nothing_for_long(
    stores: Stores, memory: Memory, verification: Verification, names: list[str], clock: Clock
) -> None:
    """A host whose clock is a year ahead ends a round; storage's own clock goes right."""
    ahead = Clock(clock() + timedelta(days=365))
    object.__setattr__(verification, "_clock", ahead)
    scrub = scrub_of(stores, verification)
    object.__setattr__(scrub, "_clock", ahead)
    await scrub.tick()
    object.__setattr__(verification, "_clock", clock)
    clock.move(days=1)
    found = await scrub_of(stores, verification).tick()
    assert found
    assert found.objects == len(names)


async def test_what_has_only_just_been_made_is_left_to_its_trigger(
    stores: Stores, verification: Verification, pushes: Pushes, reads: Reads, clock: Clock
) -> None:
    await hold(stores, *BLOBS)
    await pushes.put(REPOSITORY, image_of(BLOBS), [LATEST], by=ME)
    found = await scrub_of(stores, verification).tick()
    assert found
    assert (found.objects, found.skipped) == (0, len(BLOBS) + 1)
    assert reads == []


async def test_it_finds_bad_and_missing_objects_of_blobs_and_manifests(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    pushes: Pushes,
    uploads: Uploads,
    upkeep: Upkeep,
    names: list[str],
    clock: Clock,
) -> None:
    await pushes.put(REPOSITORY, image_of(BLOBS), [LATEST], by=ME)
    clock.move(hours=1)
    spoil(memory, names[2])
    assert memory.objects._container
    del memory.objects._container.objects[names[5]]
    found = await scrub_of(stores, verification).tick()
    assert found
    assert (found.bad, found.missing) == (1, 2)  # the manifest has no copy, as nobody followed
    report = await scrub_of(stores, verification).report()
    assert report.last == found
    assert report.round is None
    expected = {(names[2], "blob", BAD), (names[5], "blob", MISSING)}
    assert {(it.object, it.kind, it.what) for it in report.damages if it.kind == "blob"} == expected
    assert not any(it.healed for it in report.damages)
    await run_all(memory, upkeep, clock)
    for place in (2, 5):
        pushed = BLOBS[place]
        await uploads.commit(
            REPOSITORY, uploads.start(), Digest.parse(pushed.digest), part(pushed.content)
        )
    await run_all(memory, upkeep, clock)
    report = await scrub_of(stores, verification).report()
    assert all(it.healed for it in report.damages if it.kind == "blob")
    assert report.lost == frozenset()


async def test_what_nobody_needs_any_more_is_told_as_lost(
    stores: Stores, memory: Memory, verification: Verification, names: list[str]
) -> None:
    spoil(memory, names[0])
    await scrub_of(stores, verification).tick()
    digest = Digest.parse(BLOBS[0].digest)
    assert (await scrub_of(stores, verification).report()).lost == frozenset()
    await stores.holdings.leave(digest, await stores.holdings.held(digest, REPOSITORY))
    assert (await scrub_of(stores, verification).report()).lost == {names[0]}


async def test_what_is_uploaded_again_after_all_gave_it_up_needs_no_healing(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    uploads: Uploads,
    upkeep: Upkeep,
    names: list[str],
    clock: Clock,
) -> None:
    digest = Digest.parse(BLOBS[0].digest)
    spoil(memory, names[0])
    await scrub_of(stores, verification).tick()
    await run_all(memory, upkeep, clock)
    assert (await scrub_of(stores, verification).report()).lost == frozenset()
    await stores.holdings.leave(digest, await stores.holdings.held(digest, REPOSITORY))
    await uploads.commit(REPOSITORY, uploads.start(), digest, part(BLOBS[0].content))
    await run_all(memory, upkeep, clock)
    assert (await scrub_of(stores, verification).report()).lost == {names[0]}


async def test_what_is_large_goes_to_the_queue_and_counts(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LARGE_BYTES", SIZE - 1)
    scrub = scrub_of(stores, verification, 24 * SIZE * 2)
    found = await scrub.tick()
    assert found
    assert (found.handed, found.objects) == (2, 0)
    assert reads == []
    sent = addressed(memory.messages.sent)
    asked = [ToVerify.read(body.encode()) for queue, body, _ in sent if queue == keys.VERIFICATION]
    assert [(it.name, str(it.digest)) for it in asked] == [
        (name, each.digest) for name, each in zip(names[:2], BLOBS, strict=False)
    ]


async def test_time_that_is_up_ends_a_tick_and_the_next_one_goes_on(
    stores: Stores,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TICK", timedelta(seconds=2.5))
    seconds = iter(range(10_000))
    monkeypatch.setattr(
        module, "Span", lambda _, length: Span(lambda: float(next(seconds)), length)
    )
    scrub = scrub_of(stores, verification)
    assert (await whole(scrub, clock)).objects == len(names)
    assert reads == names


async def test_a_row_that_fails_holds_up_no_other(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = memory.objects.facts

    async def failing(name: str) -> Any:
        if name == names[3]:
            raise Unavailable("down")
        if name == names[4]:
            raise KeyError("metadata of somebody else")
        return await facts(name)

    monkeypatch.setattr(memory.objects, "facts", failing)
    found = await scrub_of(stores, verification).tick()
    assert found
    assert (found.failed, found.objects) == (2, len(names) - 2)


@pytest.mark.usefixtures("small_pages")
async def test_a_tick_that_died_is_gone_on_from_its_last_page(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    crash: Callable[..., Callable[[], None]],
) -> None:
    live_again = crash(memory, 13)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - the process died
        await scrub_of(stores, verification).tick()
    live_again()
    assert 0 < len(reads) < len(names)
    assert (await stores.scrubs.saved()).round
    clock.move(hours=1)
    found = await scrub_of(stores, verification).tick()
    assert found
    assert found.ended
    rows = [await stores.holdings.content(Digest.parse(each.digest)) for each in BLOBS]
    assert all(row and row.values["verified"] for row in rows)


async def test_a_round_whose_position_storage_refuses_begins_anew(
    stores: Stores,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scrub = scrub_of(stores, verification, 24 * SIZE * 3)
    await scrub.tick()
    saved = await stores.scrubs.saved()
    await stores.scrubs.save(replace(saved, position="of another version"))
    clock.move(hours=1)
    assert await scrub.tick() is None
    (line,) = [line for line in caplog.messages if "anew" in line]
    assert line.startswith("a round of the scrub begins anew at the next tick: there is no way on")
    assert (await whole(scrub, clock)).skipped == 3
    assert reads == names


async def test_of_two_at_a_time_one_stops(
    stores: Stores, verification: Verification, names: list[str], clock: Clock
) -> None:
    first, second = scrub_of(stores, verification, SIZE), scrub_of(stores, verification)
    saved = await stores.scrubs.saved()
    await first.tick()
    assert await stores.scrubs.save(saved) is None
    found = await second.run(lambda _: None)
    assert found
    assert found.ended


async def test_a_whole_round_now_tells_how_far_it_is_and_owes_nothing(
    stores: Stores, verification: Verification, names: list[str], reads: Reads, clock: Clock
) -> None:
    scrub = scrub_of(stores, verification, SIZE)
    await scrub.tick()
    told = list[int]()
    found = await scrub.run(lambda so_far: told.append(so_far.objects + so_far.skipped))
    assert found
    assert told == [*range(1, len(names) + 1)]
    assert found.ended
    assert (await scrub.report()).last == found
    clock.move(days=8)
    assert await scrub.tick()


async def slow(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, clock: Clock, meanwhile: Callable[[], Any]
) -> None:
    """Let an object take four minutes to be looked at, and something happen in that time."""
    facts = memory.objects.facts

    async def four_minutes(name: str) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(memory.objects, "facts", facts)
            clock.move(minutes=4)
            await meanwhile()
        return await facts(name)

    monkeypatch.setattr(memory.objects, "facts", four_minutes)


@pytest.mark.parametrize("a_day", [MUCH, 24 * SIZE], ids=["much", "a blob an hour"])
async def test_an_operators_round_goes_on_beside_the_ticks_which_wait(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    a_day: int,
) -> None:
    scrub, beside = scrub_of(stores, verification, a_day), list[Any]()

    async def tick() -> None:
        beside.append(await scrub_of(stores, verification, a_day).tick())
        beside.append(await scrub_of(stores, verification, a_day).run(lambda _: None))

    await slow(memory, monkeypatch, clock, tick)
    found = await scrub.run(lambda _: None)
    assert found
    assert (found.objects, beside) == (len(names), 2 * len(names) * [None])
    assert reads == names
    clock.move(days=1)
    assert await scrub.tick()


async def test_a_tick_that_is_under_way_gives_way_to_an_operators_round(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    clock: Clock,
    before: Before,
) -> None:
    rounds = list[Round | None]()

    async def run() -> None:
        rounds.append(await scrub_of(stores, verification).run(lambda _: None))

    before(memory.objects, "facts", run, 3)
    assert await scrub_of(stores, verification).tick() is None
    (found,) = rounds
    assert found
    assert found.ended


async def test_an_operators_round_that_died_is_gone_on_with_by_later_ticks(
    stores: Stores,
    memory: Memory,
    verification: Verification,
    names: list[str],
    reads: Reads,
    clock: Clock,
    before: Before,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing() -> None:
        pass

    async def die() -> None:
        raise Crash

    before(memory.objects, "facts", die, 5)
    await slow(memory, monkeypatch, clock, nothing)
    scrub = scrub_of(stores, verification)
    with pytest.raises(Crash):
        await scrub.run(lambda _: None)
    assert await scrub.tick() is None
    clock.move(minutes=16)
    found = await scrub.tick()
    assert found
    assert (found.objects, found.bytes) == (len(names), SIZE * len(names))
    assert reads == names


async def test_repositories_are_walked_in_the_order_of_their_rows(
    stores: Stores,
    verification: Verification,
    pushes: Pushes,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One name begins another: `a`, `a-b`, `a/b` sort by the code that keys are in."""
    monkeypatch.setattr(module, "_PAGE", 3)
    where = [RepositoryName(name) for name in ("a", "a-b", "a/b", "a.b", "b")]
    for repository in where:
        await hold(stores, *BLOBS[:2], repository=repository)
        await pushes.put(repository, image_of(BLOBS[:2]), [LATEST], by=ME)
    clock.move(hours=1)
    found = await whole(scrub_of(stores, verification, 24 * 300), clock)
    assert found.objects == 2 + len(where)
    assert found.missing == len(where)  # nobody has made copies


@pytest.fixture
async def damaged(
    stores: Stores, memory: Memory, verification: Verification, names: list[str]
) -> list[str]:
    """Objects that were found bad, in the order of the report, of which one is healed: the last."""
    for name in names[:4]:
        spoil(memory, name)
    await scrub_of(stores, verification).tick()
    in_order = [one.object for one in await stores.scrubs.damages("", 10)]
    await stores.scrubs.healed(in_order[-1], stores.clock())
    return in_order


async def told(stores: Stores, verification: Verification) -> list[str]:
    return [one.object for one in (await scrub_of(stores, verification).report()).damages]


async def test_what_was_healed_long_ago_is_forgotten_with_the_next_round(
    stores: Stores,
    verification: Verification,
    damaged: list[str],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However much that is not healed stands before it."""
    monkeypatch.setattr(module, "_PAGE", 2)
    clock.now += KEPT - DAY
    await scrub_of(stores, verification).tick()
    assert await told(stores, verification) == damaged
    clock.now += 2 * DAY
    await scrub_of(stores, verification).tick()
    assert await told(stores, verification) == damaged[:-1]


async def test_what_nobody_needs_is_forgotten_when_it_was_told_for_long(
    stores: Stores, verification: Verification, damaged: list[str], clock: Clock
) -> None:
    (unneeded,) = [it for it in await stores.scrubs.damages("", 10) if it.object == damaged[1]]
    held = await stores.holdings.held(unneeded.digest, REPOSITORY)
    await stores.holdings.leave(unneeded.digest, held)
    clock.now += KEPT + DAY
    await scrub_of(stores, verification).tick()
    assert await told(stores, verification) == [damaged[0], damaged[2]]


async def test_a_report_holds_so_much_and_tells_first_what_is_not_healed(
    stores: Stores,
    verification: Verification,
    damaged: list[str],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAGE", 1)
    monkeypatch.setattr(module, "MOST_TOLD", 2)
    await stores.scrubs.healed(damaged[0], clock())
    report = await scrub_of(stores, verification).report()
    assert [one.object for one in report.damages] == damaged[1:3]
    assert report.more == 2


@pytest.mark.parametrize("error", [Unavailable("down"), KeyError("debt")])
async def test_a_registry_that_fails_keeps_no_other_waiting_and_fails_the_tick(
    stores: Stores,
    verification: Verification,
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    broken, sound = scrub_of(stores, verification), scrub_of(stores, verification)

    async def failing() -> None:
        raise error

    monkeypatch.setattr(broken, "tick", failing)
    with pytest.raises(type(error)):
        await tick_all([broken, sound], stores.ticks, 0)
    assert (await sound.report()).last
    seconds = iter([0.0, 10_000.0])
    await tick_all([broken], seconds.__next__, 0)
    await tick_all([], stores.ticks, 7)


async def test_a_registry_that_takes_all_the_time_keeps_others_waiting_for_some_hours(
    stores: Stores, verification: Verification, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = list[int]()
    scrubs = [scrub_of(stores, verification) for _ in range(3)]
    for number, scrub in enumerate(scrubs):

        async def take_all(number: int = number) -> None:
            ticks.append(number)
            clock.now += module.TICK + timedelta(seconds=1)

        monkeypatch.setattr(scrub, "tick", take_all)
    for hour in range(6):
        await tick_all(scrubs, clock.ticks, hour)
    assert ticks == [0, 1, 2, 0, 1, 2]


async def test_a_manifest_that_goes_meanwhile_is_passed_by(
    stores: Stores, memory: Memory, verification: Verification, pushes: Pushes, clock: Clock
) -> None:
    await hold(stores, *BLOBS[:2])
    image = image_of(BLOBS[:2])
    await pushes.put(REPOSITORY, image, [LATEST], by=ME)
    clock.move(hours=1)
    (row,) = [
        row for _, row in (await stores.walks.contents("", 100)).rows if row.key[:8] == "manifest"
    ]
    await Manifests(stores).delete(REPOSITORY, image.digest, by=ME)
    run = module._Run(stores, verification, await stores.scrubs.saved())
    await run._look_at_manifest(REPOSITORY, row)
    assert run._round.objects == 0
