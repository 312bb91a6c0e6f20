"""Verification: an object's bytes are hashed once more, as storage gives them back.

What hashes to its digest is marked so in the row `content`. What does not is condemned, whoever
relies on it, and healed. An object that is not the content of its digest is a leftover, or will be
the content as soon as the call that made it has written the rows: too early is no error, and says
when to come again.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.errors import Unavailable
from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.services.upkeep.healing import Stage, Task
from shared.services.upkeep.leftovers import Leftovers
from shared.storage.origins import BLOB, Origin
from shared.storage.ports import NotFound, Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.stores import Stores

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: whether the bytes are sound (None: not asked), and what is to follow."""

    is_sound: bool | None = None
    again: timedelta | None = None
    healing: Task | None = None


class Verification:
    """Verifies objects, each by itself."""

    def __init__(self, stores: Stores, leftovers: Leftovers) -> None:
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._clock = stores.clock
        self._leftovers = leftovers

    async def verify(self, name: str) -> Verified:
        """Hash an object, and mark or condemn it; or remove it where nothing uses it."""
        looked = await self._leftovers.look_at(name)
        for _ in range(_TRIES):
            digest, content = await self._content(name)
            if digest is None or content is None:
                return Verified(again=looked.again)
            is_sound = await self._hashes(name, digest)
            if await self._settle(digest, content, is_sound=is_sound):
                task = None if is_sound else Task(digest, name, Stage.WITHDRAW)
                return Verified(is_sound, healing=task)
        raise Unavailable(f"the rows of object {name} keep changing: verify it later")

    async def _content(self, name: str) -> tuple[Digest | None, Row | None]:
        """Read the row that says that the object is the content of its digest, and in service."""
        facts = await self._objects.facts(name)
        about = Origin.read(facts) if facts else None
        if facts is None or about is None or about.kind != BLOB or about.digest is None:
            return None, None
        row = await self._holdings.content(about.digest)
        there = content_of(row) if row else None
        is_it = there and (there.object, there.etag) == (name, facts.etag)
        return about.digest, row if is_it else None

    async def _hashes(self, name: str, digest: Digest) -> bool:
        hasher = Hasher(digest.algorithm)
        try:
            async for piece in self._objects.read(name):
                hasher.update(bytearray(piece))
        except NotFound:
            return False
        return hasher.digest() == digest

    async def _settle(self, digest: Digest, content: Row, *, is_sound: bool) -> bool:
        """Write down what was found; False where the content has changed meanwhile."""
        if is_sound:
            return await self._holdings.verified(digest, content, self._clock())
        is_condemned = await self._holdings.condemn(digest, content_of(content))
        return is_condemned or content.values["state"] != GOOD
