"""Messages in Azure Queue storage.

Texts travel in base64, as the host's queue trigger expects, and never expire: Azure's own limit of
seven days would drop a message that was delayed for as long. Azure takes 48 KiB of text. What comes
back without being base64 is given as it is: one text that nobody can read must not hide others.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceExistsError

from shared.storage.azure.account.account import AzureAccount
from shared.storage.azure.answers import patiently, soon
from shared.storage.azure.errors import translated
from shared.storage.ports import Conflict, NotFound, Received

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
                await patiently(self._queue(queue).create_queue())

    @soon
    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue; it is seen after the delay (at most seven days)."""
        with translated(f"queue {queue}"):
            await self._queue(queue).send_message(
                body, visibility_timeout=delay_seconds, time_to_live=_FOR_EVER
            )

    @soon
    async def receive(self, queue: str, limit: int, hidden_seconds: int) -> list[Received]:
        """Take some texts that are seen now, and hide them."""
        pages: Any = (
            self._queue(queue)
            .receive_messages(messages_per_page=limit, visibility_timeout=hidden_seconds)
            .by_page()
        )
        with translated(f"queue {queue}"):
            async for page in pages:  # each is a call of its own: the first is what was asked for
                return [Received(it.id, _text(it.content), it.pop_receipt) async for it in page]
        return []

    @soon
    async def delete(self, queue: str, received: Received) -> bool:
        """Remove a text that was received and not since."""
        try:
            with translated(f"message {received.id} of queue {queue}"):
                await self._queue(queue).delete_message(received.id, received.receipt)
        except (NotFound, Conflict):
            return False
        return True

    @soon
    async def peek(self, queue: str, limit: int) -> list[str]:
        """Give some texts that are seen now."""
        with translated(f"queue {queue}"):
            return [_text(it.content) for it in await self._queue(queue).peek_messages(limit)]

    def _queue(self, name: str) -> "QueueClient":
        from azure.storage.queue import TextBase64EncodePolicy  # noqa: PLC0415 - see `accounts`

        client = self._clients.get(name)
        if client is None:
            client = self._account.queues.get_queue_client(
                name, message_encode_policy=TextBase64EncodePolicy()
            )
            self._clients[name] = client
        return client


def _text(content: str) -> str:
    try:
        return base64.b64decode(content, validate=True).decode()
    except ValueError:
        return content
