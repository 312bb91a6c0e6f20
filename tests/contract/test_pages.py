"""Pages: rows of several partitions, in order, from a position that may be kept."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import ClientResponse, ClientSession
from multidict import CIMultiDict, CIMultiDictProxy

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.tables import AzureRows
from shared.storage.ports import (
    KEY_CHARACTERS,
    POSITION_CHARACTERS,
    Delete,
    Insert,
    NotPrepared,
    Rows,
    RowsPage,
)

OURS = ["g|a", "g|a!b", "g|a$", "g|a-b", "g|b", "g|sha256:0"]
THEIRS = ["deleted|g", "f|a", "g", "h|a", "{"]
KEYS = ["blob|1", "edge|1", "it's", "repository"]
RANGE = {"first": "g|", "before": "g|}"}

type Place = tuple[str, str]


async def fill(rows: Rows, table: str, partitions: Sequence[str], names: Sequence[str]) -> None:
    for partition in partitions:
        for at in range(0, len(names), 100):
            await rows.commit(
                table, partition, [Insert(it, {"n": 1}) for it in names[at : at + 100]]
            )


async def walk(rows: Rows, table: str, limit: int, position: str = "") -> list[Place]:
    """Read page after page, each on from what the last one gave."""
    found: list[Place] = []
    while True:
        page = await rows.page(table, **RANGE, position=position, limit=limit)
        assert len(page.rows) <= limit
        found += [(partition, row.key) for partition, row in page.rows]
        position = page.position
        if not position:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 23, 24, 25, 100])
async def test_all_rows_of_the_range_come_in_order(rows: Rows, name: str, limit: int) -> None:
    await fill(rows, name, [*THEIRS, *OURS], KEYS)

    found = await walk(rows, name, limit)

    assert found == [(partition, key) for partition in OURS for key in KEYS]


async def test_one_partition_is_a_range_too(rows: Rows, name: str) -> None:
    await fill(rows, name, [*THEIRS, *OURS], KEYS)

    page = await rows.page(name, first="g", before="g!", position="", limit=9)

    assert [(partition, row.key) for partition, row in page.rows] == [("g", key) for key in KEYS]
    assert page.position == ""


async def test_an_empty_range_is_a_page_and_the_end(rows: Rows, name: str) -> None:
    await fill(rows, name, THEIRS, KEYS)

    assert await rows.page(name, **RANGE, position="", limit=9) == RowsPage([], "")


async def test_a_range_of_more_than_one_answer_is_read_whole(rows: Rows, name: str) -> None:
    names = [f"{number:04}" for number in range(800)]
    await fill(rows, name, OURS[:2], names)

    found = await walk(rows, name, 5_000)

    assert found == [(partition, key) for partition in OURS[:2] for key in names]


@pytest.mark.parametrize("only", [None, [], ["n"], ["n", "none"]], ids=str)
async def test_a_row_is_as_it_is_read_by_itself(
    rows: Rows, name: str, only: list[str] | None
) -> None:
    await rows.commit(name, "g|a", [Insert("k", {"n": 1, "m": "two"})])

    page = await rows.page(name, **RANGE, position="", limit=9, only=only)

    assert page.rows == [("g|a", await rows.get(name, "g|a", "k", only=only))]
    [(_, row)] = page.rows
    await rows.commit(name, "g|a", [Delete("k", row.etag)])


async def test_a_position_is_kept_while_rows_come_and_go(rows: Rows, name: str) -> None:
    await fill(rows, name, ["g|b", "g|d"], ["k", "l"])
    page = await rows.page(name, **RANGE, position="", limit=3)
    assert [partition for partition, _ in page.rows] == ["g|b", "g|b", "g|d"]

    await rows.commit(name, "g|d", [Delete("k"), Delete("l")])
    await fill(rows, name, ["g|a", "g|c", "g|e"], ["k"])

    assert await walk(rows, name, 3, page.position) == [("g|e", "k")]


async def test_positions_stay_short(rows: Rows, name: str) -> None:
    partitions = ["g|" + "x" * (KEY_CHARACTERS - 3) + end for end in "ab"]
    await fill(rows, name, partitions, ["y" * (KEY_CHARACTERS - 1) + end for end in "ab"])

    for limit in (1, 2, 3):
        page = await rows.page(name, **RANGE, position="", limit=limit)
        assert 0 < len(page.position) <= POSITION_CHARACTERS
        assert len(await walk(rows, name, limit, page.position)) == 4 - limit


async def test_a_missing_table_is_said_so(empty_rows: Rows, name: str) -> None:
    with pytest.raises(NotPrepared):
        await empty_rows.page(name, **RANGE, position="", limit=9)


@pytest.mark.emulator
class TestAnswers:
    """What Azure may answer, and the emulator does not."""

    async def test_a_page_is_one_call(
        self, account: AzureAccount, name: str, calls: list[str]
    ) -> None:
        rows = AzureRows(account)
        await rows.prepare([name])
        await fill(rows, name, OURS, KEYS)
        calls.clear()

        page = await rows.page(name, **RANGE, position="", limit=5)
        await rows.page(name, **RANGE, position=page.position, limit=5)

        assert len(calls) == 2

    @pytest.mark.parametrize("key", [None, "1!8!a2V5"], ids=["a partition", "a row"])
    async def test_an_empty_answer_may_go_on(
        self, account: AzureAccount, name: str, monkeypatch: pytest.MonkeyPatch, key: str | None
    ) -> None:
        rows = AzureRows(account)
        await rows.prepare([name])
        asked = _answering(monkeypatch, key)

        page = await rows.page(name, **RANGE, position="", limit=5)
        assert page.rows == []
        assert page.position
        await rows.page(name, **RANGE, position=page.position, limit=5)

        assert "NextPartitionKey=1!12!Z3xh" in asked[-1]
        assert ("NextRowKey=1!8!a2V5" in asked[-1]) is bool(key)


def _answering(monkeypatch: pytest.MonkeyPatch, key: str | None) -> list[str]:
    """Let each answer say that there is more; give what was asked."""
    asked: list[str] = []
    send = ClientSession._request

    async def answered(
        session: ClientSession, method: str, address: Any, **options: Any
    ) -> ClientResponse:
        asked.append(unquote(str(address)))
        answer = await send(session, method, address, **options)
        more = {"x-ms-continuation-NextPartitionKey": "1!12!Z3xh"}
        if key:
            more["x-ms-continuation-NextRowKey"] = key
        answer._headers = CIMultiDictProxy(CIMultiDict({**answer.headers, **more}))
        answer._cache.pop("headers")  # it was read
        return answer

    monkeypatch.setattr(ClientSession, "_request", answered)
    return asked
