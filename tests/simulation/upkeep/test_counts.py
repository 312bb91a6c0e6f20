"""What a message of events costs: it names rows, and what lies beside them costs nothing."""

from collections.abc import Sequence

import pytest

from shared.model.names import RepositoryName
from shared.services.events.fan_out import Announcement
from shared.storage import keys
from shared.storage.ports import Insert, Row
from shared.storage.rows.contents import Contents
from tests.simulation.loop import Loop, at_once
from tests.simulation.operations import Push
from tests.simulation.scenarios import BLOBS, ONE, A
from tests.simulation.world import World
from tests.support.messages import addressed

BESIDE = 1_000


def beside(world: World, number: int) -> None:
    """Let so many events have been handed on, and not yet been removed."""
    partition = keys.contents_partition("g" * 32, A)
    for place in range(number):
        handed = Insert(keys.outbox(f"2025{place:04}", "0" * 32), {"state": "handed"})
        at_once(world.rows.commit(keys.CONTENTS, partition, [handed]))


def rows_read(number: int, patch: pytest.MonkeyPatch) -> int:
    """Push, and count the rows that the fan-out reads with so many beside them."""
    world, loop, read = BLOBS.world.copy(), Loop(), 0
    beside(world, number)
    process = world.process(1)
    loop.complete(Push(A, ONE).run(process))
    get, scan = world.rows.get, world.rows.scan

    async def counted(*arguments: str) -> Row | None:
        nonlocal read
        read += 1
        return await get(*arguments)

    async def scanned(*arguments: str, **options: object) -> list[Row]:
        nonlocal read
        found = await scan(*arguments, **options)  # type: ignore[arg-type]
        read += len(found)
        return found

    patch.setattr(world.rows, "get", counted)
    patch.setattr(world.rows, "scan", scanned)
    for queue, body, _ in addressed(world.messages.sent):
        if queue == keys.EVENTS:
            loop.complete(process.fan_out.follow(Announcement.read(body.encode())))
    loop.close()
    return read


def test_events_beside_it_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_read(BESIDE, monkeypatch) == rows_read(0, monkeypatch) == 1


def fan_out_looks_for_events(patch: pytest.MonkeyPatch) -> None:
    async def rows(self: Contents, repository: RepositoryName, wanted: Sequence[str]) -> list[Row]:
        found = await self._scan(repository, "outbox|", keys.end_of("outbox"), 10_000)
        return [row for row in found if row.key in wanted]

    patch.setattr(Contents, "rows", rows)


def test_looking_for_events_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    fan_out_looks_for_events(monkeypatch)
    assert rows_read(BESIDE, monkeypatch) > BESIDE
