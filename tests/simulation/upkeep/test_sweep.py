"""The sweep meets who is at work, in every order, with a crash at every write.

And the order in which lives are looked for, taken out: the simulation finds that.
"""

from collections.abc import Callable

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.sweep import sweep
from shared.storage import keys
from shared.storage.rows.contents import Contents
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.scenarios import small
from tests.simulation.upkeep.sweeps import LARGE, SMALL, WIDE

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("scenario", SMALL.values(), ids=SMALL)
def test_the_sweep_meets(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", WIDE.values(), ids=WIDE)
def test_the_sweep_meets_in_more_ways(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)


@pytest.mark.parametrize("scenario", LARGE.values(), ids=LARGE)
def test_the_sweep_meets_several_transactions(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario)


def lives_are_looked_for_backwards(patch: Patch) -> None:
    async def has_life(
        self: Contents, repository: RepositoryName, digest: Digest, life: str
    ) -> bool:
        if await self.rows(repository, [keys.deleted(digest, life)]):
            return True
        record = await self.manifest(repository, digest, with_body=False)
        if record and record.life == life:
            return True
        return await self.build(repository, digest, life) is not None

    patch.setattr(Contents, "has_life", has_life)


def builds_have_no_life(patch: Patch) -> None:
    has_life = Contents.has_life

    async def unbuilt(
        self: Contents, repository: RepositoryName, digest: Digest, life: str
    ) -> bool:
        if await self.build(repository, digest, life):
            return False
        return await has_life(self, repository, digest, life)

    patch.setattr(Contents, "has_life", unbuilt)


def lives_are_where_the_page_shows_them(patch: Patch) -> None:
    async def nowhere(*_: object) -> bool:
        return False

    patch.setattr(Contents, "has_life", nowhere)


FAULTS = [
    (lives_are_looked_for_backwards, "a deletion", "and its edge to .* is not"),
    (lives_are_looked_for_backwards, "a build", "without edge"),
    (builds_have_no_life, "a build", "."),
    (lives_are_where_the_page_shows_them, "a deletion", "without edge|and its edge to .* is not"),
]


@pytest.mark.parametrize(("plant", "scenario", "says"), FAULTS)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Callable[[Patch], None], scenario: str, says: str, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(sweep, "_PAGE", 3)  # the page with an edge shows no life
    with small() if scenario in LARGE else monkeypatch.context():
        plant(monkeypatch)
        with pytest.raises(Broken, match=says):
            explore_all({**SMALL, **LARGE}[scenario])
