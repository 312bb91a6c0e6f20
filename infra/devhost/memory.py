"""What a host remembers in storage: small JSON blobs in the container azure-webjobs-hosts."""

import asyncio
import json
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobClient

from infra.devhost.accounts import Accounts
from infra.devhost.settings import STORAGE, StartError

_CONTAINER = "azure-webjobs-hosts"
_PATIENCE_SECONDS = 30.0


class Memory:
    """The blobs of one host, which is known by its id."""

    def __init__(self, accounts: Accounts, host_id: str) -> None:
        self._container = accounts.blobs().get_container_client(_CONTAINER)
        self._host_id = host_id

    def blob(self, kind: str, name: str) -> BlobClient:
        """Give the blob that holds the state of this name."""
        return self._container.get_blob_client(f"{kind}/{self._host_id}/{name}")

    async def prepare(self) -> None:
        """Make the container, unless it is there; raises StartError where storage is away."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._container.create_container()
        except ResourceExistsError:
            return
        except TimeoutError:
            message = f"nothing came in {_PATIENCE_SECONDS:g} s"
            raise StartError(f"the storage in {STORAGE} does not answer: {message}") from None
        except AzureError as error:
            message = str(error).splitlines()[0]
            raise StartError(f"the storage in {STORAGE} does not answer: {message}") from error

    async def read(self, kind: str, name: str) -> dict[str, Any] | None:
        """Give what was last written, or None."""
        try:
            stream = await self.blob(kind, name).download_blob()
            state = json.loads(await stream.readall())
        except (ResourceNotFoundError, ValueError):
            return None
        return state if isinstance(state, dict) else None

    async def write(self, kind: str, name: str, state: dict[str, Any]) -> None:
        """Replace what was last written."""
        await self.blob(kind, name).upload_blob(json.dumps(state), overwrite=True)
