"""What meets the collector and healing; and more of their rules, each taken out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.joining import Joining
from shared.services.content.plans import Plan
from shared.services.verification import healing
from shared.services.verification.healing import Healing, Stage, Task
from shared.storage import keys
from shared.storage.ports import Change, Conflict, Delete, Insert, Put, Row, Update
from shared.storage.rows import contents, holdings
from shared.storage.rows.contents import Contents
from shared.storage.rows.holdings import Content
from shared.storage.rows.records import Link
from tests.simulation.blobs.scenarios import HEALING
from tests.simulation.explorer import Report, Scenario
from tests.simulation.test_planted_faults import Fault, find
from tests.simulation.upkeep.scenarios import BIG_UPKEEP, UPKEEP

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch

SCENARIOS: Mapping[str, Scenario] = {**HEALING, **UPKEEP, **BIG_UPKEEP}


@pytest.mark.parametrize("scenario", UPKEEP.values(), ids=UPKEEP)
def test_upkeep_is_met(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", BIG_UPKEEP.values(), ids=BIG_UPKEEP)
def test_upkeep_is_met_in_any_order(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)


def collector_heeds_only_edges_that_count(patch: Patch) -> None:
    edges = Contents.edges

    async def those(
        self: Contents, repository: RepositoryName, target: Digest, limit: int, after: str = ""
    ) -> list[Row]:
        found = await edges(self, repository, target, limit, after)
        return [edge for edge in found if await self.counts(repository, edge)]

    patch.setattr(Contents, "edges", those)


def first_pass_takes_what_has_changed(patch: Patch) -> None:
    class Blind(Delete):
        def __init__(self, key: str, _: str) -> None:
            super().__init__(key)

    patch.setattr(healing, "Delete", Blind)


def second_pass_is_left_out(patch: Patch) -> None:
    treat = Healing._treat

    async def leave(
        self: Healing, task: Task, repository: RepositoryName, sound: Content | None
    ) -> None:
        if task.stage is not Stage.SETTLE:
            await treat(self, task, repository, sound)

    patch.setattr(Healing, "_treat", leave)


def healing_shows_whatever_is_named(patch: Patch) -> None:
    patch.setattr(contents, "_names_link", lambda _: True)


def healing_shows_without_joining(patch: Patch) -> None:
    async def show(
        self: Joining, repository: RepositoryName, digest: Digest, content: Content
    ) -> bool:
        link = Link(digest, content.size, content.object, self._clock())
        with suppress(Conflict):
            await self._contents.commit(repository, [Insert(keys.blob(digest), link.values())])
        return True

    patch.setattr(Joining, "restore", show)


def edges_say_that_all_are_manifests(patch: Patch) -> None:
    reference = Plan._reference

    def silent(self: Plan, target: Digest) -> Iterator[Change]:
        for change in reference(self, target):
            yield replace(change, values={"names": "child"}) if isinstance(change, Put) else change

    patch.setattr(Plan, "_reference", silent)


def the_last_one_out_leaves_bad_bytes_as_they_were(patch: Patch) -> None:
    left_behind = holdings._left_behind

    def leave(gone: holdings.Gone) -> Change:
        change = left_behind(gone)
        return Update(change.key, {}) if isinstance(change, Update) else change

    patch.setattr(holdings, "_left_behind", leave)


FAULTS = [
    Fault(
        collector_heeds_only_edges_that_count,
        "a manifest comes back, and the collector",
        "ended with ManifestBlobUnknown",
    ),
    Fault(first_pass_takes_what_has_changed, "the first pass comes again", "promised"),
    Fault(
        second_pass_is_left_out,
        "an upload stalls while the only good bytes go bad",
        "bad bytes that are gone",
    ),
    Fault(
        healing_shows_whatever_is_named,
        "bad bytes of what is deleted, and named by a sparse edge",
        "after its deletion",
    ),
    Fault(
        healing_shows_without_joining,
        "healing stalls, and who it heals leaves",
        "not among its holders",
    ),
    Fault(
        edges_say_that_all_are_manifests,
        "bad bytes that an index names as a blob",
        "not shown again",
    ),
    Fault(
        the_last_one_out_leaves_bad_bytes_as_they_were,
        "healing and leaving",
        "not forgotten",
        faults=True,
    ),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: Patch) -> None:
    find(fault, SCENARIOS[fault.scenario], monkeypatch)
