"""Clients of the storage accounts that bindings name by a setting."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from infra.devhost.settings import ENVIRONMENT, STORAGE, StartError

_RETRY = {"retry_total": 2, "initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1}
"""Quicker than the SDK's own 15 seconds: the storage is most often on this machine."""


class Accounts:
    """Makes one client per service and setting, and closes them all at the end."""

    def __init__(self) -> None:
        self._blobs: dict[str, BlobServiceClient] = {}
        self._queues: dict[str, QueueServiceClient] = {}

    def blobs(self, setting: str = STORAGE) -> BlobServiceClient:
        """Give the Blob service of the account whose connection string the setting holds."""
        if setting not in self._blobs:
            self._blobs[setting] = _client(BlobServiceClient.from_connection_string, setting)
        return self._blobs[setting]

    def queue(self, name: str, setting: str = STORAGE) -> QueueClient:
        """Give a queue of the account; its messages' text is passed on as it is."""
        if setting not in self._queues:
            self._queues[setting] = _client(QueueServiceClient.from_connection_string, setting)
        return self._queues[setting].get_queue_client(name)

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Close all clients."""
        for blobs in self._blobs.values():
            await blobs.close()
        for queues in self._queues.values():
            await queues.close()


def _client[C](connect: Callable[..., C], setting: str) -> C:
    if not ENVIRONMENT.get(setting):
        raise StartError(f"the setting {setting} should hold a storage connection string")
    try:
        return connect(ENVIRONMENT[setting], **_RETRY)
    except ValueError as error:
        raise StartError(f"the setting {setting}: {error}") from error
