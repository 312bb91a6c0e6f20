"""Preparing over all ports: what is missing is made, and what was lost is noticed."""

from collections.abc import Awaitable, Callable

import pytest

from shared.storage import keys
from shared.storage.azure.account.account import AzureAccount
from shared.storage.halt import Halt
from shared.storage.layers.preparing import prepared
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Insert, Messages, Objects, Rows

type Ports = tuple[Rows, Objects, Messages, Objects]
type Lose = Callable[[str], Awaitable[None]]


@pytest.fixture
def ports(
    empty_rows: Rows,
    empty_objects: Objects,
    messages: Messages,
    beside: Objects,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Ports:
    """All ports, with names of this test alone."""
    monkeypatch.setattr(keys, "CONTENTS", f"{name}c")
    monkeypatch.setattr(keys, "BLOBS", f"{name}b")
    monkeypatch.setattr(keys, "TABLES", (f"{name}c", f"{name}b"))
    monkeypatch.setattr(keys, "QUEUES", (name,))
    return prepared(empty_rows, empty_objects, messages, beside)


@pytest.fixture
def lose(place: str | None, empty_rows: Rows) -> Lose:
    """Let a table be lost."""

    async def drop(table: str) -> None:
        if place is None:
            assert isinstance(empty_rows, MemoryRows)
            del empty_rows._tables[table]
            return
        account = AzureAccount(place)
        await account.tables.delete_table(table)
        await account.close()

    return drop


async def test_a_table_that_is_lost_halts_and_a_fresh_store_does_not(
    ports: Ports, lose: Lose
) -> None:
    rows, _, messages, beside = ports
    await rows.commit(keys.BLOBS, "p", [Insert("k", {})])
    assert await messages.peek(keys.QUEUES[0], 1) == []
    assert not await Halt(beside).is_on()

    await lose(keys.BLOBS)
    assert await rows.get(keys.BLOBS, "p", "k") is None

    assert await Halt(beside).is_on()
    assert await Halt(beside).lift()
    assert not await Halt(beside).is_on()
