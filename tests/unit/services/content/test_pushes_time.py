"""Pushes that take long, or meet a clock that is set."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import Unavailable
from shared.model.names import Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.turns.tag_turns import TagTurns
from shared.storage import ages, keys
from shared.storage.ports import Change, Conflict, Insert
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import LATEST, REPOSITORY, hold, image_of, parts

TWO = parts(2)
IMAGE = image_of(TWO)


async def test_a_slow_first_push_is_listed_again_before_it_begins_the_repository(
    stores: Stores, pushes: Pushes, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who retires it believes in no push behind a name that is 2 L old."""
    contents = parts(120)
    await hold(stores, *contents)
    send, commit, ages_then = memory.messages.send, memory.rows.commit, list[timedelta]()

    async def slow(*arguments: object) -> None:
        slowly = len(memory.messages.sent) == 2
        clock.move(seconds=60 * slowly)
        await send(*arguments)  # type: ignore[arg-type]

    async def watched(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        if any(isinstance(it, Insert) and it.key == keys.WRITABLE for it in changes):
            row = await stores.index.row(REPOSITORY)
            assert row
            ages_then.append(row.age)
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.messages, "send", slow)
    monkeypatch.setattr(memory.rows, "commit", watched)
    await pushes.put(REPOSITORY, image_of(contents), [LATEST], by=ME)
    assert ages_then == [timedelta(0)]


async def test_a_first_push_gives_up_where_its_name_takes_too_long_to_list(
    stores: Stores, pushes: Pushes, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(stores, *TWO)
    commit = memory.rows.commit

    async def slow(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        clock.move(seconds=60 * (table == keys.REPOSITORIES))
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", slow)
    with pytest.raises(Unavailable, match="repeat the push"):
        await pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME)
    assert memory.keys("writable") == []


@pytest.mark.parametrize("hours", [-1, 1])
async def test_what_takes_long_is_not_told_by_a_clock_that_can_be_set(
    stores: Stores, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    await hold(stores, *TWO)
    steady = replace(stores, ticks=lambda: 0.0)
    pushes, manifests = Pushes(steady, is_sparse_allowed=False), Manifests(steady)
    commit, left = memory.rows.commit, 0

    async def conflicts(table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        nonlocal left
        left -= 1
        if left >= 0:
            clock.move(hours=hours)
            raise Conflict("a row", len(changes) - 1)
        return await commit(table, partition, changes)

    monkeypatch.setattr(memory.rows, "commit", conflicts)
    for change in (
        lambda: pushes.put(REPOSITORY, IMAGE, [LATEST], by=ME),
        lambda: manifests.untag(REPOSITORY, LATEST, by=ME),
        lambda: manifests.delete(REPOSITORY, IMAGE.digest, by=ME),
    ):
        sent, left = len(memory.messages.sent), 2
        await change()
        assert len(memory.messages.sent) == sent + 1
    assert memory.keys("manifest|") == []


class TestTurns:
    """Turns at tags."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ages, "L", timedelta(seconds=0.1))

    async def test_who_waits_too_long_is_sent_away_and_has_told_nobody(
        self, stores: Stores, pushes: Pushes, memory: Memory
    ) -> None:
        await hold(stores, *TWO)
        async with pushes._turns.at(REPOSITORY, ["v1"]):
            with pytest.raises(Unavailable, match="too many push to the same tag") as caught:
                await pushes.put(REPOSITORY, IMAGE, [Tag("v0"), Tag("v1")], by=ME)
            assert caught.value.headers["Retry-After"] == "5"
        assert memory.messages.sent == []
        await pushes.put(REPOSITORY, IMAGE, [Tag("v0"), Tag("v1")], by=ME)

    async def test_who_goes_away_leaves_the_line_to_the_next(self) -> None:
        turns, came = TagTurns(), list[str]()

        async def come(name: str, *tags: str) -> None:
            async with turns.at("a", tags):
                came.append(name)

        async with turns.at("a", ["v1"]):
            tasks = [
                asyncio.create_task(come(name, *tags))
                for name, *tags in (("one", "v0", "v1"), ("two", "v1"), ("three", "v0"))
            ]
            await asyncio.sleep(0.01)
            tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(came) == ["three", "two"]
        tasks.clear()
        await asyncio.sleep(0)
        gc.collect()
        assert not turns._lines
