"""Verifying: which objects are to be hashed once more, each a message of the queue `verification`.

Most are named by the trigger of new blobs. A message is for what that cannot do at once: an object
whose rows are yet to come, one that takes longer than a function may, one whose bytes a reader
missed. It may come late, or twice: what is there by then is looked at.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, Self

import orjson

from shared.errors import RegistryError
from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_repository
from shared.storage import keys
from shared.storage.ports import Messages, StorageError

_log = logging.getLogger(__name__)

_NOW = timedelta()
_REPORTED_SECONDS = 60.0
_MOST_REPORTED = 1_000
_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ToVerify:
    """An object that is to be verified: its registry's generation, and what was drawn for it.

    `part` is, sealed, how far another message has come with it. `digest` is what a row says that
    the object has, where that is known: of an object that is not there nothing else tells.
    `repository` is where a manifest is whose body it has, or should have, where that is known.
    `is_again`: it was looked at, and that was too early.
    """

    generation: str
    object: str
    part: str = ""
    digest: Digest | None = None
    repository: RepositoryName | None = None
    is_again: bool = False

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue; raises ValueError for what is none."""
        said = orjson.loads(body)
        try:
            digest, where = said.get("digest", ""), said.get("repository", "")
            return cls(
                _id(said["generation"]),
                _id(said["object"]),
                _text(said.get("state", "")),
                Digest.parse(digest) if digest else None,
                parse_repository(where) if where else None,
                bool(said.get("again")),
            )
        except (TypeError, LookupError, AttributeError, RegistryError) as error:
            raise ValueError(f"it names no object to verify: {error!r}") from error

    @classmethod
    def named(cls, name: str) -> Self:
        """Give what an object's whole name tells; raises ValueError for a name of another kind."""
        generation, _, drawn = name.partition("/")
        return cls(_id(generation), _id(drawn))

    @property
    def name(self) -> str:
        """Give the object's whole name."""
        return keys.object_name(self.generation, self.object)

    def text(self) -> str:
        """Give the form that the queue holds."""
        said: dict[str, str | bool] = {
            "generation": self.generation,
            "object": self.object,
            "state": self.part,
        }
        if self.digest:
            said["digest"] = str(self.digest)
        if self.repository:
            said["repository"] = self.repository
        if self.is_again:
            said["again"] = True
        return orjson.dumps(said).decode()


class Verifying:
    """The objects to verify of one registry generation."""

    def __init__(
        self, messages: Messages, generation: str, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._messages = messages
        self._generation = generation
        self._ticks = ticks
        self._reported: dict[str, float] = {}

    async def report(
        self, name: str, digest: Digest, repository: RepositoryName | None = None
    ) -> None:
        """Let an object be verified whose bytes a reader missed; once a minute in this process.

        Of a manifest's body the repository is told, too.

        A failure fails nothing: the next reader reports it, or the scrub finds it.
        """
        now = self._ticks()
        if now - self._reported.get(name, -_REPORTED_SECONDS) < _REPORTED_SECONDS:
            return
        if len(self._reported) >= _MOST_REPORTED:
            self._reported.clear()
        self._reported[name] = now
        try:
            asked = ToVerify(self._generation, keys.drawn(name), "", digest, repository)
            await self._messages.send(keys.VERIFICATION, asked.text())
        except StorageError as error:
            _log.warning("object %s is missing bytes, and nobody was told: %s", name, error)

    async def ask(
        self,
        name: str,
        after: timedelta = _NOW,
        part: str = "",
        digest: Digest | None = None,
        *,
        is_again: bool = False,
    ) -> None:
        """Let an object, named in whole, be verified `after` that time."""
        drawn = keys.drawn(name)
        asked = ToVerify(self._generation, drawn, part, digest, is_again=is_again)
        await self._messages.send(keys.VERIFICATION, asked.text(), ceil(after.total_seconds()))


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise ValueError(f"{said!r} is no text")  # noqa: TRY004 - of what a message says
    return said


def _id(said: Any) -> str:
    if not _ID.fullmatch(_text(said)):
        raise ValueError(f"{said!r} names no object of a registry")
    return _text(said)
