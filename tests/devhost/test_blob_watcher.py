"""The watcher of new objects: how soon it looks again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from infra.devhost.stopping import Stopping
from infra.devhost.triggers.blob_watcher import BlobWatcher
from infra.devhost.triggers.blobs import BlobPath

FUNCTION: Any = SimpleNamespace(name="verify_blob", trigger={})
REPORT_SECONDS = 0.3


class Storage:
    """A container with one blob, of which the watcher tells; both take time."""

    def __init__(self, look_seconds: float) -> None:
        self.look_seconds = look_seconds
        self.reported: list[str] = []

    def blobs(self, _: str) -> "Storage":
        return self

    def get_container_client(self, _: str) -> "Storage":
        return self

    async def list_blobs(self, **_: str) -> AsyncIterator[object]:
        await asyncio.sleep(self.look_seconds)
        later = datetime.now(UTC) + timedelta(minutes=1)
        yield SimpleNamespace(name="one", etag="1", last_modified=later)

    def path(self, _: object) -> BlobPath:
        return BlobPath.parse("content/{name}")

    async def report(self, *told: str) -> None:
        await asyncio.sleep(REPORT_SECONDS)
        self.reported.append(told[2])

    async def read(self, *_: str) -> None:
        return None

    async def write(self, *_: object) -> None:
        return None


class Pauses(Stopping):
    """Ends with the first pause, and keeps how long it was to be."""

    seconds = 0.0

    async def pause(self, seconds: float) -> None:
        self.seconds = seconds
        self.set()


async def paused(look_seconds: float) -> float:
    storage, pauses = cast("Any", Storage(look_seconds)), Pauses()
    await BlobWatcher(FUNCTION, storage, storage, storage).run(pauses)
    assert storage.reported == ["one"]
    return pauses.seconds


async def test_it_rests_for_twenty_times_as_long_as_a_look_takes() -> None:
    assert await paused(0.2) > 3


async def test_however_much_it_tells_it_looks_again_in_a_second() -> None:
    assert await paused(0) < 2
