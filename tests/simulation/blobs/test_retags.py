"""What meets over bytes that are there already; and the rules of it, each taken out."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.services.content.plans import Plan
from shared.services.content.pushes import Condition, Pushes
from shared.storage.ports import Change, Update
from tests.simulation.blobs.retags import RETAGS
from tests.simulation.explorer import Report, Scenario
from tests.simulation.test_planted_faults import Fault, find

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("scenario", RETAGS.values(), ids=RETAGS)
def test_retags_meet(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


def retag_completes_nothing(patch: Patch) -> None:
    patch.setattr(Plan, "is_completing", False)


def retag_expects_an_index_to_be_whole(patch: Patch) -> None:
    remember = Pushes._remember

    def all_of_it(self: Pushes, plan: Plan) -> None:
        remember(self, plan)
        self._hints.add((plan.repository, plan.digest))

    patch.setattr(Pushes, "_remember", all_of_it)


def retag_heeds_no_life(patch: Patch) -> None:
    manifest_row = Plan._manifest_row

    def blind(self: Plan) -> Change:
        change = manifest_row(self)
        return Update(change.key, change.values) if isinstance(change, Update) else change

    patch.setattr(Plan, "_manifest_row", blind)


def retag_asks_for_no_type(patch: Patch) -> None:
    look = Pushes._look_at_manifest

    async def believe(self: Pushes, plan: Plan, condition: Condition) -> None:
        row = await self._contents.manifest_row(plan.repository, plan.digest)
        if row:
            plan.manifest = replace(plan.manifest, media_type=str(row.values["media_type"]))
        await look(self, plan, condition)

    patch.setattr(Pushes, "_look_at_manifest", believe)


FAULTS = [
    Fault(
        retag_expects_an_index_to_be_whole,
        "a list of what is missing, and the same bytes from the same process",
        "acknowledged with parts missing",
    ),
    Fault(
        retag_completes_nothing,
        "a list of what comes, and the same bytes",
        "acknowledged without|as incomplete",
    ),
    Fault(
        retag_heeds_no_life,
        "bytes that are there, as another type",
        "of another media type|is not that",
    ),
    Fault(retag_asks_for_no_type, "the same bytes as two types", "is not that"),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: Patch) -> None:
    find(fault, RETAGS[fault.scenario], monkeypatch)
