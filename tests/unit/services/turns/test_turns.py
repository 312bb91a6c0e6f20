import asyncio
from contextlib import AsyncExitStack

import pytest

from shared.errors import TooManyRequests
from shared.services.turns.turns import Turns


async def test_one_repository_leaves_places_to_the_others() -> None:
    turns = Turns(8, 0.01)
    async with AsyncExitStack() as held:
        for _ in range(6):
            await held.enter_async_context(turns.one("greedy/app"))
        with pytest.raises(TooManyRequests):
            await held.enter_async_context(turns.one("greedy/app"))
        for _ in range(2):
            await held.enter_async_context(turns.one("team/app"))
        with pytest.raises(TooManyRequests):
            await held.enter_async_context(turns.one("team/app"))
    async with turns.one("greedy/app"):
        pass


async def test_owners_are_forgotten_with_their_last_place() -> None:
    turns = Turns(8, 0.01)
    for number in range(3):
        async with turns.one(f"team/{number}"):
            assert len(turns._shares) == 1
    assert len(turns._shares) == 0


async def test_who_waits_in_vain_for_a_place_takes_none_of_their_own() -> None:
    turns = Turns(1, 0.01)
    async with turns.one("a"):
        for _ in range(3):
            with pytest.raises(TooManyRequests):
                async with turns.one("b"):
                    pass
    async with asyncio.timeout(1), turns.one("b"):
        pass
