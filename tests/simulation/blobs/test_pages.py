"""What is read in pages, while others act between them; and the rules of it, each taken out."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.verification.healing import Healing, Task
from shared.storage import keys
from shared.storage.ports import Row
from shared.storage.rows import holdings
from shared.storage.rows.holdings import Held, Holdings
from tests.simulation.blobs.pages import PAGES, paged
from tests.simulation.blobs.scenarios import BLOBS
from tests.simulation.blobs.test_planted_blob_faults import (
    collector_does_not_see_who_joined_elsewhere,
    collector_reads_whether_it_is_good_last,
    deletion_reads_edges_before_the_link,
    healing_does_not_heal,
)
from tests.simulation.explorer import Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.gates import GatedRows
from tests.simulation.scenarios import LISTS, PAIRS
from tests.simulation.test_planted_faults import Fault, find
from tests.simulation.world import World

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("scenario", PAGES.values(), ids=PAGES)
def test_others_act_between_pages(scenario: Scenario, explore: Explore) -> None:
    with paged():
        explore(scenario, faults=True)


ALL = {**PAIRS, **BLOBS, **LISTS}


@pytest.mark.parametrize("scenario", ALL.values(), ids=ALL)
def test_whatever_meets_bears_pages(scenario: Scenario, explore: Explore) -> None:
    with paged():
        explore(replace(scenario, page=1))


async def _scan(table: str, partition: str, bounds: dict[str, Any], world: World) -> list[Row]:
    return await world.rows.scan(table, partition, **bounds)


def good_sorts_behind_the_holders(patch: Patch) -> None:
    """Read a digest's partition from its end, as if `good|` had another name."""
    scan = GatedRows.scan

    async def backwards(self: GatedRows, table: str, partition: str, **bounds: Any) -> list[Row]:
        if table != keys.BLOBS or bounds["after"]:
            return await scan(self, table, partition, **bounds)
        rows: list[Row] = []
        while page := await self._gate.go(
            f"scan {table} up to {bounds['before']!r}",
            partial(_scan, table, partition, dict(bounds)),
            is_read=True,
        ):
            rows = [*page[-(self._gate.page or len(page)) :], *rows]
            bounds["before"] = rows[0].key
        return rows

    patch.setattr(GatedRows, "scan", backwards)
    patch.setattr(holdings, "_PAGE", 1_000)


def collector_does_not_look_for_itself(patch: Patch) -> None:
    held = Holdings.held

    async def blind(self: Holdings, digest: Digest, repository: RepositoryName) -> Held:
        get = self._get
        patch.setattr(self, "_get", lambda *_: _nothing())
        seen = await held(self, digest, repository)
        patch.setattr(self, "_get", get)
        return seen

    patch.setattr(Holdings, "held", blind)


async def _nothing() -> None:
    return


def collector_reads_to_the_last_page(patch: Patch) -> None:
    held = Holdings.held

    async def whole(self: Holdings, digest: Digest, repository: RepositoryName) -> Held:
        seen, after = await held(self, digest, repository), ""
        while page := await self.holders(digest, after, 1):
            after = keys.holder(page[-1])
        return seen

    patch.setattr(Holdings, "held", whole)


def healing_begins_anew_with_each_page(patch: Patch) -> None:
    do = Healing.do

    async def anew(self: Healing, task: Task) -> Task | None:
        return await do(self, replace(task, after=""))

    patch.setattr(Healing, "do", anew)


def healing_ends_with_its_first_page(patch: Patch) -> None:
    do = Healing.do

    async def once(self: Healing, task: Task) -> Task | None:
        later = await do(self, task)
        if later and later.after:
            gone = await self._noted(task)
            return await self._end(task, gone) if gone else None
        return later

    patch.setattr(Healing, "do", once)


FAULTS = [
    Fault(good_sorts_behind_the_holders, "one leaves, an upload after it", "not its content|holds"),
    Fault(
        collector_reads_whether_it_is_good_last,
        "one leaves, an upload before it",
        "not its content|holders and no content",
    ),
    Fault(
        collector_does_not_see_who_joined_elsewhere,
        "one leaves, an upload before it",
        "not its content|holders and no content",
    ),
    Fault(collector_does_not_look_for_itself, "one of many leaves", "without a link"),
    Fault(collector_reads_to_the_last_page, "one of many leaves", "reads 5 pages"),
    Fault(
        deletion_reads_edges_before_the_link,
        "a blob that only past lives use is deleted, and pushed",
        "without blob",
    ),
    Fault(healing_begins_anew_with_each_page, "healing, each message twice", "does not end"),
    Fault(
        healing_ends_with_its_first_page, "healing, each message twice", "bad bytes that are gone"
    ),
    Fault(healing_does_not_heal, "healing, each message twice", "not shown again"),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: Patch) -> None:
    with paged(), monkeypatch.context() as patch:  # undone before the pages are long again
        find(fault, PAGES[fault.scenario], patch)


def test_only_pages_show_that_the_order_of_the_keys_matters(monkeypatch: Patch) -> None:
    good_sorts_behind_the_holders(monkeypatch)
    explore_all(replace(PAGES["one leaves, an upload after it"], page=None))
