"""The outbox: events as rows in the transaction of the change, and as a message right after it.

A row goes when the function that consumes its message has handed it on. If the message cannot be
sent, or the process dies before, the row stays, and is sent again from there: no event is lost.
"""

import logging
from collections.abc import Callable, Sequence

import orjson

from shared.events import Event, fields
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Insert, Messages, Unavailable

_log = logging.getLogger(__name__)


class Outbox:
    """The outbox of one registry generation."""

    def __init__(self, messages: Messages, generation: str, new_id: Callable[[], str]) -> None:
        self._messages = messages
        self._generation = generation
        self._new_id = new_id

    def rows(self, events: Sequence[Event]) -> list[Insert]:
        """Give the rows that belong into the transaction of the change."""
        return [
            Insert(keys.outbox(f"{event.at:%Y%m%dT%H%M%S%f}", self._new_id()), fields(event))
            for event in events
        ]

    async def announce(self, repository: RepositoryName, rows: Sequence[Insert]) -> None:
        """Tell the queue of rows that are in; a queue that does not answer fails nothing."""
        body = orjson.dumps(
            {
                "generation": self._generation,
                "repository": repository,
                "events": [row.key for row in rows],
            }
        ).decode()
        try:
            await self._messages.send(keys.EVENTS, body)
        except Unavailable as error:
            _log.warning("events of %s stay in the outbox: %s", repository, error)
