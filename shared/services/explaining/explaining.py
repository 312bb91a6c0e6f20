"""Explaining: reads what decides about a digest in a repository, and changes nothing.

Whether a blob goes is asked of the collector itself, which then only looks. What else is read
beside that may have changed in between: it tells why, and decides nothing.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.explaining.facts import (
    MOST,
    Blob,
    Explanation,
    Live,
    Over,
    Pushing,
    Some,
    State,
    Subject,
    User,
)
from shared.services.garbage.garbage import Garbage
from shared.services.upkeep.purge import Purge
from shared.storage import ages, keys
from shared.storage.ports import Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.rows.records import DeletedRecord, ManifestRecord
from shared.storage.stores import Stores


class Explaining:
    """Explains one registry generation; `grace` is how long an unused blob is safe."""

    def __init__(self, stores: Stores, purge: Purge, grace: timedelta) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._purge = purge
        self._garbage = Garbage(stores, grace, is_dry=True)

    async def explain(self, repository: RepositoryName, digest: Digest) -> Explanation:
        """Tell why a digest is kept, or when it goes and why."""
        lives = await self._stores.deleted.page(repository, "", MOST + 1, digest)
        return Explanation(
            repository=repository,
            digest=digest,
            is_halted=await self._stores.removal_is_halted(),
            users=await self._users(repository, digest),
            blob=await self._blob(repository, digest),
            live=await self._live(repository, digest),
            pushing=await self._pushing(repository, digest),
            over=Some.of([await self._over(repository, life) for life in lives]),
        )

    async def _users(self, repository: RepositoryName, digest: Digest) -> Some[User]:
        edges = await self._contents.edges(repository, digest, MOST + 1)
        return Some.of([await self._user(repository, edge) for edge in edges])

    async def _user(self, repository: RepositoryName, edge: Row) -> User:
        """Say what has become of the life that an edge comes from; in the order that it moves."""
        digest, life = keys.user_of(edge.key)
        names = str(edge.values.get("names", ""))
        state, ends = await self._state(repository, digest, life)
        tags = await self._tags(repository, digest) if state is State.LIVE else Some[str]()
        return User(digest, life, state, names, tags, ends)

    async def _state(
        self, repository: RepositoryName, digest: Digest, life: str
    ) -> tuple[State, datetime | None]:
        build = await self._contents.build(repository, digest, life)
        if build:
            return State.BUILDING, self._in(2 * ages.L - build.age)
        record = await self._contents.manifest(repository, digest, with_body=False)
        if record and record.life == life:
            return State.LIVE, None
        deleted = await self._stores.deleted.find(repository, digest, life)
        if deleted:
            return State.DELETED, self._purged(deleted)
        return State.NOWHERE, None

    async def _tags(self, repository: RepositoryName, digest: Digest) -> Some[str]:
        tags = await self._contents.tags_of(repository, digest, MOST + 1)
        return Some.of([str(tag.name) for tag in tags])

    async def _blob(self, repository: RepositoryName, digest: Digest) -> Blob | None:
        held = await self._holdings.held(digest, repository)
        link = await self._contents.link(repository, digest)
        if not (link or held.holder or held.content or held.gone):
            return None
        collected = await self._garbage.collect(repository, digest)
        holders = await self._holdings.holders(digest, "", MOST + 2)
        blob = Blob(
            used=self._in(-link.age) if link else None,
            is_held=held.holder is not None,
            others=Some.of([name for name in holders if name != repository]),
            leaving=tuple(gone.object for gone in held.gone),
            goes=collected.taken,
            again=self._in(collected.again) if collected.again else None,
        )
        return _with_content(blob, held.content) if held.content else blob

    async def _live(self, repository: RepositoryName, digest: Digest) -> Live | None:
        record = await self._contents.manifest(repository, digest, with_body=False)
        if record is None:
            return None
        return Live(
            life=record.life,
            media_type=record.media_type,
            pushed=record.pushed,
            is_locked=not record.attributes.allow_deletion,
            is_going=bool(record.deletion),
            tags=await self._tags(repository, digest),
            subject=await self._subject(repository, record),
        )

    async def _subject(self, repository: RepositoryName, record: ManifestRecord) -> Subject | None:
        if not record.subject:
            return None
        subject = Digest.parse(record.subject)
        if await self._contents.manifest(repository, subject, with_body=False):
            return Subject(subject, State.LIVE)
        life = await self._stores.deleted.last(repository, subject)
        deleted = await self._stores.deleted.find(repository, subject, life) if life else None
        if deleted is None:
            return Subject(subject, State.NOWHERE)
        return Subject(subject, State.DELETED, self._purged(deleted))

    async def _pushing(self, repository: RepositoryName, digest: Digest) -> tuple[Pushing, ...]:
        builds = await self._contents.builds_of(repository, digest, MOST)
        return tuple(
            Pushing(keys.last_part(row.key), self._in(2 * ages.L - row.age)) for row in builds
        )

    async def _over(self, repository: RepositoryName, listed: DeletedRecord) -> Over:
        record = listed.manifest
        deleted = await self._stores.deleted.find(repository, record.digest, record.life) or listed
        leavings = await self._purge.look(repository, deleted)
        return Over(
            life=record.life,
            deleted=deleted.at,
            by=deleted.by,
            reason=deleted.reason,
            until=deleted.until,
            purged=self._purged(deleted),
            referrers=Some.of(leavings.referrers),
            targets=len(leavings.targets),
        )

    def _purged(self, deleted: DeletedRecord) -> datetime:
        return self._in(deleted.purged_in)

    def _in(self, span: timedelta) -> datetime:
        return self._stores.clock() + span


def _with_content(blob: Blob, row: Row) -> Blob:
    """Say where the bytes are, and how good."""
    content, verified = content_of(row), row.values.get("verified") or None
    return replace(
        blob,
        object=content.object,
        size=content.size,
        is_good=row.values["state"] == GOOD,
        verified=cast("datetime | None", verified),
    )
