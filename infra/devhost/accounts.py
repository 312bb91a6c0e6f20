"""Clients of the storage accounts that bindings name by a setting.

The setting holds a connection string. Or there are its parts, as the Functions host reads them:
`NAME__blobServiceUri` and `NAME__queueServiceUri`, or `NAME__accountName`, reached as the managed
identity `NAME__clientId`, or as whoever the environment says.
"""

from types import TracebackType
from typing import Any, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from infra.devhost.settings import ENVIRONMENT, STORAGE, StartError

_OPTIONS: dict[str, Any] = {
    # As the app's own calls do. Else each call looks for one, and for a password, in two threads.
    "use_env_settings": False,
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}
"""No proxy, and quicker than the SDK's own 15 seconds: storage is most often on this machine."""


class Accounts:
    """Makes one client per service and setting, and closes them all at the end."""

    def __init__(self) -> None:
        self._blobs: dict[str, BlobServiceClient] = {}
        self._queues: dict[str, QueueServiceClient] = {}
        self._identities: dict[str, AsyncTokenCredential] = {}

    def blobs(self, setting: str = STORAGE) -> BlobServiceClient:
        """Give the Blob service of the account that the setting names."""
        if setting not in self._blobs:
            self._blobs[setting] = self._client(BlobServiceClient, "blob", setting)
        return self._blobs[setting]

    def queue(self, name: str, setting: str = STORAGE) -> QueueClient:
        """Give a queue of the account; its messages' text is passed on as it is."""
        if setting not in self._queues:
            self._queues[setting] = self._client(QueueServiceClient, "queue", setting)
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
        """Close all clients, and what says who we are."""
        for blobs in self._blobs.values():
            await blobs.close()
        for queues in self._queues.values():
            await queues.close()
        for credential in self._identities.values():
            await credential.close()

    def _client[C: (BlobServiceClient, QueueServiceClient)](
        self, service: type[C], kind: str, setting: str
    ) -> C:
        try:
            if text := ENVIRONMENT.get(setting):
                return service.from_connection_string(text, **_OPTIONS)
            return service(_address(kind, setting), self._identity(setting), **_OPTIONS)
        except ValueError as error:
            raise StartError(f"the setting {setting}: {error}") from error

    def _identity(self, setting: str) -> AsyncTokenCredential:
        client_id = ENVIRONMENT.get(f"{setting}__clientId", "")
        if client_id not in self._identities:
            self._identities[client_id] = _credential(client_id)
        return self._identities[client_id]


def _credential(client_id: str) -> AsyncTokenCredential:
    from azure.identity import aio  # noqa: PLC0415 - of no use where a key says who we are

    if client_id:
        return aio.ManagedIdentityCredential(client_id=client_id)
    return aio.DefaultAzureCredential()


def _address(kind: str, setting: str) -> str:
    if uri := ENVIRONMENT.get(f"{setting}__{kind}ServiceUri"):
        return uri
    if name := ENVIRONMENT.get(f"{setting}__accountName"):
        return f"https://{name}.{kind}.core.windows.net"
    raise StartError(
        f"the setting {setting} should hold a storage connection string,"
        f" or {setting}__{kind}ServiceUri an address"
    )
