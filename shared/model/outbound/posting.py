"""Posting: what is sent to a receiver outside, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

ANSWER_BYTES = 4 * 1024
"""How much of an answer's body is read and kept."""

HEADERS_BYTES = 4 * 1024
"""How much of an answer's headers is kept; of a single one a quarter of that."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A POST to an absolute http or https address without user information.

    It may take so many `seconds`, all in all. `ca` are certificates (PEM) to trust instead of the
    usual ones, or empty. A user agent is among the headers.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    seconds: float
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered.

    Its body is cut to ANSWER_BYTES, its headers to HEADERS_BYTES, and both may be less than it
    sent: what counts is the status. Names of headers are as it wrote them.
    """

    status: int
    reason: str
    version: str
    headers: Mapping[str, str]
    body: bytes


class NoReply(Exception):
    """Nothing was answered; says why, without any address's path or query.

    `took_all`: the receiver took the whole body and was silent until its time was over, so it may
    do what it is asked for. One that breaks off has not taken it, whatever it read.
    """

    def __init__(self, why: str, *, took_all: bool = False) -> None:
        super().__init__(why)
        self.took_all = took_all


class Forbidden(NoReply):
    """The address is not one that the registry may connect to; says which setting allows it."""


class Poster(Protocol):
    """Posts to receivers: the only way out."""

    async def post(self, posting: Posting) -> Reply:
        """Post, and give the answer, whatever its status; raises NoReply."""
        ...

    async def check(self, url: str) -> None:
        """Raise Forbidden for what may not be posted to; a name that is not known now may be."""
        ...
