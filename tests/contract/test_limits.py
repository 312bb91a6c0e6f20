"""Limits: what Azure's tables refuse, whatever the rows are. It is always the caller's fault."""

from collections.abc import Sequence

import pytest

from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import (
    KEY_CHARACTERS,
    MOST_CHANGES,
    ROW_BYTES,
    VALUE_BYTES,
    Change,
    Delete,
    Insert,
    Put,
    Rows,
    Update,
    Upsert,
)

# The product sends no transaction as large as these.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body")

FORBIDDEN = ["/", "\\", "#", "?", "\t", "\n", "\x1f", "\x7f", "\x9f"]
FULL = {f"v{place}": b"x" * VALUE_BYTES for place in range(ROW_BYTES // VALUE_BYTES - 1)}


async def is_empty(rows: Rows, table: str) -> bool:
    return not await rows.scan(table, "p", after=" ", before="~", limit=1)


@pytest.mark.parametrize(
    "changes",
    [
        [Insert(f"{number}", {}) for number in range(MOST_CHANGES + 1)],
        [Insert("a", {}), Upsert("k", {}), Upsert("k", {"n": 1})],
        [Insert("a", {}), Insert("k", {}), Delete("k")],
        [Insert("k", {"v": b"x" * (VALUE_BYTES + 1)})],
        [Insert("k", {"v": "x" * (VALUE_BYTES // 2 + 1)})],
        [Insert("a", {}), Insert("k", {"v": b"x" * (VALUE_BYTES + 1)})],
        [Insert(f"{number}", FULL) for number in range(4)],
        [Insert("k" * (KEY_CHARACTERS + 1), {})],
        [Insert("a", {}), Insert("k" * (KEY_CHARACTERS + 1), {})],
    ],
    ids=[
        "101 changes",
        "one row twice",
        "one row made and removed",
        "large bytes",
        "large text",
        "large among others",
        "over 4 MiB on the way",
        "long key",
        "long key among others",
    ],
)
async def test_what_no_store_takes_is_the_callers_fault(
    rows: Rows, name: str, changes: Sequence[Change]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await rows.commit(name, "p", changes)

    assert await is_empty(rows, name)


@pytest.mark.parametrize("character", FORBIDDEN, ids=repr)
async def test_a_key_does_not_take_every_character(rows: Rows, name: str, character: str) -> None:
    key = f"a{character}b"

    for changes in ([Insert(key, {})], [Insert("other", {}), Insert(key, {})]):
        with pytest.raises(ValueError, match=r"."):
            await rows.commit(name, "p", changes)
        with pytest.raises(ValueError, match=r"."):
            await rows.commit(name, key, [Insert("k", {})])

    assert await is_empty(rows, name)


async def test_a_row_is_full_of_values_of_64_kib(rows: Rows, name: str) -> None:
    await rows.commit(name, "p", [Insert("k", FULL)])

    row = await rows.get(name, "p", "k")

    assert row
    assert row.values == FULL


async def test_two_full_rows_are_one_transaction(rows: Rows, name: str) -> None:
    await rows.commit(name, "p", [Insert("a", FULL), Insert("b", FULL)])

    assert len(await rows.scan(name, "p", after=" ", before="~", limit=9)) == 2


class TestMemoryRows:
    """What Azure documents, and its emulator takes all the same (3.37, tried)."""

    @pytest.fixture
    async def memory(self) -> MemoryRows:
        rows = MemoryRows()
        await rows.prepare(["t"])
        return rows

    @pytest.mark.parametrize("change", [Insert, Put, Upsert])
    async def test_a_row_over_1_mib_is_refused(
        self, memory: MemoryRows, change: type[Insert | Put | Upsert]
    ) -> None:
        with pytest.raises(ValueError, match="a row takes 1048576 bytes: k"):
            await memory.commit("t", "p", [change("k", {**FULL, "last": b"x" * VALUE_BYTES})])

        assert await is_empty(memory, "t")

    @pytest.mark.parametrize("change", [Update, Upsert])
    async def test_what_is_there_already_counts(
        self, memory: MemoryRows, change: type[Update | Upsert]
    ) -> None:
        await memory.commit("t", "p", [Insert("k", FULL)])

        with pytest.raises(ValueError, match="a row takes 1048576 bytes: k"):
            await memory.commit("t", "p", [change("k", {"last": b"x" * VALUE_BYTES})])
        await memory.commit("t", "p", [Put("k", {"last": b"x" * VALUE_BYTES})])

    async def test_a_row_has_at_most_252_values(self, memory: MemoryRows) -> None:
        values = {f"v{place}": place for place in range(252)}
        await memory.commit("t", "p", [Insert("k", values)])

        with pytest.raises(ValueError, match="a row takes 252 values: k"):
            await memory.commit("t", "p", [Update("k", {"more": 1})])
