"""Collecting: messages of the queue `garbage`, each names blobs that a repository may not need.

A message says where to look, never what is there: the collector looks. So it may come twice, late,
or for what is in use or was never there; too early, and the collector sends it again, unless that
is used since the first one was sent (`services/garbage/collection`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from math import ceil
from typing import Self

import orjson

from shared.errors import RegistryError
from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_repository
from shared.storage import keys
from shared.storage.ports import Messages

MOST_DIGESTS = 100
"""How many digests a message names: of the longest ones that makes 14 KB."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """Blobs that a repository may not need any more; `since` is when that was first thought."""

    generation: str
    repository: RepositoryName
    digests: tuple[Digest, ...]
    since: datetime | None = field(default=None, compare=False)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue; raises ValueError for what is none."""
        try:
            said = orjson.loads(body)
            digests = tuple(Digest.parse(text) for text in said["digests"])
            since = datetime.fromisoformat(said["since"]) if "since" in said else None
            where = parse_repository(said["repository"])
            return cls(str(said["generation"]), where, digests, since)
        except (TypeError, LookupError, RegistryError) as error:
            raise ValueError(f"it does not say what to collect: {error!r}") from error


class Collecting:
    """Asks the collector of one registry generation to look."""

    def __init__(self, messages: Messages, generation: str) -> None:
        self._messages = messages
        self._generation = generation

    async def ask(
        self,
        repository: RepositoryName,
        digests: Iterable[Digest],
        *,
        after: timedelta = timedelta(),
        since: datetime | None = None,
    ) -> None:
        """Have these blobs looked at, `after` that time; none are no message.

        `since` is when they were first suspected, where it is not when the message is read.
        """
        for some in batched(dict.fromkeys(digests), MOST_DIGESTS, strict=False):
            first = {"since": since.isoformat()} if since else {}
            body = {
                "generation": self._generation,
                "repository": repository,
                "digests": [str(digest) for digest in some],
                **first,
            }
            text = orjson.dumps(body).decode()
            await self._messages.send(keys.GARBAGE, text, ceil(after.total_seconds()))
