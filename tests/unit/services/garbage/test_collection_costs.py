"""Collecting costs in proportion to the garbage, whatever the registry holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.model.digest import Digest
from shared.model.manifests.media_types import OCI_MANIFEST
from shared.model.names import RepositoryName
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.services.sweep.findings import Told
from shared.services.sweep.rounds import DAY, go_on
from shared.services.sweep.sweep import Sweep
from shared.services.verification.healing import Healing
from shared.storage import keys
from shared.storage.messages.collecting import Suspects
from shared.storage.ports import Row, Value
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.unit.conftest import GENERATION
from tests.unit.services.conftest import GRACE, KEPT, LIFETIME

LATELY = GRACE * 3 / 2
SECOND = timedelta(seconds=1)
IN_EACH = 100
BASE = Digest.of(b"base")

type Calls = list[str]


@pytest.fixture
def calls(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls to storage of any kind."""
    made: list[str] = []
    for port, names in (
        (memory.rows, ("get", "scan", "page", "commit")),
        (memory.objects, ("facts", "delete", "page", "read", "put")),
        (memory.beside, ("facts",)),
        (memory.messages, ("send",)),
    ):
        for name in names:
            monkeypatch.setattr(port, name, _counted(made, name, getattr(port, name)))
    return made


def _counted(made: Calls, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        made.append(name)
        return original(*arguments, **options)

    return counted


class Registry:
    """A registry of images, each with a layer of its own and one that all share, written as rows.

    The layers of those that are `unused` have no manifest any more.
    """

    def __init__(self, memory: Memory, images: int) -> None:
        self._memory, self._now = memory, memory.clock()
        for number in range(images):
            self._image(RepositoryName(f"r{number // IN_EACH:03}"), number, is_used=True)

    def garbage(self, number: int) -> Suspects:
        """Leave so many layers unused in one repository."""
        repository = RepositoryName("r000")
        layers = [self._image(repository, 10**6 + place, is_used=False) for place in range(number)]
        return Suspects(GENERATION, repository, tuple(layers))

    def _image(self, repository: RepositoryName, number: int, *, is_used: bool) -> Digest:
        layer, image = Digest.of(b"layer %d" % number), Digest.of(b"image %d" % number)
        life = f"{number:032x}"
        for target in (layer, BASE) if is_used else (layer,):
            self._hold(repository, target)
            if is_used:
                self._row(repository, keys.edge(target, image, life), {"names": "link"})
        if is_used:
            moments: dict[str, Value] = {"seen": self._now, "pushed": self._now}
            values: dict[str, Value] = {"life": life, "media_type": OCI_MANIFEST, "size": 9}
            self._row(repository, keys.manifest(image), {**values, **moments})
        return layer

    def _hold(self, repository: RepositoryName, blob: Digest) -> None:
        name = keys.object_name(GENERATION, blob.encoded[:32])
        about: dict[str, Value] = {"object": name, "size": 9, "seen": self._now}
        self._row(repository, keys.blob(blob), about)
        place = keys.blob_partition(GENERATION, blob)
        content: dict[str, Value] = {"object": name, "etag": "1", "size": 9, "state": "good"}
        self._put(keys.BLOBS, place, keys.CONTENT, content)
        self._put(keys.BLOBS, place, keys.good(name), {})
        self._put(keys.BLOBS, place, keys.holder(repository), {})

    def _row(self, repository: RepositoryName, key: str, values: dict[str, Value]) -> None:
        self._put(keys.CONTENTS, keys.contents_partition(GENERATION, repository), key, values)

    def _put(self, table: str, place: str, key: str, values: dict[str, Value]) -> None:
        rows = self._memory.rows._tables[table].setdefault(place, {})
        rows[key] = Row(key, values, "1", written=self._now)


async def cost(collection: Collection, suspects: Suspects, calls: Calls) -> int:
    """Count the calls of collecting."""
    before = len(calls)
    await collection.run(suspects)
    return len(calls) - before


@pytest.mark.parametrize("images", [0, 10_000])
async def test_it_costs_eight_calls_a_digest_in_a_registry_of_any_size(
    stores: Stores, prepared: Memory, clock: Clock, calls: Calls, images: int
) -> None:
    """Seven, and whether removal is halted."""
    registry = Registry(prepared, images)
    collection = Collection(stores, Garbage(stores, GRACE))
    costs: dict[int, int] = {}
    for number in (1, 10, 50):
        suspects = registry.garbage(number)
        clock.now += LATELY + SECOND
        costs[number] = await cost(collection, suspects, calls)
        assert await cost(collection, suspects, calls) == 3 * number
    assert costs == {number: 8 * number for number in (1, 10, 50)}
    assert prepared.messages.sent == []


async def test_a_layer_that_all_share_is_looked_at_in_three_calls(
    stores: Stores, prepared: Memory, clock: Clock, calls: Calls
) -> None:
    Registry(prepared, 10_000)
    clock.now += LATELY + SECOND
    collection = Collection(stores, Garbage(stores, GRACE))
    shared = Suspects(GENERATION, RepositoryName("r000"), (BASE,))
    assert await cost(collection, shared, calls) == 3


async def test_where_nothing_has_changed_only_the_round_of_a_day_costs(
    stores: Stores, prepared: Memory, clock: Clock, calls: Calls
) -> None:
    """Its pages, each with its position read and kept; a look for each holder; and looks beyond a
    page, for the life of an edge (two) and the edge of a link."""
    images = 1_000
    Registry(prepared, images)
    clock.now += LATELY + SECOND
    told = Told(lambda where, what: stores.collecting.ask(where, [what]), Healing(stores).ask)
    sweep = Sweep(stores, told, grace=GRACE, kept=KEPT, lifetime=LIFETIME)
    for moment in (SECOND, DAY):
        clock.now += moment
        calls.clear()
        await go_on([sweep], lambda: 0)
        contents, blobs = pages(prepared, keys.CONTENTS), pages(prepared, keys.BLOBS)
        walked = 2 + contents + blobs + 1
        holders = images + images // IN_EACH
        assert 3 * walked + holders <= len(calls) <= 3 * walked + 2 * holders + 2 * images
        for _ in range(20):
            calls.clear()
            await go_on([sweep], lambda: 0)
            assert calls == ["scan"]
    assert prepared.messages.sent == []


def pages(memory: Memory, table: str) -> int:
    rows = sum(map(len, memory.rows._tables[table].values()))
    return -(-rows // 200)
