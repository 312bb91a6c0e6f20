"""Shared reads: fewer calls, and no answer older than what was acknowledged before the question."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.storage.layers import sharing
from shared.storage.layers.sharing import SharedRows
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Put, Row, Unavailable

TABLE, PARTITION, KEY = "contents", "p", "tag|latest"


class SlowRows(MemoryRows):
    """Takes what is there when the call starts, and answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.gates: list[asyncio.Event] = []
        self.fails = False

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        self.calls += 1
        row = await super().get(table, partition, key, only)
        gate = asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        if self.fails:
            raise Unavailable("the store is busy")
        return row


@pytest.fixture
async def slow() -> SlowRows:
    rows = SlowRows()
    await rows.prepare([TABLE])
    return rows


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def write(rows: SharedRows, value: int) -> None:
    await rows.commit(TABLE, PARTITION, [Put(KEY, {"value": value})])


def ask(rows: SharedRows) -> asyncio.Task[Row | None]:
    return asyncio.create_task(rows.get(TABLE, PARTITION, KEY))


async def value(read: asyncio.Task[Row | None]) -> object:
    row = await read
    return row and row.values["value"]


async def test_a_thousand_readers_share_two_calls(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    reads = [ask(rows) for _ in range(1_000)]
    await settle()

    for gate in (0, 1):
        slow.gates[gate].set()
        await settle()

    assert [await value(read) for read in reads] == [1] * 1_000
    assert slow.calls == 2


async def test_a_read_after_an_acknowledged_write_sees_it(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    before = ask(rows)
    await settle()

    await write(rows, 2)
    after = ask(rows)
    await settle()
    slow.gates[0].set()
    await settle()
    slow.gates[1].set()

    assert await value(before) == 1
    assert await value(after) == 2


async def test_a_question_that_comes_when_a_read_has_started_waits_for_the_next(
    slow: SlowRows,
) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    first, second = ask(rows), ask(rows)
    await settle()
    slow.gates[0].set()
    await settle()
    assert slow.calls == 2

    await write(rows, 2)
    third = ask(rows)
    await settle()
    slow.gates[1].set()
    await settle()
    slow.gates[2].set()

    assert [await value(read) for read in (first, second, third)] == [1, 1, 2]


async def test_a_reader_that_goes_away_takes_nobody_along(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    first, second, third = ask(rows), ask(rows), ask(rows)
    await settle()

    first.cancel()
    second.cancel()
    slow.gates[0].set()
    await settle()
    slow.gates[1].set()

    assert await value(third) == 1


async def test_a_failed_read_fails_those_who_shared_it_and_not_the_next(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    slow.fails = True
    first = ask(rows)
    await settle()
    slow.gates[0].set()
    with pytest.raises(Unavailable):
        await first

    slow.fails = False
    again = ask(rows)
    await settle()
    slow.gates[1].set()

    assert await value(again) == 1


async def test_other_rows_and_other_values_are_other_reads(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    reads = [
        ask(rows),
        asyncio.create_task(rows.get(TABLE, PARTITION, KEY, ("value",))),
        asyncio.create_task(rows.get(TABLE, PARTITION, "tag|other")),
    ]
    await settle()

    assert slow.calls == 3
    for gate in slow.gates:
        gate.set()
    assert [await value(read) for read in reads] == [1, 1, None]


async def test_nothing_is_kept_once_all_are_answered(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    reads = [ask(rows), ask(rows)]
    await settle()
    for gate in (0, 1):
        slow.gates[gate].set()
        await settle()
    await asyncio.gather(*reads)

    assert rows._lines == {}


async def test_a_read_that_is_cut_off_leaves_the_line_to_the_next(slow: SlowRows) -> None:
    rows = SharedRows(slow)
    await write(rows, 1)
    first = ask(rows)
    await settle()
    (line,) = rows._lines.values()
    line.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await settle()
    assert rows._lines == {}
    second = ask(rows)
    await settle()
    slow.gates[-1].set()
    assert await value(second) == 1


async def test_a_read_that_hangs_holds_up_those_behind_it_for_a_while_alone(
    slow: SlowRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "WAITING_SECONDS", 0.01)
    rows = SharedRows(slow)
    first = ask(rows)
    await settle()
    await write(rows, 1)
    second, third = ask(rows), ask(rows)
    await asyncio.sleep(0.05)
    assert slow.calls == 2
    await write(rows, 2)
    fourth = ask(rows)
    slow.gates[1].set()
    assert [await value(each) for each in (second, third)] == [1, 1]
    await settle()
    assert slow.calls == 3
    slow.gates[0].set()
    assert await value(first) is None
    fifth = ask(rows)
    await settle()
    assert slow.calls == 3
    slow.gates[2].set()
    assert await value(fourth) == 2
    await settle()
    slow.gates[3].set()
    assert await value(fifth) == 2
    assert not rows._lines
