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
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import ManifestUnknown, Unavailable
from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.deletions.endings import Superseded
from shared.services.upkeep.healing import Stage, Task
from shared.services.upkeep.leftovers import Leftovers
from shared.storage import keys
from shared.storage.errands import Kind
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import NotFound, Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores
from shared.storage.verifying import ToVerify

_log = logging.getLogger(__name__)

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: whether the bytes are sound (None: not asked), and what is to follow."""

    is_sound: bool | None = None
    again: timedelta | None = None
    healing: Task | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """An object that has the bytes of a digest, or should have."""

    name: str
    etag: str
    kind: str
    repository: RepositoryName
    digest: Digest


class Verification:
    """Verifies objects, each by itself."""

    def __init__(self, stores: Stores, leftovers: Leftovers, manifests: Manifests) -> None:
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._errands = stores.errands
        self._verifying = stores.verifying
        self._clock = stores.clock
        self._leftovers = leftovers
        self._manifests = manifests

    async def verify(self, name: str) -> Verified:
        """Hash an object, and mark or condemn it; or remove it where nothing uses it."""
        looked = await self._leftovers.look_at(name)
        for _ in range(_TRIES):
            found = await self._find(name)
            if found and found.kind == MANIFEST:
                return await self._verify_body(found, looked.again)
            content = await self._content(found) if found else None
            if found is None or content is None:
                return Verified(again=looked.again)
            is_sound = await self._hashes(found)
            if await self._settle(found, content, is_sound=is_sound):
                task = None if is_sound else Task(found.digest, name, Stage.WITHDRAW)
                return Verified(is_sound, healing=task)
        raise Unavailable(f"the rows of object {name} keep changing: verify it later")

    async def go_on(self, asked: ToVerify) -> None:
        """Verify an object, and send the message of what is to follow."""
        found = await self.verify(asked.name)
        if found.again is not None:
            await self._verifying.ask(asked.name, found.again)

    async def _find(self, name: str) -> _Found | None:
        facts = await self._objects.facts(name)
        about = Origin.read(facts) if facts else None
        if facts is None or about is None or about.digest is None:
            return None
        return _Found(name, facts.etag, about.kind, about.repository, about.digest)

    async def _content(self, found: _Found) -> Row | None:
        """Read the row that says that the object is the content of its digest, and in service."""
        row = await self._holdings.content(found.digest)
        there = content_of(row) if row else None
        is_it = there and (there.object, there.etag) == (found.name, found.etag)
        return row if is_it else None

    async def _hashes(self, found: _Found) -> bool:
        """Tell whether the bytes are sound; what seems bad is read once more, to be sure."""
        return await self._hashes_now(found) or await self._hashes_now(found)

    async def _hashes_now(self, found: _Found) -> bool:
        hasher = Hasher(found.digest.algorithm)
        try:
            async for piece in self._objects.read(found.name):
                hasher.update(bytearray(piece))
        except NotFound:
            return False
        return hasher.digest() == found.digest

    async def _settle(self, found: _Found, content: Row, *, is_sound: bool) -> bool:
        """Write down what was found; False where the content has changed meanwhile."""
        if is_sound:
            return await self._holdings.verified(found.digest, content, self._clock())
        await self._errands.announce_healing(found.repository, found.digest)
        bad = content_of(content)
        is_condemned = await self._holdings.condemn(found.digest, bad, self._clock())
        return is_condemned or content.values["state"] != GOOD

    async def _verify_body(self, found: _Found, again: timedelta | None) -> Verified:
        if await self._hashes(found):
            return Verified(is_sound=True, again=again)
        repository, digest, life = found.repository, found.digest, keys.drawn(found.name)
        record = await self._contents.life(repository, digest, life)
        if record is None:
            return Verified(is_sound=False, again=again)
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
