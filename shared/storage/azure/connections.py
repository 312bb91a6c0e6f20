"""Connections: from the setting `AzureWebJobsStorage` to the adapters of one account.

The setting is a connection string, or parts as the host names them: `__accountName`, or
`__blobServiceUri`, `__queueServiceUri` and `__tableServiceUri`, with `__clientId` for a
user-assigned identity.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from shared.storage.azure.accounts import AzureAccount, Endpoints, identity
from shared.storage.azure.blobs import AzureObjects
from shared.storage.azure.queues import AzureMessages
from shared.storage.azure.tables import AzureRows

_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
"""What `UseDevelopmentStorage=true` stands for; the key is the emulator's, known to everyone."""


def open_ports(parts: Mapping[str, str]) -> tuple[AzureRows, AzureObjects, AzureMessages]:
    """Give the adapters of the account that the parts of the setting name (`Settings.storage`)."""
    account = _account(parts)
    return AzureRows(account), AzureObjects(account), AzureMessages(account)


@asynccontextmanager
async def opened_rows(parts: Mapping[str, str]) -> AsyncIterator[AzureRows]:
    """Open the rows of the account for a while, and close the connections."""
    account = _account(parts)
    try:
        yield AzureRows(account)
    finally:
        await account.close()


def _account(parts: Mapping[str, str]) -> AzureAccount:
    if text := parts.get(""):
        return AzureAccount(_EMULATOR if text == "UseDevelopmentStorage=true" else text)
    return AzureAccount(_endpoints(parts), identity(parts.get("clientId")))


def _endpoints(parts: Mapping[str, str]) -> Endpoints:
    addresses = (
        parts.get(f"{service}ServiceUri")
        or f"https://{parts['accountName']}.{service}.core.windows.net"
        for service in ("blob", "queue", "table")
    )
    return Endpoints(*addresses)
