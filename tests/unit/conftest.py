"""Stores of one registry generation over memory."""

import pytest

from shared.storage.bodies import Bodies
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.support.pauses import no_pause

GENERATION = "g" * 32


@pytest.fixture
async def prepared(memory: Memory) -> Memory:
    return await memory.prepare()


@pytest.fixture
def bodies() -> Bodies:
    return Bodies(1_000_000)


@pytest.fixture
def stores(prepared: Memory, clock: Clock, bodies: Bodies) -> Stores:
    return Stores.over(
        prepared.rows,
        prepared.objects,
        prepared.messages,
        GENERATION,
        beside=prepared.beside,
        bodies=bodies,
        clock=clock,
        new_id=Ids(),
        pause=no_pause,
        ticks=clock.ticks,
    )
