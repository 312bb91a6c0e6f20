"""Manifests, tags and repositories: who meets, in every order, with a crash at every write.

And the rules, each taken out once: the simulation finds that.
"""

from collections.abc import Callable

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.plans import Plan
from shared.services.deletions import repositories
from shared.services.events.fan_out import Announcement, FanOut
from shared.services.upkeep import builds, retirement
from shared.services.upkeep.purge import Purge
from shared.storage import keys
from shared.storage.messages.errands import Errands
from shared.storage.ports import Change, Delete, Row, Update
from shared.storage.rows import tags
from shared.storage.rows.contents import Contents
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.manifests.scenarios import BUILDS, LIVES, REPOSITORIES
from tests.simulation.scenarios import small

type Explore = Callable[..., Report]

SMALL = {**LIVES, **REPOSITORIES}


@pytest.mark.parametrize("scenario", SMALL.values(), ids=SMALL)
def test_two_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", BUILDS.values(), ids=BUILDS)
def test_two_meet_over_several_transactions(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario, faults=True)


type Patch = pytest.MonkeyPatch
SCENARIOS = {**SMALL, **BUILDS}


def purge_takes_every_referrer(patch: Patch) -> None:
    async def always(self: Purge, repository: RepositoryName, digest: Digest, _: object) -> object:
        return await self._contents.manifest(repository, digest, with_body=False)

    patch.setattr(Purge, "_older", always)


def retirement_takes_any_row(patch: Patch) -> None:
    patch.setattr(retirement, "Delete", lambda key, _: Delete(key))
    patch.setattr(retirement, "Update", lambda key, values, _: Update(key, values))


def deletion_goes_by_no_etag(patch: Patch) -> None:
    patch.setattr(repositories, "Update", lambda key, values, _="": Update(key, values))


def builds_are_ended_without_their_etag(patch: Patch) -> None:
    patch.setattr(builds, "Update", lambda key, values, _: Update(key, values))
    patch.setattr(builds, "Delete", lambda key, _: Delete(key))


def build_is_followed_blindly(patch: Patch) -> None:
    builds_are_ended_without_their_etag(patch)
    row, end = Plan._build_row, Plan._build_end

    def blind(change: Change) -> Change:
        if isinstance(change, Update):
            return Update(change.key, change.values)
        return Delete(change.key) if isinstance(change, Delete) else change

    patch.setattr(Plan, "_build_row", lambda self: blind(row(self)))
    patch.setattr(Plan, "_build_end", lambda self: map(blind, end(self)))


def deletion_is_not_told_to_upkeep(patch: Patch) -> None:
    async def silent(*_: object, **__: object) -> None:
        return

    patch.setattr(Errands, "send", silent)


def marks_bear_no_life(patch: Patch) -> None:
    mark = tags.mark
    patch.setattr(tags, "mark", lambda there, _, *rest, **more: [*mark(there, "", *rest, **more)])


def edges_of_builds_do_not_count(patch: Patch) -> None:
    async def counts(self: Contents, repository: RepositoryName, edge: Row) -> bool:
        user, life = keys.user_of(edge.key)
        record = await self.manifest(repository, user, with_body=False)
        return record is not None and record.life == life

    patch.setattr(Contents, "counts", counts)


def removal_takes_what_is_not_handed_on(patch: Patch) -> None:
    async def remove(self: FanOut, announcement: Announcement) -> None:
        await self._remove(announcement)

    patch.setattr(FanOut, "follow", remove)


FAULTS = [
    (purge_takes_every_referrer, "a purge, and a push of a referrer", "acknowledged and is not"),
    (retirement_takes_any_row, "a push, long before it retires", "without|not in the catalog"),
    (deletion_goes_by_no_etag, "a repository goes, is pushed to, and upkeep goes on", "is not"),
    (
        builds_are_ended_without_their_etag,
        "a build that sleeps, and who ends it",
        "no life|nothing",
    ),
    (build_is_followed_blindly, "a build that sleeps, and who ends it", "without"),
    (deletion_is_not_told_to_upkeep, "a deletion of two tags, and one moves", "."),
    (marks_bear_no_life, "a tag that moves, and a deletion", "is not so"),
    (edges_of_builds_do_not_count, "a build of what was deleted, and a deletion of its blob", "."),
    (removal_takes_what_is_not_handed_on, "events are handed on twice", "was not handed on"),
]


@pytest.mark.parametrize(
    ("plant", "scenario", "says"), FAULTS, ids=[it[0].__name__ for it in FAULTS]
)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Callable[[Patch], None], scenario: str, says: str, monkeypatch: Patch
) -> None:
    with small() if scenario in BUILDS else monkeypatch.context():
        plant(monkeypatch)
        with pytest.raises(Broken, match=says):
            explore_all(SCENARIOS[scenario], faults=True)
