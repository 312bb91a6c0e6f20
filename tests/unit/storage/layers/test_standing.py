import pytest

from shared.errors import Unavailable
from shared.storage import keys
from shared.storage.layers.standing import StandingRows
from shared.storage.ports import Insert
from tests.support.app import Memory


async def test_what_stands_no_more_is_read_and_not_changed(memory: Memory) -> None:
    is_there = True

    async def check() -> None:
        if not is_there:
            raise Unavailable("another by now")

    rows = StandingRows(memory.rows, check)
    await rows.prepare(keys.TABLES)
    await rows.commit(keys.CONTENTS, "a", [Insert("x", {})])
    is_there = False
    with pytest.raises(Unavailable, match="another by now"):
        await rows.commit(keys.CONTENTS, "a", [Insert("y", {})])
    assert await rows.get(keys.CONTENTS, "a", "x")
    assert [row.key for row in await rows.scan(keys.CONTENTS, "a", after="", before="z", limit=9)]
    assert await memory.rows.get(keys.CONTENTS, "a", "y") is None
