"""The source of blob events: a look at a function's container every second.

A look compares names and ETags with those of the look before, so that nothing is missed while the
host runs. What outlives a restart is only a mark, the time of the last look that counts: without a
mark the watch begins now, as a new Event Grid subscription would; with one, the first look reports
what was written since, and in the minute before, as a slow upload is dated by its start. So a blob
may be reported twice, which Event Grid does too.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobProperties

from infra.devhost.accounts import Accounts
from infra.devhost.memory import Memory
from infra.devhost.settings import STORAGE
from infra.devhost.stopping import Stopping
from infra.devhost.triggers.blobs import BlobEvents
from infra.devhost.worker import Function

_KIND = "blobwatch"
_SECONDS = 1.0
_REST_FACTOR = 20
"""A look at many blobs takes long; it is never more than a twentieth of the time."""
_SLOW_UPLOAD = timedelta(minutes=1)
_log = logging.getLogger(__name__)


class BlobWatcher:
    """Reports what is written under the path of one function."""

    def __init__(
        self, function: Function, events: BlobEvents, accounts: Accounts, memory: Memory
    ) -> None:
        self._function, self._path = function.name, events.path(function)
        account = accounts.blobs(function.trigger.get("connection") or STORAGE)
        self._container = account.get_container_client(self._path.container)
        self._events, self._memory = events, memory
        self._seen: dict[str, str] | None = None
        self._since = self._looked_at = _now()

    async def run(self, stopping: Stopping) -> None:
        """Look until the host is to end."""
        while not stopping.is_set():
            took = 0.0
            try:
                began, now = asyncio.get_running_loop().time(), _now()
                found, new = await self._look()
                took = asyncio.get_running_loop().time() - began
                await self._tell(found, new, now)
            except AzureError as error:
                _log.warning("container %s cannot be watched: %s", self._path.container, error)
            await stopping.pause(max(_SECONDS, took * _REST_FACTOR))
        await self._remember()

    async def _look(self) -> tuple[dict[str, str], list[str]]:
        """Give the names and ETags of all blobs, and the names of those that are new."""
        if self._seen is None:
            await self._recall()
        found: dict[str, str] = {}
        new: list[str] = []
        async for blob in self._blobs():
            found[blob.name] = str(blob.etag)
            if self._is_new(blob) and self._path.parameters(blob.name) is not None:
                new.append(blob.name)
        return found, new

    async def _tell(self, found: dict[str, str], new: list[str], looked_at: datetime) -> None:
        is_first = self._seen is None
        for name in new:
            await self._events.report(self._function, self._path.container, name, found[name])
        self._seen, self._looked_at = found, looked_at
        if is_first or new:
            await self._remember()

    def _is_new(self, blob: BlobProperties) -> bool:
        if self._seen is None:
            return blob.last_modified >= self._since
        return self._seen.get(blob.name) != blob.etag

    async def _blobs(self) -> AsyncIterator[BlobProperties]:
        try:
            async for blob in self._container.list_blobs(name_starts_with=self._path.prefix):
                yield blob
        except ResourceNotFoundError:  # the container is made later, perhaps
            return

    async def _recall(self) -> None:
        state = await self._memory.read(_KIND, self._function)
        if state:
            self._since = datetime.fromisoformat(state["LookedAt"]) - _SLOW_UPLOAD

    async def _remember(self) -> None:
        if self._seen is None:
            return
        try:
            state = {"LookedAt": self._looked_at.isoformat()}
            await self._memory.write(_KIND, self._function, state)
        except AzureError as error:
            _log.warning("the blob watcher's mark cannot be written: %s", error)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
