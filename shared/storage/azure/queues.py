"""Messages in Azure Queue storage.

Texts travel in base64, as the host's queue trigger expects, and never expire: Azure's own limit of
seven days would drop a message that was delayed for as long. Azure takes 48 KiB of text.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError

from shared.storage.azure.accounts import AzureAccount
from shared.storage.azure.answers import in_time
from shared.storage.azure.errors import translated

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient

_FOR_EVER = -1


class AzureMessages:
    """Messages on the queues of one storage account."""

    def __init__(self, account: AzureAccount) -> None:
        self._account = account
        self._clients: dict[str, QueueClient] = {}

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues that are missing."""
        for queue in queues:
            with translated(f"queue {queue}"), suppress(ResourceExistsError):
                await self._queue(queue).create_queue()

    @in_time
    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue; it is seen after the delay (at most seven days)."""
        with translated(f"queue {queue}"):
            await self._queue(queue).send_message(
                body, visibility_timeout=delay_seconds, time_to_live=_FOR_EVER
            )

    def _queue(self, name: str) -> "QueueClient":
        from azure.storage.queue import TextBase64EncodePolicy  # noqa: PLC0415 - see `accounts`

        client = self._clients.get(name)
        if client is None:
            client = self._account.queues.get_queue_client(
                name, message_encode_policy=TextBase64EncodePolicy()
            )
            self._clients[name] = client
        return client
