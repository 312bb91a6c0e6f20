"""Errands: what upkeep is sent to do, each a message of the queue `upkeep`.

An errand says where to look, never what is there: it may come late, or twice. One that is to bring
a sequence to its end is sent before the sequence begins, and seen when that must be over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from math import ceil
from typing import Self

import orjson

from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_repository
from shared.storage import keys
from shared.storage.ports import Messages

NOWHERE = RepositoryName("")
"""No repository: where bytes are that nobody holds."""

_UNSEEN = timedelta(seconds=1)


class Kind(Enum):
    """What there is to do."""

    KEEP_LIST = "keep a list of referrers in step"
    AFTER_PUSH = "see to what a push made"
    AFTER_DELETION = "see to what a deletion left"
    RETIRE = "retire a repository"
    END_BUILD = "end a build"
    END_DELETION = "end a deletion"
    END_RESTORE = "end a restore"
    PURGE = "purge a life"
    DELETE_REPOSITORY = "delete a repository"
    COPY_BODY = "copy a body again"
    HEAL = "heal a blob"


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to do in a repository; `fields` say with what.

    Of bad bytes that nobody holds any more it names no repository: `repository` is NOWHERE.
    """

    kind: Kind
    generation: str
    repository: RepositoryName
    fields: Mapping[str, str | Mapping[str, object]]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue."""
        message = orjson.loads(body)
        kind, name = Kind(message.pop("kind")), message.pop("repository")
        is_nowhere = kind is Kind.HEAL and name == NOWHERE
        repository = NOWHERE if is_nowhere else parse_repository(name)
        return cls(kind, message.pop("generation"), repository, message)

    def text(self, name: str) -> str:
        """Give a field; empty where it is not there."""
        return str(self.fields.get(name, ""))


class Errands:
    """The errands of one registry generation."""

    def __init__(self, messages: Messages, generation: str) -> None:
        self._messages = messages
        self._generation = generation

    async def send(
        self,
        kind: Kind,
        repository: RepositoryName,
        *,
        after: timedelta = timedelta(0),
        **fields: str | Mapping[str, object],
    ) -> None:
        """Send upkeep on an errand, to be done `after` that time."""
        await self.send_again(Errand(kind, self._generation, repository, fields), after)

    async def announce_healing(self, repository: RepositoryName, digest: Digest) -> None:
        """Tell upkeep, before it is so, that there will be bad bytes of a blob, or good ones again.

        It is seen a second later, as that is done at once as a rule; too early is noticed.
        """
        await self.send(Kind.HEAL, repository, after=_UNSEEN, digest=str(digest))

    async def send_again(self, errand: Errand, after: timedelta) -> None:
        """Put an errand off."""
        body = {
            "kind": errand.kind.value,
            "generation": errand.generation,
            "repository": errand.repository,
        }
        text = orjson.dumps({**body, **errand.fields}).decode()
        await self._messages.send(keys.UPKEEP, text, ceil(after.total_seconds()))
