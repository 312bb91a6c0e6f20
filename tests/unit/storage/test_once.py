import asyncio

import pytest

from shared.storage.once import Once


class Work:
    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return self.begun


async def test_what_many_ask_for_at_once_is_done_once() -> None:
    work, once = Work(), Once[str, int]()
    asked = [asyncio.create_task(once.do("a", work)) for _ in range(200)]
    await asyncio.sleep(0)
    assert (len(once), "a" in once, "b" in once) == (1, True, False)
    work.gate.set()
    assert await asyncio.gather(*asked) == [1] * 200
    assert len(once) == 0
    assert await once.do("a", work) == 2


async def test_each_key_is_work_of_its_own() -> None:
    work, once = Work(), Once[str, int]()
    work.gate.set()
    await asyncio.gather(*(once.do(key, work) for key in "abab"))
    assert work.begun == 2


async def test_a_failure_is_everyones_and_ends_with_them() -> None:
    work, once = Work(), Once[str, int]()
    work.fault = ValueError("x")
    asked = [asyncio.create_task(once.do("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.gate.set()
    for one in asked:
        with pytest.raises(ValueError, match="x"):
            await one
    work.fault = None
    assert await once.do("a", work) == 2


async def test_the_work_outlives_those_who_leave() -> None:
    work, once = Work(), Once[str, int]()
    first = asyncio.create_task(once.do("a", work))
    await asyncio.sleep(0)
    second = asyncio.create_task(once.do("a", work))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await second == 1
    assert first.cancelled()


async def test_nobody_need_hear_a_failure() -> None:
    work, once = Work(), Once[str, int]()
    work.fault = ValueError("x")
    only = asyncio.create_task(once.do("a", work))
    await asyncio.sleep(0)
    only.cancel()
    work.gate.set()
    await asyncio.sleep(0.01)
    assert len(once) == 0
