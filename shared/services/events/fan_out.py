"""The fan-out: a message says which rows of the outbox to look for; each is handed to consumers.

    N1 a change sends the message             F1 the rows are there: each event to each consumer
    N2 its transaction writes the rows        F2 they are marked as handed on
                                              F3 the message once more, seen 3 L later
                                              F4 that one removes the rows

A message that comes before N2, or whose N2 never comes, finds no rows, or not all of those that
several transactions write: copies of it, for those that are missing, are seen
L / 10, L and 2 L after it, and the last one drops, since N2 comes within 2 L or not at all. A push
that died may have left its repository in the catalog: the last one sends upkeep to see to that.

A message may come twice, and its reader die anywhere: from F1 on all of it can be repeated, a
consumer hears of an event once or more. Webhooks are among them (`services/webhooks/telling`).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

import orjson

from shared.events import (
    BlobWithdrawn,
    Event,
    ManifestDeleted,
    ManifestPushed,
    TagDeleted,
    read,
    values,
)
from shared.model.digest import Digest
from shared.model.names import (
    RepositoryName,
    Tag,
    is_referrers_tag,
    parse_repository,
    referrers_tag,
)
from shared.model.webhooks.webhook import Webhook
from shared.services.events.outside import told
from shared.services.webhooks.hearing import action_of
from shared.services.webhooks.telling import Telling
from shared.storage import ages
from shared.storage.messages.errands import Kind
from shared.storage.ports import Delete, NotFound, Row, Update
from shared.storage.stores import Stores

_HANDED = "handed"
_REMOVAL = -1
"""The stage of the message that removes what was handed on; others count the copies before."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message that a repository may have new events, by the keys of their rows."""

    generation: str
    repository: RepositoryName
    events: Sequence[str]
    stage: int = 0

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue `events`."""
        message = orjson.loads(body)
        repository = parse_repository(message["repository"])
        return cls(message["generation"], repository, list(message["events"]), message["stage"])


class FanOut:
    """Hands on the events of one registry generation, which goes by this login server."""

    def __init__(self, stores: Stores, login_server: str = "") -> None:
        self._stores = stores
        self._login_server = login_server
        self._contents = stores.contents
        self._telling = Telling(stores)

    async def follow(self, announcement: Announcement) -> None:
        """Do what a message asks for; raises StorageError."""
        if announcement.stage == _REMOVAL:
            await self._remove(announcement)
            return
        rows = await self._contents.rows(announcement.repository, announcement.events)
        waiting = [row for row in rows if row.values.get("state") != _HANDED]
        webhooks = await self._telling.webhooks() if any(map(_is_told, waiting)) else []
        for row in waiting:
            await self._hand_on(announcement.repository, row, webhooks)
        found = [row.key for row in rows]
        if found:
            await self._send(replace(announcement, events=found), _REMOVAL, 3 * ages.L)
        missing = [key for key in announcement.events if key not in found]
        if missing:
            await self._look_again(replace(announcement, events=missing))

    async def _hand_on(
        self, repository: RepositoryName, row: Row, webhooks: Sequence[Webhook]
    ) -> None:
        event = read(row.values)
        outside = told(row, self._login_server)
        await self._telling.tell(repository, row.key, outside, webhooks)
        for kind in _consumers(event):
            await self._stores.errands.send(kind, repository, event=dict(values(event)))
        with suppress(NotFound):  # removed by another, who has handed it on
            await self._contents.commit(repository, [Update(row.key, {"state": _HANDED})])

    async def _remove(self, announcement: Announcement) -> None:
        for key in announcement.events:
            with suppress(NotFound):
                await self._contents.commit(announcement.repository, [Delete(key)])

    async def _look_again(self, announcement: Announcement) -> None:
        """Come back until the rows can no longer come."""
        waits = _waits()
        if announcement.stage < len(waits):
            await self._send(announcement, announcement.stage + 1, waits[announcement.stage])
            return
        repository = announcement.repository
        is_listed = bool(await self._stores.index.etag(repository))
        if is_listed and await self._contents.writable(repository) is None:
            await self._stores.errands.send(Kind.RETIRE, repository, after=ages.L)

    async def _send(self, announcement: Announcement, stage: int, after: timedelta) -> None:
        seconds = int(after.total_seconds())
        await self._stores.outbox.send(
            announcement.repository, announcement.events, stage=stage, after=seconds
        )


def _waits() -> Sequence[timedelta]:
    """Give how long to wait for each copy: they are seen L / 10, L and 2 L after the first."""
    return (ages.L / 10, ages.L * 9 / 10, ages.L)


def _is_told(row: Row) -> bool:
    return action_of(read(row.values)) is not None


def _consumers(event: Event) -> Sequence[Kind]:
    if isinstance(event, BlobWithdrawn):  # for those outside: healing has messages of its own
        return []
    if isinstance(event, ManifestDeleted) and event.deletion:  # upkeep sees to the repository's
        return []
    lists = [Kind.KEEP_LIST] if tags_of_lists(event) else []
    if isinstance(event, TagDeleted):
        return lists
    return [*lists, Kind.AFTER_PUSH if isinstance(event, ManifestPushed) else Kind.AFTER_DELETION]


def tags_of_lists(event: Event) -> set[Tag]:
    """Name the tags whose lists of referrers an event concerns."""
    subject = getattr(event, "subject", "")
    tags = {referrers_tag(Digest.parse(subject))} if subject else set()
    if isinstance(event, ManifestPushed) and is_referrers_tag(tag := Tag(event.tag)):
        tags.add(tag)
    return tags
