"""Filters: which of the events of a webhook are meant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from infra.admin.naming import repository_of
from infra.admin.opening import AdminError, Desk, Misuse
from shared.model.digest import Digest
from shared.model.names import parse_tag
from shared.model.webhooks.webhook import PING, Action
from shared.storage.rows.webhooks.deliveries import Delivery, State

_EVENT = re.compile(r"\d{8}T\d{12}-[0-9a-f]{32}", re.ASCII)
_DAY = "%Y-%m-%d"
_TIMES = [
    f"{_DAY}T%H:%M:%S.%f%z",
    f"{_DAY}T%H:%M:%S%z",
    f"{_DAY}T%H:%M:%S",
    f"{_DAY} %H:%M:%S",
    _DAY,
]


class Happened(StrEnum):
    """What an event is of."""

    PUSH = Action.PUSH
    DELETE = Action.DELETE
    QUARANTINE = Action.QUARANTINE
    PING = PING


# No `type` statements: behind one typer finds neither name nor help.
Since = Annotated[
    datetime | None, typer.Option("--since", formats=_TIMES, help="All from this time on (UTC).")
]
Until = Annotated[
    datetime | None, typer.Option("--until", formats=_TIMES, help="Only what was before (UTC).")
]
_Before = Annotated[
    str,
    typer.Option(
        "--before", metavar="EVENT", help="Only what follows this one, as events lists them."
    ),
]
_What = Annotated[
    str,
    typer.Argument(
        metavar="[REPO:TAG]", help="What happened to it; or REPO@DIGEST, or REPO with all in it."
    ),
]
_States = Annotated[
    list[State] | None, typer.Option("--state", help="What has become of it. May be repeated.")
]
_Actions = Annotated[
    list[Happened] | None, typer.Option("--action", help="What happened. May be repeated.")
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are meant; of what is empty any."""

    states: Sequence[str] = ()
    actions: Sequence[str] = ()
    repository: str = ""
    tag: str = ""
    digest: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: str = ""

    def has(self, one: Delivery) -> bool:
        """Tell whether one is meant, by all but its time."""
        return (
            _among(one.state, self.states)
            and _among(one.action, self.actions)
            and self.repository in {"", one.repository}
            and self.tag in {"", getattr(one.event, "tag", "")}
            and self.digest in {"", str(getattr(one.event, "digest", ""))}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The options that say which events are meant."""

    what: _What = ""
    state: _States = None
    action: _Actions = None
    since: Since = None
    until: Until = None
    before: _Before = ""

    def wanted(self, desk: Desk) -> Wanted:
        """Say which are meant; raises AdminError, and RegistryError for what is no name."""
        since, until = utc(self.since), utc(self.until)
        if since and until and since >= until:
            raise AdminError("--since is not before --until: nothing was then")
        if until and self.before:
            raise Misuse("say --until or --before, not both")
        before = event_of(self.before) if self.before else ""
        names = _names(desk, self.what)
        return Wanted(self.state or (), self.action or (), *names, since, until, before)


def event_of(text: str) -> str:
    """Read an event as it is listed; raises AdminError."""
    if not _EVENT.fullmatch(text):
        raise AdminError(
            f"{text[:80]!r} is no event: webhook events lists them, such as 20260102T…"
        )
    return text


def utc(moment: datetime | None) -> datetime | None:
    """Give a time that was typed as UTC, which it is unless it says otherwise."""
    if moment is None or moment.tzinfo is None:
        return moment and moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def _among(value: str, some: Sequence[str]) -> bool:
    return not some or value in some


def _names(desk: Desk, text: str) -> tuple[str, str, str]:
    """Read what something happened to: a repository, a tag, a digest; each may be any."""
    if not text:
        return "", "", ""
    name, at, digest = text.partition("@")
    if at:
        return repository_of(desk, name), "", str(Digest.parse(digest))
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return repository_of(desk, text), "", ""
    return repository_of(desk, name), "" if tag == "*" else parse_tag(tag), ""
