"""An index comes back though what it lists is purged by then: a missing child is no obstacle."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from shared.errors import ManifestUnknown, RegistryError, Unavailable
from shared.services.content.plans import Plan
from shared.services.content.pushes import Condition, Pushes
from shared.storage import ages
from tests.simulation.explorer import Broken, Report
from tests.simulation.manifests.operations import Purge, Restore
from tests.simulation.operations import Delete, Push
from tests.simulation.scenarios import ONE, V1, A, Past, X, Y, index

PARENT = index(ONE)


@dataclass(frozen=True)
class RestoreSurely(Restore):
    """Bring a manifest back that lacks none of its blobs."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = (ManifestUnknown, Unavailable)


ORPHANED = (
    Past()
    .held(A, X, Y)
    .did(Push(A, ONE), Push(A, PARENT, V1), Delete(A, ONE.digest))
    .ago(5 * ages.L)
    .did(Purge(A, ONE.digest), Delete(A, PARENT.digest))
)
MEET = ORPHANED.meets([RestoreSurely(A, PARENT.digest)], [Push(A, ONE)])


def test_it_comes_back(explore: Callable[..., Report]) -> None:
    explore(MEET, faults=True)


def test_a_restore_that_misses_its_children_is_found(
    explore: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out = Pushes._carry_out

    async def strict(self: Pushes, plan: Plan, condition: Condition) -> None:
        plan.may_miss = frozenset()
        await carry_out(self, plan, condition)

    monkeypatch.setattr(Pushes, "_carry_out", strict)
    with pytest.raises(Broken, match="ManifestBlobUnknown"):
        explore(MEET)
