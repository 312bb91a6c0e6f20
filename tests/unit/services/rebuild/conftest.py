"""A registry with something of each kind, and what is left of it when rows are lost."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pytest

from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName, Tag
from shared.services.content.pushes import Pushes
from shared.services.rebuild.rebuild import Rebuild
from shared.services.rebuild.report import Report
from shared.services.verification.copies import Copies
from shared.storage import keys
from shared.storage.ports import Value
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import described_as, hold, image_of, index_of, parts

A, B, C = RepositoryName("team/app"), RepositoryName("mirror"), RepositoryName("cache")

type Rows = Mapping[tuple[str, str, str], Mapping[str, Value]]
type Again = Callable[[], Awaitable[Report]]

_LOST = ("tag", "tagged", "newest", "moved", "used", "outbox", "pulled")


@dataclass(frozen=True, slots=True)
class Filled:
    """What the registry holds: an image, one of many layers, a signature of it, two indexes."""

    image: Manifest
    large: Manifest
    signature: Manifest
    index: Manifest
    nested: Manifest
    long: Manifest

    def all(self) -> list[Manifest]:
        """List them."""
        return [self.image, self.large, self.signature, self.index, self.nested, self.long]


@pytest.fixture
async def filled(stores: Stores, pushes: Pushes, prepared: Memory, clock: Clock) -> Filled:
    some, many, (unused,) = parts(3), parts(120, "layer"), parts(1, "unused")
    image, large = image_of(some), image_of(many)
    signature = image_of(parts(1, "signature"), subject=described_as(image))
    index = index_of([image, large])
    nested = index_of([index])
    long = image_of(parts(2, "long"), annotations={"text": "x" * 300_000})
    everything = [*some, *many, unused, *parts(1, "signature"), *parts(2, "long")]
    await hold(stores, *everything, repository=A)
    await hold(stores, *some, repository=B)
    whole = Filled(image, large, signature, index, nested, long)
    for manifest in whole.all():
        clock.move(seconds=1)
        await pushes.put(A, manifest, [Tag("v1")], by=ME)
    await pushes.put(B, image, [], by=ME)
    for repository in (A, B):
        for record in await stores.contents.manifests(repository, "", 100):
            with_body = await stores.contents.manifest(repository, record.digest, with_body=True)
            assert with_body
            await Copies(stores).make(repository, with_body)
    clock.move(days=3)
    prepared.messages.sent.clear()
    return whole


@pytest.fixture
def rebuild(stores: Stores, clock: Clock) -> Again:
    async def run() -> Report:
        return await Rebuild(stores, "registry", is_sparse_allowed=False).run(lambda *_: None)

    return run


def rows_of(memory: Memory) -> Rows:
    """Give all rows that a rebuild can make, without times."""
    return {
        (table, partition, key): {
            name: value
            for name, value in row.values.items()
            if not isinstance(value, datetime) and value not in {"", False}
        }
        for table in (keys.REPOSITORIES, keys.CONTENTS, keys.BLOBS)
        for partition, group in memory.rows._tables[table].items()
        for key, row in group.items()
        if table != keys.CONTENTS or keys.kind_of(key) not in _LOST
    }


def lose(memory: Memory, *tables: str) -> None:
    """Let tables be made anew, empty."""
    for table in tables:
        memory.rows._tables[table] = {}


def lose_row(memory: Memory, place: tuple[str, str, str]) -> None:
    """Lose one row."""
    table, partition, key = place
    del memory.rows._tables[table][partition][key]
