"""Events on their way out: read from the outbox when their message comes, and settled after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import orjson

from shared.events import Event, read
from shared.model.names import RepositoryName, parse_repository
from shared.storage.ports import Delete, NotFound
from shared.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message that a repository has new events, by the keys of their rows."""

    generation: str
    repository: RepositoryName
    events: Sequence[str]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue `events`."""
        message = orjson.loads(body)
        repository = parse_repository(message["repository"])
        return cls(message["generation"], repository, list(message["events"]))


class Events:
    """The events of one registry generation that are not yet handed on."""

    def __init__(self, stores: Stores) -> None:
        self._contents = stores.contents

    async def waiting(self, announcement: Announcement) -> list[Event]:
        """Read the events that wait; a message that comes twice finds none."""
        rows = [
            await self._contents.event(announcement.repository, key) for key in announcement.events
        ]
        return [read(row.values) for row in rows if row]

    async def settle(self, announcement: Announcement) -> None:
        """Remove the rows of events that have been handed on."""
        for key in announcement.events:
            try:
                await self._contents.commit(announcement.repository, [Delete(key)])
            except NotFound:
                continue
