"""Events: what has happened to a repository, in the past tense.

An event is written as an outbox row in the transaction of the change that it tells of. `subject` is
the digest that the manifest names as its subject, or empty.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestPushed:
    """A manifest was stored, under `tag` if it is not empty. `size` is in bytes, `at` in UTC."""

    digest: str
    tag: str
    media_type: str
    size: int
    by: str
    at: datetime
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ManifestDeleted:
    """A manifest was deleted, and with it all its tags."""

    digest: str
    media_type: str
    by: str
    at: datetime
    subject: str = ""


@dataclass(frozen=True, slots=True)
class TagDeleted:
    """A tag was deleted; its manifest stays."""

    tag: str
    by: str
    at: datetime


type Event = ManifestPushed | ManifestDeleted | TagDeleted

_KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (ManifestPushed, ManifestDeleted, TagDeleted)
}


def fields(event: Event) -> Mapping[str, str | int | datetime]:
    """Give an event's name, as `event`, and its fields."""
    return {"event": type(event).__name__, **asdict(event)}


def read(values: Mapping[str, Any]) -> Event:
    """Give the event with these fields; raises KeyError for none of ours."""
    kind = _KINDS[values["event"]]
    return kind(**{name: value for name, value in values.items() if name != "event"})
