"""The outbox: events as rows in the transaction of the change, and a message that goes before it.

    the message is sent           or the request fails, and nothing has happened
    the change, with the row      or whoever reads the message finds no row, and at last drops it

So there is no change that nobody hears of. The message is invisible for its first second, in which
the change is made; its reader looks for the rows that it names, and for nothing else.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Messages, StorageError

_log = logging.getLogger(__name__)

_UNSEEN_SECONDS = 1


class Outbox:
    """The outbox of one registry generation."""

    def __init__(self, messages: Messages, generation: str, new_id: Callable[[], str]) -> None:
        self._messages = messages
        self._generation = generation
        self._new_id = new_id

    def key(self, moment: datetime) -> str:
        """Draw the key of a row to be written."""
        return keys.outbox(f"{moment:%Y%m%dT%H%M%S%f}", self._new_id())

    async def promise(self, repository: RepositoryName, events: Sequence[str]) -> None:
        """Tell the queue of rows that are about to be written."""
        await self.send(repository, events, stage=0, after=_UNSEEN_SECONDS)

    async def promise_again(self, repository: RepositoryName, events: Sequence[str]) -> None:
        """Tell the queue of rows that were written late; a failure fails nothing any more."""
        try:
            await self.promise(repository, events)
        except StorageError as error:
            _log.warning("events of %s may wait for the sweep: %s", repository, error)

    async def send(
        self, repository: RepositoryName, events: Sequence[str], *, stage: int, after: int
    ) -> None:
        """Send the message of some rows, to be seen after so many seconds."""
        body = {
            "generation": self._generation,
            "repository": repository,
            "events": events,
            "stage": stage,
        }
        await self._messages.send(keys.EVENTS, orjson.dumps(body).decode(), after)
