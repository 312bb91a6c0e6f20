"""Arrivals: objects that have just been made are verified, whoever tells of them.

The trigger of new blobs gives an object's name; Event Grid writes an event to the queue
`blob-events`, where no trigger watches. Both come to the same: what fails is from then on a letter
of the queue `verification`, which every version of the app knows.

Several events in one message are sent on, each by itself: an object takes minutes to hash, and one
that fails is to hold up no other. Who dies in the midst of that sends some twice: an object that is
verified already is hashed once more, no more than that.
"""

from collections.abc import Awaitable, Callable

from shared.services.letters.retries import Retries
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.created import Created
from shared.storage.messages.verifying import ToVerify


class Arrivals:
    """Sees to the new objects of one storage account; `verify` verifies one."""

    def __init__(
        self,
        messages: LateMessages,
        retries: Retries,
        verify: Callable[[ToVerify], Awaitable[None]],
    ) -> None:
        self._messages = messages
        self._retries = retries
        self._verify = verify

    async def made(self, name: str) -> None:
        """Verify an object by its whole name; raises ValueError for a name of another kind."""
        await self._see_to(ToVerify.named(name))

    async def told(self, body: bytes) -> None:
        """Verify what a message of the queue `blob-events` names."""
        await self._retries.run(keys.BLOB_EVENTS, body, Created.read, self._hear)

    async def _hear(self, created: Created) -> None:
        if created.object:
            await self._see_to(created.object)
        for event in created.several:
            await self._messages.send(keys.BLOB_EVENTS, event)

    async def _see_to(self, made: ToVerify) -> None:
        body = made.text().encode()
        await self._retries.run(keys.VERIFICATION, body, ToVerify.read, self._verify)
