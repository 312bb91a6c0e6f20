"""Letters: what our queues carry: a text, and what has become of it so far.

    {"id": …, "sent": …, "tries": 2, "why": "Unavailable: the table is busy"}
    {"kind": "retire a repository", …}

The first line tells how often it has been tried and why it failed, as a queue does not; what
follows is the text, untouched, up to BODY_BYTES of it. So a letter that is sent again is still the
one that was sent first, whoever sends it: a function that failed, or a timer that finds it where
the host puts what it has given up.

A letter of the rounds, of the sweep or the scrub, says so there. It need not be tried for ever, as
the next round sends another; its id is made of its text, so that one is the same letter again. Who
does what it says may send others to its queue, to go on with it: they are of the rounds as well.

A sleeper is a letter in the queue `later`: its first line names its queue and its time as well.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

import orjson

BODY_BYTES = 46 * 1024
"""The size of the largest text: a queue takes 48 KiB, and the first line is part of it."""

_WHY_CHARACTERS = 300
_ID = re.compile(r"[0-9a-f]{32}")
_QUERY = re.compile(r"\?\S+")
_ROUNDS: ContextVar[str] = ContextVar("queue whose letter of the rounds is done here", default="")


@dataclass(frozen=True, slots=True)
class Letter:
    """A text that is on its way since `sent`; after `tries` failures, the last for this reason.

    A copy that an operator sends while the letter sleeps is one more: it is not sent again.
    """

    id: str
    sent: datetime
    body: str
    tries: int = 0
    why: str = ""
    is_copy: bool = field(default=False, compare=False)
    is_of_rounds: bool = field(default=False, compare=False)

    @classmethod
    def read(cls, text: str, now: datetime) -> Self:
        """Read a message of a queue; what is no letter is a text that is sent now."""
        head, is_letter, body = text.partition("\n")
        try:
            return cls._of(orjson.loads(head), body) if is_letter else cls.bare(text, now)
        except (ValueError, TypeError, LookupError, AttributeError):
            return cls.bare(text, now)

    @classmethod
    def bare(cls, body: str, now: datetime) -> Self:
        """Give a text that came without its first line; the same one is the same letter again."""
        return cls(hashlib.sha256(body.encode()).hexdigest()[:32], now, body)

    @classmethod
    def _of(cls, said: Any, body: str) -> Self:
        sent, is_copy = datetime.fromisoformat(said["sent"]), bool(said.get("copy"))
        is_of_rounds = bool(said.get("rounds"))
        if not is_id(said["id"]) or sent.tzinfo is None:
            raise ValueError(f"no letter: {said}")
        tries, why = int(said["tries"]), str(said["why"])
        return cls(said["id"], sent, body, tries, why, is_copy, is_of_rounds)

    def text(self, **more: str) -> str:
        """Give the form that travels; `more` stands in its first line too."""
        said = {"id": self.id, "sent": self.sent.isoformat(), "tries": self.tries, "why": self.why}
        if self.is_copy:
            said["copy"] = True
        if self.is_of_rounds:
            said["rounds"] = True
        return f"{orjson.dumps({**said, **more}).decode()}\n{self.body}"

    def failed(self, why: str) -> Self:
        """Give the letter once it has failed again."""
        return replace(self, tries=self.tries + 1, why=why)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A letter to a queue that is not to be seen before `due`."""

    queue: str
    due: datetime
    letter: Letter

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a message of the queue `later`; raises ValueError for what is none."""
        head, is_letter, body = text.partition("\n")
        try:
            said = orjson.loads(head)
            due = datetime.fromisoformat(said["due"])
            if not is_letter:  # of an app of before
                body = str(said["body"])
                sent = datetime.fromisoformat(said["sent"])
                return cls(str(said["queue"]), due, Letter.bare(body, sent))
            return cls(str(said["queue"]), due, Letter._of(said, body))  # noqa: SLF001 - next door
        except (TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"it does not say what it is: {error!r}") from error

    def text(self) -> str:
        """Give the form that sleeps in the queue."""
        return self.letter.text(queue=self.queue, due=self.due.isoformat())


@contextmanager
def followed(queue: str, letter: Letter) -> Iterator[None]:
    """Let what is sent meanwhile to go on with a letter be of the rounds where that is."""
    token = _ROUNDS.set(queue if letter.is_of_rounds else "")
    try:
        yield
    finally:
        _ROUNDS.reset(token)


def goes_on_with_rounds(queue: str) -> bool:
    """Tell whether what is sent to a queue goes on with a letter of the rounds."""
    return _ROUNDS.get() == queue


def is_id(text: str) -> bool:
    """Tell whether a letter may bear this id."""
    return _ID.fullmatch(text) is not None


def reason(error: Exception) -> str:
    """Say why something failed: in a line, without the queries of addresses, which are signed."""
    text = " ".join(_QUERY.sub("?…", f"{type(error).__name__}: {error}").split())
    return text[:_WHY_CHARACTERS]
