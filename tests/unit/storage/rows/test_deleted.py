from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Put, Row, Value
from shared.storage.rows import deleted as module
from shared.storage.rows.records import body_values
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock

REPOSITORY = RepositoryName("a")
AT = datetime(2024, 1, 1, tzinfo=UTC)
ONE, TWO, THREE = (Digest.of(content) for content in (b"1", b"2", b"3"))
OVER: dict[str, Value] = {
    "media_type": "a/b",
    "size": 7,
    "seen": AT,
    "pushed": AT,
    "deleted_by": "me",
    "with_repository": "",
}


async def test_the_life_that_ends_last_is_found_without_the_bodies(
    stores: Stores, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {"a": 2, "b": 3, "c": 3, "d": 1}
    changes = [
        Put(keys.deleted(ONE, life), {"until": AT + timedelta(days=days), **body_values(b"body")})
        for life, days in ends.items()
    ]
    await stores.contents.commit(REPOSITORY, [*changes, Put(keys.deleted(TWO, "z"), {"until": AT})])
    monkeypatch.setattr(module, "_PAGE", 3)
    scan = memory.rows.scan
    read: list[str] = []

    async def seen(*arguments: Any, **options: Any) -> list[Row]:
        rows = await scan(*arguments, **options)
        read.extend(name for row in rows for name in row.values)
        return rows

    monkeypatch.setattr(memory.rows, "scan", seen)
    assert await stores.deleted.last(REPOSITORY, ONE) == "c"
    assert await stores.deleted.last(REPOSITORY, THREE) == ""
    assert set(read) == {"until"}


async def test_a_life_that_is_outlasted_is_so_by_one_deleted_before_it(
    stores: Stores, clock: Clock
) -> None:
    written = {}
    for life, days in (("long", 9), ("short", 2), ("longest", 10)):
        moment: dict[str, Value] = {"until": AT + timedelta(days=days), "deleted_at": AT}
        row = Put(keys.deleted(ONE, life), {**OVER, **moment, "life": life})
        await stores.contents.commit(REPOSITORY, [row])
        found = await stores.deleted.find(REPOSITORY, ONE, life)
        assert found
        written[life] = found.written
        clock.move(seconds=1)
        if life == "short":
            longer = await stores.deleted.outlasting(REPOSITORY, ONE, written["short"])
            assert longer
            assert longer.manifest.life == "long"
            assert await stores.deleted.outlasting(REPOSITORY, ONE, written["long"]) is None
    assert await stores.deleted.outlasting(REPOSITORY, ONE, written["short"]) is None
