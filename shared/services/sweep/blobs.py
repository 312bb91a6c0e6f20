"""What was left of blobs, in the partitions of their digests.

repo|     a holder without a link, and without an edge that brings the link back when bad bytes
          are healed. Who joins writes the link within L of it: one of 2 L has none to come. The
          collector is told, and looks again
gone|     an object whose removal stopped on the way: it goes by its name and ETag, so a later
          object of that name is not met
gone|     of bad bytes: what is not withdrawn or, where there are sound bytes, not healed. The
          healing is told
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import batched, groupby
from operator import itemgetter

from shared.model.digest import Digest
from shared.services.garbage.garbage import Garbage
from shared.services.sweep.findings import Finding, Told, What, as_far_as_it_goes
from shared.services.verification.healing import Healing
from shared.storage import ages, keys
from shared.storage.ports import Row
from shared.storage.stores import Stores

_AT_ONCE = 16


class BlobsSweep:
    """Looks at the rows of digests."""

    def __init__(self, stores: Stores, garbage: Garbage, told: Told) -> None:
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._garbage = garbage
        self._healing = Healing(stores)
        self._told = told

    async def look(self, rows: Sequence[tuple[Digest, Row]]) -> AsyncIterator[Finding]:
        """Find what was left."""
        for digest, group in groupby(rows, key=itemgetter(0)):
            old = [row.key for _, row in group if row.age > 2 * ages.L]
            for look in (self._gone, self._holders):
                async for finding in as_far_as_it_goes(look(digest, old), digest):
                    yield finding

    async def _holders(self, digest: Digest, old: Sequence[str]) -> AsyncIterator[Finding]:
        """Find holders that have nothing."""
        holders = [key for key in old if keys.kind_of(key) == "repo"]
        for some in batched(holders, _AT_ONCE, strict=False):
            found = await asyncio.gather(*(self._holder(digest, key) for key in some))
            for each in filter(None, found):
                yield each

    async def _holder(self, digest: Digest, key: str) -> Finding | None:
        repository = keys.decode_repository(keys.last_part(key))
        if await self._contents.link(repository, digest):
            return None
        if await self._contents.edges(repository, digest, 1):
            return None
        mend = partial(self._told.collect, repository, digest)
        return Finding(What.HOLDER, str(digest), (key,), mend)

    async def _gone(self, digest: Digest, old: Sequence[str]) -> AsyncIterator[Finding]:
        """Find objects out of use that are noted since long."""
        is_noted = any(keys.kind_of(key) == "gone" for key in old)
        noted = await self._holdings.gone(digest) if is_noted else []
        for gone in noted:
            if gone.row.key in old and not gone.is_bad:
                mend = partial(self._garbage.remove, digest, gone)
                yield Finding(What.GONE, str(digest), (gone.row.key,), mend)
        if not any(gone.is_bad for gone in noted):
            return
        for task in await self._healing.unfinished(digest):
            key = keys.gone(task.bad)
            if key in old:
                yield Finding(What.BAD, str(digest), (key,), partial(self._told.heal, task))
