"""Verification: an object's bytes are hashed once more, as storage gives them back.

A blob that hashes to its digest is marked so in the row `content`. One that does not is condemned,
whoever relies on it, and healed. An object that is not the content of its digest is a leftover, or
will be the content as soon as the call that made it has written the rows: too early is no error,
and says when to come again.

A manifest's body that does not hash to its digest is

    the body of a manifest that is there    deleted with it: whoever pushes it again, as its 404
                                            asks for, makes another life of it. A push of what is
                                            there would heal nothing
    a copy of what is in the row            made again, behind the queue
    the body of a life that is over         left to the purge: that life cannot come back
    of no life                              a leftover, or about to be the body of one

Nothing is written down of a sound body: what changes the row of a manifest says that somebody
relies on it, and a mark beside it would be of no use.

What takes too long goes on in another message, which says how far it is (`model.progress`). Bytes
are read by the object's name, and it may take hours, so what was hashed may be of another object
that bears the name by then. In this order:

    V1 read the object's ETag      V2 read `content`: it names that object, by name and ETag
    V3 hash                        V4 read `content` again: it still does      V5 mark, or condemn

An object is removed after it has left `content`, where an ETag never comes back. So one that is
named at V4 was there all along, and no other had its name; or it is missing, which is no better
than bad bytes. A message that comes twice hashes twice. One that is late goes on with what has the
ETag that it names, and else begins anew.

Whoever uploads a blob may not push what uses it: so the collector is asked, once, to look at each
new one when nobody can rely on it any more.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import ManifestUnknown, Unavailable
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.progress import Progress, ProgressSeal
from shared.services.content.manifests import Manifests
from shared.services.deletions.endings import Superseded
from shared.services.upkeep.hashing import hash_on
from shared.services.upkeep.healing import Stage, Task
from shared.services.upkeep.leftovers import Leftovers
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.errands import Kind
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import Facts, NotFound, Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores
from shared.storage.verifying import ToVerify

_log = logging.getLogger(__name__)

_TRIES = 8

LONGEST = timedelta(minutes=5)
"""For how long one message hashes; what takes longer goes on in another one."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: whether the bytes are sound (None: not known), and what is to follow.

    `progress` is how far it is, where that took too long.
    """

    is_sound: bool | None = None
    again: timedelta | None = None
    healing: Task | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """An object that has the bytes of a digest, or should have."""

    name: str
    etag: str
    kind: str
    repository: RepositoryName
    digest: Digest

    @classmethod
    def read(cls, name: str, facts: Facts | None) -> "_Found | None":
        """Read what an object says of itself; None where there is none, or it has no digest."""
        about = Origin.read(facts) if facts else None
        if facts is None or about is None or about.digest is None:
            return None
        return cls(name, facts.etag, about.kind, about.repository, about.digest)

    def begins(self, *, is_second: bool = False) -> Progress:
        """Give the beginning of its hash."""
        return Progress.start(self.name, self.etag, self.digest.algorithm, is_second=is_second)

    def is_of(self, progress: Progress) -> bool:
        """Tell whether a hash under way is of this object."""
        own = self.name, self.etag, self.digest.algorithm
        return own == (progress.object, progress.etag, progress.algorithm)


class Verification:
    """Verifies objects, each by itself.

    `seal` is for what messages carry; `grace` is how long a blob is safe after it was last used.
    """

    def __init__(
        self,
        stores: Stores,
        leftovers: Leftovers,
        manifests: Manifests,
        seal: ProgressSeal,
        grace: timedelta,
    ) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._errands = stores.errands
        self._clock = stores.clock
        self._leftovers = leftovers
        self._manifests = manifests
        self._seal = seal
        self._unused = grace * 3 / 2

    async def go_on(self, asked: ToVerify) -> None:
        """Verify an object, as far as a message can, and send the message of what is to follow."""
        progress = self._seal.open(asked.part) if asked.part else None
        found = await self.verify(asked.name, progress)
        if found.progress:
            await self._stores.verifying.ask(asked.name, part=self._seal.close(found.progress))
        elif found.again is not None:
            await self._stores.verifying.ask(asked.name, found.again)

    async def verify(self, name: str, progress: Progress | None = None) -> Verified:
        """Hash an object, and mark or condemn it; or remove it where nothing uses it."""
        looked = await self._leftovers.look_at(name)
        found = _Found.read(name, looked.facts)
        if found is None:
            return Verified(again=looked.again)
        if found.kind == MANIFEST:
            return await self._verify_body(found, looked.again, progress)
        content = await self._content(found)
        is_new = content is None or not content.values.get("verified")
        if is_new and not progress:
            await self._stores.collecting.ask(found.repository, [found.digest], after=self._unused)
        if content is None:
            return Verified(again=looked.again)
        hashed = await self._hash(found, progress)
        if isinstance(hashed, Progress):
            return Verified(progress=hashed)
        return await self._settle(found, content, is_sound=hashed)

    async def _content(self, found: _Found) -> Row | None:
        """Read the row that says that the object is the content of its digest."""
        row = await self._holdings.content(found.digest)
        there = content_of(row) if row else None
        is_it = there and (there.object, there.etag) == (found.name, found.etag)
        return row if is_it else None

    async def _hash(self, found: _Found, progress: Progress | None) -> Progress | bool:
        """Tell whether the bytes are sound; what seems bad is read once more, to be sure."""
        span = Span(self._stores.ticks, LONGEST)
        now = progress if progress and found.is_of(progress) else found.begins()
        while True:
            try:
                hashed = await hash_on(self._objects, now, span)
            except NotFound:
                return False
            if isinstance(hashed, Progress):
                return hashed
            if hashed == found.digest or now.is_second:
                return hashed == found.digest
            now = found.begins(is_second=True)

    async def _settle(self, found: _Found, content: Row, *, is_sound: bool) -> Verified:
        """Write down what was found, unless the object is no longer the content of its digest."""
        row: Row | None = content if is_sound else await self._content(found)
        for _ in range(_TRIES):
            if row is None:
                return Verified()
            if is_sound and await self._holdings.verified(found.digest, row, self._clock()):
                return Verified(is_sound=True)
            if not is_sound and await self._condemn(found, row):
                task = Task(found.digest, found.name, Stage.WITHDRAW)
                return Verified(is_sound=False, healing=task)
            row = await self._content(found)
        raise Unavailable(f"the rows of object {found.name} keep changing: verify it later")

    async def _condemn(self, found: _Found, content: Row) -> bool:
        """Take bad bytes out of service; False where the content has changed meanwhile."""
        await self._errands.announce_healing(found.repository, found.digest)
        if content.values["state"] != GOOD:
            return True
        return await self._holdings.condemn(found.digest, content_of(content), self._clock())

    async def _verify_body(
        self, found: _Found, again: timedelta | None, progress: Progress | None
    ) -> Verified:
        hashed = await self._hash(found, progress)
        if isinstance(hashed, Progress):
            return Verified(progress=hashed)
        repository, digest, life = found.repository, found.digest, keys.drawn(found.name)
        record = await self._contents.life(repository, digest, life)
        if record is None:
            return Verified(hashed, again)
        if hashed:
            return Verified(is_sound=True)
        _log.error("object %s, a body of %s in %s, has rotted", found.name, digest, repository)
        if _has_sound_row(record):
            await self._errands.send(
                Kind.COPY_BODY, repository, digest=str(digest), life=life, bad=found.etag
            )
        else:
            with suppress(ManifestUnknown, Superseded):
                await self._manifests.delete_rotten(repository, digest, life)
        return Verified(is_sound=False)


def _has_sound_row(record: ManifestRecord) -> bool:
    algorithm = record.digest.algorithm
    return record.body is not None and Digest.of(record.body, algorithm) == record.digest
