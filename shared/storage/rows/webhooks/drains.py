"""Drains: which chain of messages lets go on what waits for a webhook.

    webhooks   GENERATION|ID   drain   the ticket of the message that counts

It is changed by its ETag, so of two who ask at once one finds that it has changed.
"""

from dataclasses import dataclass
from typing import Any

from shared.storage import keys
from shared.storage.ports import Change, Insert, Rows, Update

_KEY = "drain"


@dataclass(frozen=True, slots=True)
class Drain:
    """The ticket that counts, as it was read; empty where there was never a drain."""

    ticket: str = ""
    etag: str = ""


class Drains:
    """The drains of one registry generation; a webhook is meant by its id."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def find(self, webhook: str) -> Drain:
        """Give the one that counts."""
        row = await self._rows.get(keys.WEBHOOKS, self._partition(webhook), _KEY)
        if row is None:
            return Drain()
        said: Any = row.values["ticket"]
        return Drain(said, row.etag)

    async def change(self, webhook: str, before: Drain, ticket: str) -> None:
        """Let another count; raises Conflict or NotFound where it has changed."""
        values = {"ticket": ticket}
        change: Change = Update(_KEY, values, before.etag) if before.etag else Insert(_KEY, values)
        await self._rows.commit(keys.WEBHOOKS, self._partition(webhook), [change])

    def _partition(self, webhook: str) -> str:
        return keys.deliveries(self._generation, webhook)
