"""As many tags in one request as it takes, all of which move: one transaction has them all.

And more than that, were they let in: then no transaction has them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.model.names import Tag
from shared.wire.conditions import TAGS
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.operations import Delete, Push, Untag
from tests.simulation.scenarios import ONE, TWO, A, Past, X, Y
from tests.simulation.world import Process
from tests.support.causes import ME

FIRST = Tag("tag00")


@dataclass(frozen=True)
class PushMany(Push):
    """Push under so many tags at once, the first of which is looked at."""

    tag: Tag = FIRST
    count: int = TAGS

    async def run(self, process: Process) -> None:
        """Push it."""
        tags = [Tag(f"tag{number:02}") for number in range(self.count)]
        await process.pushes.put(self.repository, self.manifest, tags, by=ME)


def many(count: int = TAGS) -> Past:
    """Let so many tags point to an image."""
    return Past().held(A, X, Y).did(PushMany(A, ONE, count=count))


MANY = many()
SCENARIOS = {
    "many tags move, and one goes": MANY.meets([PushMany(A, TWO)], [Untag(A, FIRST)]),
    "many tags move, and one moves elsewhere": MANY.meets(
        [PushMany(A, TWO)], [Push(A, ONE, FIRST)]
    ),
    "many tags move, and what they leave goes": MANY.meets(
        [PushMany(A, TWO)], [Delete(A, ONE.digest)]
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_they_move_together(scenario: Scenario, explore: Callable[..., Report]) -> None:
    explore(scenario)


def test_more_than_are_let_in_do_not_fit(explore: Callable[..., Report]) -> None:
    with pytest.raises(Broken, match="changes"):
        explore(many(3).meets([PushMany(A, TWO, count=30)]))
