"""Many clients at once, for long: every promise holds, in calm and in every weather.

The hosts live faster: what the registry takes for granted of time is divided there, and so are the
grace period and the outages. In calm `--operations` are made, in each weather a hundredth of them.
"""

import asyncio
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from tests.soak import weather
from tests.soak.run import Outcome, Size, soak
from tests.soak.worlds import world

pytestmark = [pytest.mark.soak, pytest.mark.timeout(4 * 3_600)]

CALM = "calm"
WEATHERS = {
    CALM: weather.CALM,
    "storm": weather.STORM,
    "loose queues": weather.LOOSE_QUEUES,
    "no tables": weather.outage("table"),
    "no queues": weather.outage("queue"),
    "no blobs": weather.outage("blob"),
    "kills": weather.KILLS,
    "clocks": weather.CLOCKS,
    "all at once": weather.ALL_AT_ONCE,
}


def run(emulator: Azurite, folder: Path, name: str, operations: int, seed: int) -> Outcome:
    """Let many act, and report what that came to."""
    print(f"\n{name}: {operations} operations, seed {seed}", flush=True)
    with world(emulator, folder, WEATHERS[name], seed) as where:
        return asyncio.run(soak(where, Size(operations), seed))


def test_promises_hold_in_calm(
    emulator: Azurite, tmp_path: Path, operations: int, seed: int
) -> None:
    outcome = run(emulator, tmp_path, CALM, operations, seed)

    undeletes = outcome.did["undelete: no answer"]  # what clients are refused, they repeat
    assert outcome.did["no answer"] == undeletes <= operations / 1_000


@pytest.mark.parametrize("name", [name for name in WEATHERS if name != CALM])
def test_promises_hold_in_any_weather(
    emulator: Azurite, tmp_path: Path, operations: int, seed: int, name: str
) -> None:
    outcome = run(emulator, tmp_path, name, operations // 100, seed)

    assert outcome.did["201"]
