"""What is unused goes by messages alone, in every order, with a crash at every call.

The senders' rules, taken out: the simulation finds that something is left for good.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.blobs import Blobs
from shared.services.garbage.garbage import Collected, Garbage
from shared.services.upkeep.builds import Builds
from shared.services.upkeep.purge import Purge
from shared.storage.ports import Row
from shared.storage.rows.contents import Contents
from shared.storage.rows.records import DeletedRecord
from tests.simulation import aftermath
from tests.simulation.explorer import Broken, Report, Scenario
from tests.simulation.explorer import explore as explore_all
from tests.simulation.scenarios import small
from tests.simulation.upkeep.collections import LARGE, SMALL, WIDE, by_messages

type Explore = Callable[..., Report]
type Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def messages_alone(monkeypatch: Patch) -> None:
    """Let nobody else collect."""
    monkeypatch.setattr(aftermath, "collect", by_messages)


@pytest.mark.parametrize("scenario", SMALL.values(), ids=SMALL)
def test_nothing_is_left(scenario: Scenario, explore: Explore) -> None:
    explore(scenario, faults=True)


@pytest.mark.parametrize("scenario", WIDE.values(), ids=WIDE)
def test_nothing_is_left_in_more_ways(scenario: Scenario, explore: Explore) -> None:
    explore(scenario)


@pytest.mark.parametrize("scenario", LARGE.values(), ids=LARGE)
def test_nothing_is_left_of_several_transactions(scenario: Scenario, explore: Explore) -> None:
    with small():
        explore(scenario, faults=True)


class Mute:
    """Somebody who asks the collector nothing."""

    async def ask(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _made_so(service: Any, change: Callable[[Any], None]) -> Callable[[Patch], None]:
    """Change each service of a kind as it is made."""

    def plant(patch: Patch) -> None:
        init = service.__init__

        def changed(self: Any, *arguments: Any, **options: Any) -> None:
            init(self, *arguments, **options)
            change(self)

        patch.setattr(service, "__init__", changed)

    return plant


def _mute(service: Any) -> None:
    service._stores = replace(service._stores, collecting=Mute())


def _mute_blobs(service: Any) -> None:
    service._collecting = Mute()


def a_purge_asks_before_it_takes_its_edges(patch: Patch) -> None:
    rest = Purge._take_rest

    async def hasty(
        self: Purge, repository: RepositoryName, deleted: DeletedRecord, *more: Any, **options: Any
    ) -> None:
        record, stores = deleted.manifest, self._stores
        used = await self._contents.targets(repository, record.digest, record.life)
        await stores.collecting.ask(repository, used)
        _mute(self)
        await rest(self, repository, deleted, *more, **options)
        self._stores = stores

    patch.setattr(Purge, "_take_rest", hasty)


def what_is_too_early_is_forgotten(patch: Patch) -> None:
    collect = Garbage.collect

    async def forgetful(self: Garbage, repository: RepositoryName, digest: Digest) -> Collected:
        return Collected((await collect(self, repository, digest)).taken)

    patch.setattr(Garbage, "collect", forgetful)


class Edgeless:
    """Contents that show no edges."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contents, name)

    async def edges(self, *_: object) -> list[Row]:
        """Show none."""
        return []


def _heed_no_edges(garbage: Any) -> None:
    garbage._contents = Edgeless(garbage._contents)


def _be_hasty(garbage: Any) -> None:
    garbage._lately = timedelta(-1)


FAULTS = [
    (_made_so(Purge, _mute), "a purge"),
    (_made_so(Purge, _mute), "a deletion of a manifest"),
    (a_purge_asks_before_it_takes_its_edges, "a purge, and its message"),
    (_made_so(Blobs, _mute_blobs), "a deletion of a mounted blob, and the messages"),
    (_made_so(Builds, _mute), "a build"),
    (what_is_too_early_is_forgotten, "an early message"),
    (_made_so(Garbage, _heed_no_edges), "a purge, and a push"),
    (_made_so(Garbage, _be_hasty), "HEAD and a push, and the message"),
]


@pytest.mark.parametrize(("plant", "scenario"), FAULTS)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Callable[[Patch], None], scenario: str, monkeypatch: Patch
) -> None:
    with small() if scenario in LARGE else monkeypatch.context():
        plant(monkeypatch)
        with pytest.raises(Broken):
            explore_all({**SMALL, **WIDE, **LARGE}[scenario], faults=scenario not in WIDE)
