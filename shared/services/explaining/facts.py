"""Facts: what there is to say of a digest in a repository.

Lists end after MOST entries; `and_more` says that there are others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.model.digest import Digest
from shared.model.names import RepositoryName

MOST = 20
"""How many of a kind are named."""


class State(StrEnum):
    """What has become of a life of a manifest."""

    LIVE = "live"
    BUILDING = "being pushed"
    DELETED = "deleted"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Some[What]:
    """The first of a list."""

    first: tuple[What, ...] = ()
    and_more: bool = False

    @classmethod
    def of(cls, found: Sequence[What]) -> "Some[What]":
        """Keep the first of what was found, of which one more than those was looked for."""
        return cls(tuple(found[:MOST]), len(found) > MOST)


@dataclass(frozen=True, slots=True)
class User:
    """A life of a manifest that uses the digest, and when that ends, if it is known.

    `tags` are those of a live one; `names` what is used: a link to a blob, a child, or nothing.
    """

    digest: Digest
    life: str
    state: State
    names: str
    tags: Some[str] = Some()
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """What there is of a blob, here and elsewhere.

    `object` has its bytes, which are `is_good`, or bad. `used` is when the repository last used it,
    None without a link. `goes` is what the collector would take if it looked now, `again` when it
    would look again.
    """

    object: str = ""
    size: int = 0
    is_good: bool = False
    verified: datetime | None = None
    used: datetime | None = None
    is_held: bool = False
    others: Some[RepositoryName] = Some()
    leaving: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a manifest refers to, and what has become of it; `ends` is when it is purged."""

    digest: Digest
    state: State
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A manifest that is there."""

    life: str
    media_type: str
    pushed: datetime
    is_locked: bool
    is_going: bool
    tags: Some[str] = Some()
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Pushing:
    """A push of several transactions, and when it counts as abandoned."""

    life: str
    ends: datetime


@dataclass(frozen=True, slots=True)
class Over:
    """A life that is over, until when it can come back, and what goes when it is purged."""

    life: str
    deleted: datetime
    by: str
    reason: str
    until: datetime
    purged: datetime
    referrers: Some[Digest] = Some()
    targets: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it; `is_halted` says that nothing is removed at all."""

    repository: RepositoryName
    digest: Digest
    is_halted: bool
    users: Some[User]
    blob: Blob | None
    live: Live | None
    pushing: tuple[Pushing, ...]
    over: Some[Over]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing of the digest here."""
        return not (self.blob or self.live or self.pushing or self.over.first or self.users.first)
