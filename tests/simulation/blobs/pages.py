"""Scenarios in pages: what is read page by page is of no one moment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from shared.model.names import RepositoryName
from shared.services.verification import healing
from shared.storage.rows import holdings
from tests.simulation.blobs.operations import CollectBriefly, Heal, Verify
from tests.simulation.blobs.scenarios import OLD_B, D
from tests.simulation.explorer import Scenario
from tests.simulation.operations import Delete, DeleteBlob, Head, Push
from tests.simulation.scenarios import BOTH, COLLECT, COLLECT_B, ONE, TWO, A, B, C, Past, X, Y

CROWD = [RepositoryName(f"r{number}") for number in range(8)]


@contextmanager
def paged() -> Iterator[None]:
    """Make the pages of holders so small that each holds one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holdings, "_PAGE", 1)
        patch.setattr(healing, "_PAGE", 1)
        yield


SPENT = Past().held(A, X, Y)
for _ in range(2):
    SPENT.did(Push(A, ONE), Delete(A, ONE.digest))
SHARED = Past().held(A, X).did(Push(A, ONE))
for each in CROWD:
    SHARED.held(each, X)
SHARED.ago()
BAD = Past().held(A, X).held(B, X).did(Push(B, ONE)).spoiled(X)
BAD.did(Verify(A, BAD.object_of(X)))
HEALED = Past().held(A, X).did(Push(A, ONE)).held(B, X).spoiled(X)
HEALED.did(Verify(A, HEALED.object_of(X))).held(B, X)
HEAL = [Heal(A, D)]
HEAL_TWICE = [Heal(A, D, times=2)]

PAGES: Mapping[str, Scenario] = {
    "one leaves, an upload before it": OLD_B.meets([OLD_B.put(A, X)], COLLECT_B),
    "one leaves, an upload after it": OLD_B.meets([OLD_B.put(C, X)], COLLECT_B),
    "two leave": BOTH.meets(COLLECT, COLLECT_B),
    "a blob that only past lives use is deleted, and pushed": SPENT.meets(
        [DeleteBlob(A, D)], [Push(A, TWO)]
    ),
    "one of many leaves": SHARED.meets([CollectBriefly(CROWD[-1], D)], [Head(CROWD[-1], D)]),
    "healing, each message twice": BAD.meets([BAD.put(A, X), *HEAL_TWICE]),
    "healing, each message twice, and a deletion": HEALED.meets(HEAL_TWICE, [DeleteBlob(B, D)]),
}
"""Two meet, and every scan is in pages of one row."""

PAGES = {name: replace(scenario, page=1) for name, scenario in PAGES.items()}
