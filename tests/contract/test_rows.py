"""Rows: what is read, in which order, and as which type."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.tables import AzureRows
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import (
    VALUE_BYTES,
    Delete,
    Insert,
    NotPrepared,
    Put,
    Row,
    Rows,
    Update,
    Upsert,
    Value,
)
from tests.support.clock import Clock

FIRST, LAST = "\x20", "\x7e"

NOON = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)

VALUES: list[Value] = [
    "",
    "plain",
    'it\'s "quoted" & <tagged>, 100%',
    "Grüße, 世界, \N{GRINNING FACE}",
    "line\r\nline\ttab",
    "x" * (VALUE_BYTES // 2),
    b"",
    bytes(range(256)),
    b"\xff" * VALUE_BYTES,
    0,
    -1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    True,
    False,
    NOON,
    NOON + timedelta(microseconds=1),
    NOON + timedelta(microseconds=999_999),
    NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
]

KEYS = [
    "manifest|sha256:" + "a" * 64,
    "tag|v1.2.3-rc.1+build_7",
    "referrer|sha256:0|sha256:1",
    "repo|library-my!app$x",
    "outbox|20240229T120000000001-0",
    "UPPER",
    "a@b",
    "it's",
    "a b",
    "a,b;c&d=e~f*g[h]{i}^`<>",
]

DISORDER = [
    "b",
    "a",
    "B",
    "A",
    "a!",
    "a$",
    "a-",
    "a.",
    "a0",
    "aA",
    "aa",
    "a|",
    "a_",
    "a:",
    "Z",
    "z",
]


class Label(str):
    """A text with a type of its own."""

    __slots__ = ()


async def keys(rows: Rows, table: str, after: str = FIRST, before: str = LAST) -> list[str]:
    found = await rows.scan(table, "p", after=after, before=before, limit=100)
    return [row.key for row in found]


async def fill(rows: Rows, table: str, names: Sequence[str]) -> None:
    for at in range(0, len(names), 100):
        await rows.commit(table, "p", [Insert(key, {"n": 1}) for key in names[at : at + 100]])


class TestRows:
    async def test_a_missing_row_is_none(self, rows: Rows, name: str) -> None:
        assert await rows.get(name, "p", "k") is None

    async def test_a_row_is_read_whole(self, rows: Rows, name: str) -> None:
        await rows.commit(name, "p", [Insert("k", {"one": 1, "two": "2"})])

        row = await rows.get(name, "p", "k")

        assert row is not None
        assert row.key == "k"
        assert row.values == {"one": 1, "two": "2"}
        assert row.etag

    async def test_a_row_that_was_just_written_is_young(self, rows: Rows, name: str) -> None:
        await rows.commit(name, "p", [Insert("k", {"n": 1}), Insert("l", {"n": 1})])

        one = await rows.get(name, "p", "k", only=["n"])
        found = await rows.scan(name, "p", after="j", before="m", limit=9)

        assert one
        for row in (one, *found):
            assert timedelta() <= row.age < timedelta(seconds=30)

    @pytest.mark.parametrize("change", [Put, Upsert, Update])
    async def test_a_row_is_as_old_as_its_last_change(
        self, rows: Rows, name: str, change: type[Put | Upsert | Update], clock: Clock
    ) -> None:
        await rows.commit(name, "p", [Insert("k", {"n": 1}), Insert("old", {})])
        await self.wait(rows, clock)
        await rows.commit(name, "p", [change("k", {"n": 2})])

        new, old = await rows.scan(name, "p", after="j", before="p", limit=9)

        assert old.age - new.age >= timedelta(seconds=1)

    async def test_of_two_rows_it_is_told_which_was_written_first(
        self, rows: Rows, name: str, clock: Clock
    ) -> None:
        await rows.commit(name, "p", [Insert("k", {}), Insert("l", {})])
        clock.move(seconds=0.1)
        await asyncio.sleep(0.02)
        await rows.commit(name, "p", [Update("k", {"n": 1})])

        one, other = await rows.get(name, "p", "k"), await rows.get(name, "p", "l")
        found = await rows.scan(name, "p", after="j", before="m", limit=9)

        assert one
        assert other
        assert one.written > other.written
        assert [row.written for row in found] == [one.written, other.written]

    async def wait(self, rows: Rows, clock: Clock) -> None:
        clock.move(seconds=2.1)
        if not isinstance(rows, MemoryRows):
            await asyncio.sleep(2.1)

    async def test_a_scan_and_a_get_agree(self, rows: Rows, name: str) -> None:
        await rows.commit(name, "p", [Insert("k", {"one": 1, "two": "2"})])

        [row] = await rows.scan(name, "p", after="j", before="l", limit=1)

        assert row == await rows.get(name, "p", "k")

    @pytest.mark.parametrize("only", [[], ["one"], ["one", "none"], ["two", "one"]], ids=str)
    async def test_only_the_values_named_are_read(
        self, rows: Rows, name: str, only: list[str]
    ) -> None:
        await rows.commit(name, "p", [Insert("k", {"one": 1, "two": "2"})])
        whole = await rows.get(name, "p", "k")
        assert whole is not None
        part = Row("k", {key: whole.values[key] for key in only if key != "none"}, whole.etag)

        assert await rows.get(name, "p", "k", only=only) == part
        assert await rows.scan(name, "p", after="j", before="l", limit=1, only=only) == [part]

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
    async def test_a_value_comes_back_as_it_was(self, rows: Rows, name: str, value: Value) -> None:
        for change in (
            Insert("i", {"v": value}),
            Put("p", {"v": value}),
            Upsert("u", {"v": value}),
        ):
            await rows.commit(name, "p", [change])
        await rows.commit(name, "p", [Insert("t1", {"v": value}), Put("t2", {"v": value})])

        found = await rows.scan(name, "p", after=FIRST, before=LAST, limit=9)

        assert [row.values["v"] for row in found] == [value] * 5
        assert {type(row.values["v"]) for row in found} == {type(value)}
        assert await rows.get(name, "p", "i") == found[0]

    async def test_a_time_comes_back_in_utc(self, rows: Rows, name: str) -> None:
        there = datetime(2024, 2, 29, 23, 30, tzinfo=timezone(-timedelta(hours=3)))
        await rows.commit(name, "p", [Insert("k", {"at": there})])

        row = await rows.get(name, "p", "k")

        assert row is not None
        assert str(row.values["at"]) == "2024-03-01 02:30:00+00:00"

    async def test_a_text_of_another_class_comes_back_plain(self, rows: Rows, name: str) -> None:
        await rows.commit(name, "p", [Insert("k", {"v": Label("x")})])

        row = await rows.get(name, "p", "k")

        assert row is not None
        assert type(row.values["v"]) is str

    @pytest.mark.parametrize("key", KEYS)
    async def test_a_key_takes_the_characters_we_use(self, rows: Rows, name: str, key: str) -> None:
        for change in (Insert(key, {"n": 1}), Upsert(key, {"n": 2}), Update(key, {"n": 3})):
            await rows.commit(name, key, [change])
            await rows.commit(name, key, [Put("other", {}), Upsert(key, {"m": change.values["n"]})])

        row = await rows.get(name, key, key)
        assert row is not None
        assert (row.key, row.values) == (key, {"n": 3, "m": 3})
        assert await rows.scan(name, key, after=key[:-1], before=key + "!", limit=9) == [row]

        await rows.commit(name, key, [Delete(key, row.etag)])
        assert await rows.get(name, key, key) is None

    async def test_keys_sort_by_code_point(self, rows: Rows, name: str) -> None:
        await fill(rows, name, DISORDER)

        assert await keys(rows, name) == sorted(DISORDER)

    async def test_a_range_leaves_out_its_ends(self, rows: Rows, name: str) -> None:
        await fill(rows, name, DISORDER)

        assert await keys(rows, name, "a", "aa") == ["a!", "a$", "a-", "a.", "a0", "a:", "aA", "a_"]

    async def test_an_empty_range_is_empty(self, rows: Rows, name: str) -> None:
        await fill(rows, name, DISORDER)

        assert await keys(rows, name, "c", "d") == []
        assert await keys(rows, name, "b", "a") == []

    async def test_partitions_and_tables_are_apart(self, rows: Rows, name: str) -> None:
        await rows.prepare([name + "x"])
        await rows.commit(name, "p", [Insert("k", {"in": "p"})])
        await rows.commit(name, "P", [Insert("k", {"in": "P"})])
        await rows.commit(name + "x", "p", [Insert("k", {"in": "x"})])

        [row] = await rows.scan(name, "p", after="j", before="l", limit=9)

        assert row.values == {"in": "p"}
        assert await rows.get(name, "q", "k") is None

    @pytest.mark.parametrize("limit", [1, 3, 4, 5])
    async def test_a_scan_stops_at_its_limit(self, rows: Rows, name: str, limit: int) -> None:
        await fill(rows, name, ["a", "b", "c", "d"])

        found = await rows.scan(name, "p", after=FIRST, before=LAST, limit=limit)

        assert [row.key for row in found] == ["a", "b", "c", "d"][:limit]

    @pytest.mark.parametrize("limit", [1000, 1500, 5000])
    async def test_a_scan_reads_over_pages(self, rows: Rows, name: str, limit: int) -> None:
        names = [f"{number:05}" for number in range(1600)]
        await fill(rows, name, names)

        found = await rows.scan(name, "p", after=FIRST, before=LAST, limit=limit, only=[])

        assert [row.key for row in found] == names[:limit]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({"kind": "one"}, ["a", "c"]),
            ({"kind": "One"}, []),
            ({"kind": "one", "of": "x"}, ["c"]),
            ({"kind": "it's"}, ["b"]),
            ({"kind": "x' or RowKey gt ' "}, []),
            ({"other": "one"}, []),
            ({}, ["a", "b", "c"]),
        ],
        ids=str,
    )
    async def test_where_keeps_rows_with_these_very_values(
        self, rows: Rows, name: str, where: dict[str, str], expected: list[str]
    ) -> None:
        texts = {"a": {"kind": "one"}, "b": {"kind": "it's"}, "c": {"kind": "one", "of": "x"}}
        for key, values in texts.items():
            await rows.commit(name, "p", [Insert(key, {**values, "n": 1})])

        found = await rows.scan(
            name, "p", after=FIRST, before=LAST, limit=9, where=where, only=["n"]
        )

        assert [row.key for row in found] == expected
        assert all(row.values == {"n": 1} for row in found)

    async def test_where_counts_what_it_keeps(self, rows: Rows, name: str) -> None:
        kinds = {f"{number:03}": {"odd": str(number % 2)} for number in range(100)}
        await rows.commit(name, "p", [Insert(key, values) for key, values in kinds.items()])

        found = await rows.scan(name, "p", after=FIRST, before=LAST, limit=3, where={"odd": "1"})

        assert [row.key for row in found] == ["001", "003", "005"]

    async def test_making_a_table_twice_keeps_it(self, rows: Rows, name: str) -> None:
        await rows.commit(name, "p", [Insert("k", {})])

        await rows.prepare([name, name + "x"])

        assert await rows.get(name, "p", "k") is not None
        assert await rows.get(name + "x", "p", "k") is None

    async def test_a_missing_table_is_said_so(self, empty_rows: Rows, name: str) -> None:
        with pytest.raises(NotPrepared):
            await empty_rows.get(name, "p", "k")
        with pytest.raises(NotPrepared):
            await empty_rows.scan(name, "p", after="a", before="b", limit=1)
        for change in (
            Insert("k", {}),
            Put("k", {}),
            Upsert("k", {}),
            Update("k", {}),
            Delete("k"),
        ):
            with pytest.raises(NotPrepared):
                await empty_rows.commit(name, "p", [change])
            with pytest.raises(NotPrepared):
                await empty_rows.commit(name, "p", [Insert("other", {}), change])


@pytest.mark.emulator
class TestCalls:
    """What Azure's adapter costs, in calls."""

    async def test_a_read_is_one_call_whatever_it_finds(
        self, account: AzureAccount, name: str, calls: list[str]
    ) -> None:
        rows = AzureRows(account)
        await rows.prepare([name])
        for key in KEYS:
            await rows.commit(name, key, [Insert(key, {"n": 1})])
        calls.clear()

        found = [await rows.get(name, key, key) for key in KEYS]
        found += [await rows.get(name, key, "none", only=["n"]) for key in KEYS]

        assert [row is not None for row in found] == [True] * len(KEYS) + [False] * len(KEYS)
        assert len(calls) == 2 * len(KEYS)

    async def test_a_thousand_rows_are_one_call(
        self, account: AzureAccount, name: str, calls: list[str]
    ) -> None:
        rows = AzureRows(account)
        await rows.prepare([name])
        await fill(rows, name, [f"{number:04}" for number in range(1000)])
        calls.clear()

        found = await rows.scan(name, "p", after=FIRST, before=LAST, limit=1000)

        assert len(found) == 1000
        assert len(calls) == 1

    async def test_a_transaction_is_one_call(
        self, account: AzureAccount, name: str, calls: list[str]
    ) -> None:
        rows = AzureRows(account)
        await rows.prepare([name])
        calls.clear()

        await rows.commit(name, "p", [Insert("a", {}), Put("b", {}), Upsert("c", {})])
        await rows.commit(name, "p", [Update("a", {})])
        await rows.get(name, "p", "a")

        assert len(calls) == 3
