"""Connections: from the setting `AzureWebJobsStorage` to the adapters of one account.

The setting is a connection string, or parts as the host names them: `__accountName`, or
`__blobServiceUri`, `__queueServiceUri` and `__tableServiceUri`, with `__clientId` for a
user-assigned identity.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from shared.storage import keys
from shared.storage.azure.account.account import AzureAccount, Endpoints, identity
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


type AzurePorts = tuple[AzureRows, AzureObjects, AzureMessages, AzureObjects]


def open_ports(parts: Mapping[str, str]) -> AzurePorts:
    """Give the adapters of the account that the parts of the setting name (`Settings.storage`).

    They are for rows, content, messages, and what is kept beside the content.
    """
    return _ports(_account(parts))


@asynccontextmanager
async def opened_ports(parts: Mapping[str, str]) -> AsyncIterator[AzurePorts]:
    """Give the same for a while, and close the connections."""
    account = _account(parts)
    try:
        yield _ports(account)
    finally:
        await account.close()


def _ports(account: AzureAccount) -> AzurePorts:
    beside = AzureObjects(account, keys.REGISTRIES)
    return AzureRows(account), AzureObjects(account), AzureMessages(account), beside


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
