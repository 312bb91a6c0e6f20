"""Events: what has happened to a repository, in the past tense.

An event is written as an outbox row in the transaction of the change that it tells of. `subject` is
the digest that the manifest names as its subject, `previous` the one that the tag pointed to
before; either may be empty.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any

_USER_AGENT = 200
_HOST = 255


@dataclass(frozen=True, slots=True)
class Cause:
    """Who changed something, and by which request. What the registry does itself has no request.

    `host` is the registry's canonical login server. Both that and
    a user agent are as long as clients like.
    """

    by: str
    request_id: str = ""
    host: str = ""
    method: str = ""
    user_agent: str = ""

    def __post_init__(self) -> None:
        """Cut what has no bound of its own."""
        object.__setattr__(self, "user_agent", self.user_agent[:_USER_AGENT])
        object.__setattr__(self, "host", self.host[:_HOST])


@dataclass(frozen=True, slots=True)
class ManifestPushed:
    """A manifest was stored, under `tag` if it is not empty. `size` is in bytes, `at` in UTC."""

    digest: str
    tag: str
    media_type: str
    size: int
    cause: Cause
    at: datetime
    subject: str = ""
    previous: str = ""


@dataclass(frozen=True, slots=True)
class ManifestDeleted:
    """A manifest was deleted, and with it all its tags; `life` is the one that is over.

    `deletion` is the id of its repository's, if it went with that.
    """

    digest: str
    media_type: str
    cause: Cause
    at: datetime
    subject: str = ""
    life: str = ""
    deletion: str = ""


@dataclass(frozen=True, slots=True)
class ManifestRotted(ManifestDeleted):
    """A manifest was deleted by the registry itself: its bytes were no longer what was pushed."""


@dataclass(frozen=True, slots=True)
class TagDeleted:
    """A tag was deleted; its manifest stays."""

    tag: str
    cause: Cause
    at: datetime
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryDeleted:
    """A repository was deleted with all its manifests; `deletion` is the id that these bear.

    Each of them has been told of before.
    """

    deletion: str
    cause: Cause
    at: datetime


@dataclass(frozen=True, slots=True)
class BlobWithdrawn:
    """A blob is no longer served: its bytes were not what was pushed. Whoever has it, push it."""

    digest: str
    cause: Cause
    at: datetime


type Event = ManifestPushed | ManifestDeleted | TagDeleted | RepositoryDeleted | BlobWithdrawn

_KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        ManifestPushed,
        ManifestDeleted,
        ManifestRotted,
        TagDeleted,
        RepositoryDeleted,
        BlobWithdrawn,
    )
}


def values(event: Event) -> Mapping[str, str | int | datetime]:
    """Give an event's name, as `event`, and all that it says."""
    said = {"event": type(event).__name__}
    said |= {field.name: getattr(event.cause, field.name) for field in fields(Cause)}
    return said | {
        field.name: getattr(event, field.name) for field in fields(event) if field.name != "cause"
    }


def read(said: Mapping[str, Any]) -> Event:
    """Give the event with these values, from a row or from JSON; raises KeyError for none.

    What a version before this one did not say is as usual.
    """
    kind = _KINDS[said["event"]]
    cause = Cause(**{field.name: said[field.name] for field in fields(Cause)})
    wanted = [it.name for it in fields(kind) if it.name in said or it.default is MISSING]
    told = {name: said[name] for name in wanted if name != "cause"}
    if isinstance(told["at"], str):
        told["at"] = datetime.fromisoformat(told["at"])
    return kind(cause=cause, **told)
