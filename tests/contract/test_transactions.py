"""Rows: what a change asks, what a transaction keeps, and what it says when it fails."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from shared.storage.ports import (
    MOST_CHANGES,
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    Put,
    Row,
    Rows,
    StorageError,
    Update,
    Upsert,
)

OTHERS: list[Change] = [Insert("1", {"n": 1}), Put("2", {"n": 2}), Upsert("3", {"n": 3})]


async def read(rows: Rows, table: str) -> dict[str, Row]:
    found = await rows.scan(table, "p", after=" ", before="~", limit=500)
    return {row.key: row for row in found}


async def write(rows: Rows, table: str, *changes: Change) -> dict[str, Row]:
    await rows.commit(table, "p", changes)
    return await read(rows, table)


def values(found: dict[str, Row]) -> dict[str, object]:
    return {key: row.values for key, row in found.items()}


def alone(change: Change) -> Sequence[Change]:
    return [change]


def in_company(change: Change) -> Sequence[Change]:
    return [Insert("other", {}), change]


@pytest.mark.parametrize("company", [alone, in_company])
class TestChanges:
    """Each change by itself and in a transaction: two ways to the store, one meaning."""

    @pytest.fixture(autouse=True)
    async def _before(
        self, rows: Rows, name: str, company: Callable[[Change], Sequence[Change]]
    ) -> None:
        self.rows, self.table, self.company = rows, name, company
        self.old = await write(rows, name, Insert("k", {"a": 1, "b": 1}))

    async def write(self, change: Change) -> Row | None:
        await self.rows.commit(self.table, "p", self.company(change))
        return await self.rows.get(self.table, "p", change.key)

    @pytest.mark.parametrize("change", [Insert, Put, Upsert])
    async def test_a_row_is_added(self, change: type[Insert | Put | Upsert]) -> None:
        row = await self.write(change("new", {"b": 2}))

        assert row is not None
        assert row.values == {"b": 2}

    async def test_put_replaces_a_row_whole(self) -> None:
        row = await self.write(Put("k", {"b": 2, "c": 2}))

        assert row is not None
        assert row.values == {"b": 2, "c": 2}

    async def test_upsert_changes_the_values_named(self) -> None:
        row = await self.write(Upsert("k", {"b": 2, "c": 2}))

        assert row is not None
        assert row.values == {"a": 1, "b": 2, "c": 2}

    async def test_update_changes_the_values_named(self) -> None:
        row = await self.write(Update("k", {"b": 2, "c": 2}))

        assert row is not None
        assert row.values == {"a": 1, "b": 2, "c": 2}

    async def test_update_takes_the_etag_that_was_read(self) -> None:
        row = await self.write(Update("k", {"b": 2}, self.old["k"].etag))

        assert row is not None
        assert row.values == {"a": 1, "b": 2}

    async def test_delete_removes_a_row(self) -> None:
        assert await self.write(Delete("k")) is None

    async def test_delete_takes_the_etag_that_was_read(self) -> None:
        assert await self.write(Delete("k", self.old["k"].etag)) is None

    async def test_a_deleted_key_is_free(self) -> None:
        await self.rows.commit(self.table, "p", [Delete("k")])

        row = await self.write(Insert("k", {"c": 3}))

        assert row is not None
        assert row.values == {"c": 3}

    @pytest.mark.parametrize("change", [Put, Upsert, Update])
    async def test_each_write_changes_the_etag(self, change: type[Put | Upsert | Update]) -> None:
        etags = {self.old["k"].etag}
        for count in range(2, 12):
            await self.rows.commit(self.table, "p", [change("k", {"a": 1, "b": 1})])
            row = await self.rows.get(self.table, "p", "k")
            assert row is not None
            etags.add(row.etag)
            assert len(etags) == count


FAILURES: dict[str, tuple[Callable[[str], Change], type[StorageError]]] = {
    "insert taken": (lambda _: Insert("k", {"a": 2}), Conflict),
    "update missing": (lambda _: Update("none", {"a": 2}), NotFound),
    "update missing, etag": (lambda etag: Update("none", {"a": 2}, etag), NotFound),
    "update changed": (lambda etag: Update("k", {"a": 2}, etag), Conflict),
    "delete missing": (lambda _: Delete("none"), NotFound),
    "delete missing, etag": (lambda etag: Delete("none", etag), NotFound),
    "delete changed": (lambda etag: Delete("k", etag), Conflict),
}


class TestTransactions:
    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize(
        ("ahead", "behind"), [(0, 0), (0, 3), (2, 1), (3, 0)], ids=["only", "first", "mid", "last"]
    )
    async def test_one_failure_undoes_all_and_is_pointed_at(
        self, rows: Rows, name: str, failure: str, ahead: int, behind: int
    ) -> None:
        change, error = FAILURES[failure]
        stale = (await write(rows, name, Insert("k", {"a": 0}), Insert("2", {"n": 0})))["k"].etag
        before = await write(rows, name, Update("k", {"a": 1}))
        changes = [*OTHERS[:ahead], change(stale), *OTHERS[3 - behind :]]

        with pytest.raises(error) as raised:
            await rows.commit(name, "p", changes)

        assert type(raised.value) is error
        assert raised.value.index == ahead  # type: ignore[attr-defined]
        assert await read(rows, name) == before

    async def test_every_kind_of_change_is_undone(self, rows: Rows, name: str) -> None:
        before = await write(rows, name, *(Insert(key, {"a": 1, "b": 1}) for key in "dpux"))

        with pytest.raises(NotFound) as raised:
            await rows.commit(
                name,
                "p",
                [
                    Insert("i", {"n": 1}),
                    Put("p", {"b": 2}),
                    Put("q", {"b": 2}),
                    Upsert("u", {"b": 2}),
                    Upsert("v", {"b": 2}),
                    Update("x", {"b": 2}, before["x"].etag),
                    Delete("d", before["d"].etag),
                    Update("none", {}),
                ],
            )

        assert raised.value.index == 7
        assert await read(rows, name) == before

    async def test_the_first_failure_is_the_one_reported(self, rows: Rows, name: str) -> None:
        await write(rows, name, Insert("k", {}))

        with pytest.raises(NotFound) as raised:
            await rows.commit(name, "p", [Upsert("a", {}), Delete("none"), Insert("k", {})])

        assert raised.value.index == 1

    async def test_every_kind_of_change_goes_through_together(self, rows: Rows, name: str) -> None:
        old = await write(rows, name, *(Insert(key, {"a": 1, "b": 1}) for key in "dpux"))

        found = await write(
            rows,
            name,
            Insert("i", {"n": 1}),
            Put("p", {"b": 2}),
            Upsert("u", {"b": 2}),
            Upsert("v", {"b": 2}),
            Update("x", {"b": 2}, old["x"].etag),
            Delete("d", old["d"].etag),
        )

        assert values(found) == {
            "i": {"n": 1},
            "p": {"b": 2},
            "u": {"a": 1, "b": 2},
            "v": {"b": 2},
            "x": {"a": 1, "b": 2},
        }

    async def test_a_hundred_changes_are_one_transaction(self, rows: Rows, name: str) -> None:
        keys = [f"{number:03}" for number in range(MOST_CHANGES)]

        assert list(await write(rows, name, *(Insert(key, {}) for key in keys))) == keys

    async def test_a_hundred_changes_are_undone_by_the_last(self, rows: Rows, name: str) -> None:
        changes = [Insert(f"{number:03}", {}) for number in range(MOST_CHANGES - 1)]

        with pytest.raises(NotFound) as raised:
            await rows.commit(name, "p", [*changes, Delete("none")])

        assert raised.value.index == MOST_CHANGES - 1
        assert await read(rows, name) == {}

    async def test_no_changes_are_no_call(self, empty_rows: Rows, name: str) -> None:
        await empty_rows.commit(name, "p", [])


class TestRaces:
    """What is asked for at once happens one after the other."""

    async def race(self, rows: Rows, table: str, runs: Sequence[Sequence[Change]]) -> list[int]:
        """Commit all at once; tell which went through. All others must be Conflict."""
        answers = await asyncio.gather(
            *(rows.commit(table, "p", changes) for changes in runs), return_exceptions=True
        )
        lost = [answer for answer in answers if answer is not None]
        assert all(type(answer) is Conflict for answer in lost), lost
        return [index for index, answer in enumerate(answers) if answer is None]

    async def test_one_of_many_inserts_wins(self, rows: Rows, name: str) -> None:
        [won] = await self.race(rows, name, [[Insert("k", {"n": n})] for n in range(16)])

        assert values(await read(rows, name)) == {"k": {"n": won}}

    async def test_one_of_many_updates_of_an_etag_wins(self, rows: Rows, name: str) -> None:
        etag = (await write(rows, name, Insert("k", {"n": -1})))["k"].etag

        [won] = await self.race(rows, name, [[Update("k", {"n": n}, etag)] for n in range(16)])

        assert values(await read(rows, name)) == {"k": {"n": won}}

    async def test_losers_of_a_transaction_leave_nothing(self, rows: Rows, name: str) -> None:
        etag = (await write(rows, name, Insert("k", {"n": -1})))["k"].etag

        [won] = await self.race(
            rows,
            name,
            [
                [Insert(f"own {n}", {}), Update("k", {"n": n}, etag), Put("last", {"n": n})]
                for n in range(8)
            ],
        )

        assert values(await read(rows, name)) == {
            "k": {"n": won},
            f"own {won}": {},
            "last": {"n": won},
        }

    async def test_a_deletion_and_an_update_of_an_etag_exclude_each_other(
        self, rows: Rows, name: str
    ) -> None:
        for _ in range(5):
            etag = (await write(rows, name, Put("k", {"n": 0})))["k"].etag
            answers = await asyncio.gather(
                rows.commit(name, "p", [Delete("k", etag)]),
                rows.commit(name, "p", [Update("k", {"n": 1}, etag)]),
                return_exceptions=True,
            )
            assert answers.count(None) == 1
            assert ("k" in await read(rows, name)) == (answers[1] is None)
