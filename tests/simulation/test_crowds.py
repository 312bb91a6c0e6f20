"""Crowds: more actors than any limit of retries, in random orders that a seed brings back."""

import random
from collections.abc import Sequence

import pytest

from shared.services.content import manifests
from tests.simulation.explorer import Scenario
from tests.simulation.loop import Loop
from tests.simulation.manifests.operations import (
    DeleteAnyway,
    DeleteRepository,
    PushAnyway,
    PushBoth,
    Restore,
    UntagAnyway,
)
from tests.simulation.operations import Operation, Push
from tests.simulation.scenarios import BLOBS, ONE, TAGGED, TWO, V1, A, X, Y, image
from tests.simulation.states import State

CROWD = 20
SEEDS = range(12)

OWN = [image(X, *[Y] * number) for number in range(CROWD)]

CROWDS: dict[str, Sequence[Operation]] = {
    "at one tag, each with its own": [Push(A, own) for own in OWN],
    "at one tag, all with the same": [Push(A, ONE) for _ in range(CROWD)],
    "at two tags": [PushBoth(A, own, V1) for own in OWN],
    "that also deletes and restores": [
        *[PushAnyway(A, ONE, V1), PushAnyway(A, TWO)] * 5,
        *[DeleteAnyway(A, ONE.digest), UntagAnyway(A, V1), Restore(A, ONE.digest)] * 3,
        DeleteRepository(A),
    ],
}


def run_through(scenario: Scenario, seed: int) -> State:
    """Let all go on in a random order, to the end and beyond."""
    choose = random.Random(seed)
    loop = Loop()
    start = scenario.start(loop)
    try:
        state = start.state
        while options := state.options(faults=False):
            state = state.take(choose.choice(options))
            scenario.ending(state, loop).check()
        scenario.ending(state, loop).finish()
    finally:
        start.close()
        loop.close()
    return state


@pytest.mark.parametrize("operations", CROWDS.values(), ids=CROWDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_all_of_a_crowd_get_in(
    operations: Sequence[Operation], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "_TRIES", 2)
    past = TAGGED if "deletes" in next(k for k, v in CROWDS.items() if v is operations) else BLOBS
    state = run_through(past.meets(*([each] for each in operations)), seed)
    assert all(actor.is_over for actor in state.actors)
