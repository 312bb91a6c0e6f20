"""Blobs: found, read and deleted.

A HEAD that finds a blob is a promise that a push may rely on it for the grace period. So a hit
renews a link that was last seen over half of that ago, with the ETag it read: if the collector
removed the link meanwhile the renewal fails, and the answer is that there is no such blob.

A deletion, and a push that uses the blob:

    D1 read the link      P transaction: change the link, add an edge
    D2 read the edges
    D3 ask the collector to look when D4 is over, or came to nothing
    D4 delete the link, as it was read

P before D1 or between D1 and D2: D2 finds the edge. P between D2 and D4: D4 fails, and D begins
again. P after D4: P fails. An edge of a manifest that is deleted does not count: it stays for as
long as that manifest can be restored. So there may be many, and D2 ends in time.

Where the link was read and then is gone, it is deleted, by another or by D4 itself: the storage
client repeats a call whose answer was lost, and then is told that there is no such row.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta

from shared.errors import BlobUnknown, Unavailable, Unsupported
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.turns.turns import Turns
from shared.storage import ages, keys
from shared.storage.ages import Span
from shared.storage.ports import Conflict, Delete, NotFound, Update
from shared.storage.rows.records import Link
from shared.storage.stores import Stores

_TRIES = 8


class Blobs:
    """The blobs of a registry.

    `grace` is how long a blob is safe after it was last seen; `streams` are the places of those who
    read one through the registry, however slowly.
    """

    def __init__(self, stores: Stores, grace: timedelta, url_seconds: int, streams: Turns) -> None:
        self._contents = stores.contents
        self._collecting = stores.collecting
        self._objects = stores.objects
        self._verifying = stores.verifying
        self._clock = stores.clock
        self._ticks = stores.ticks
        self._grace = grace
        self._url_seconds = url_seconds
        self._streams = streams

    async def find(self, repository: RepositoryName, digest: Digest) -> Link:
        """Tell that a blob is there, and safe for the grace period (end-2, HEAD).

        Raises BlobUnknown.
        """
        for _ in range(_TRIES):
            link = await self.link(repository, digest)
            if link.age < self._grace / 2:
                return link
            try:
                renewal = Update(keys.blob(digest), {"seen": self._clock()}, link.etag)
                await self._contents.commit(repository, [renewal])
            except (Conflict, NotFound):
                continue
            return link
        raise Unavailable(f"{digest} is being changed too often: repeat the request")

    async def link(self, repository: RepositoryName, digest: Digest) -> Link:
        """Read the link to a blob; raises BlobUnknown."""
        link = await self._contents.link(repository, digest)
        if link is None:
            raise unknown_blob(digest)
        return link

    async def url(self, link: Link) -> str:
        """Sign a short-lived address of a blob's bytes."""
        return await self._objects.url(link.object, self._url_seconds)

    async def read(
        self, link: Link, start: int, length: int, owner: str = ""
    ) -> AsyncIterator[bytes]:
        """Stream `length` bytes of a blob from `start` on; `owner` is whose place it takes.

        The first piece is read at once, while there is still another answer to give. Where bytes
        are missing, the object is reported, to be verified.

        Raises:
            BlobUnknown: the bytes are gone.
            TooManyRequests: too many are being read.
        """
        pieces = self._read(link, start, length, owner)
        try:
            first = await anext(pieces, b"")
        except NotFound:
            await self._verifying.report(link.object, link.digest)
            raise unknown_blob(link.digest) from None
        return _chain(first, pieces)

    async def delete(self, repository: RepositoryName, digest: Digest) -> None:
        """Take a blob out of a repository (end-10); its bytes are left to the collector.

        Raises:
            BlobUnknown: the repository does not hold it.
            Unsupported: a manifest uses it.
        """
        link: Link | None = await self.link(repository, digest)
        span = Span(self._ticks)
        for _ in range(_TRIES):
            if link is None:
                return
            await self._check_unused(repository, digest, span)
            await self._collecting.ask(repository, [digest], after=2 * ages.L)
            try:
                await self._contents.commit(repository, [Delete(keys.blob(digest), link.etag)])
            except Conflict:
                link = await self._contents.link(repository, digest)
            except NotFound:
                return
            else:
                return
        raise Unavailable(f"{digest} is being changed too often: repeat the deletion")

    async def _check_unused(self, repository: RepositoryName, digest: Digest, span: Span) -> None:
        if user := await self._contents.user(repository, digest, span):
            raise Unsupported(
                f"{digest} is in use by the manifest {user}: delete that first",
                allow=("GET", "HEAD"),
            )

    async def _read(self, link: Link, start: int, length: int, owner: str) -> AsyncGenerator[bytes]:
        """Hold a place from the first piece to the last, or until nobody reads on."""
        async with (
            self._streams.one(owner),
            aclosing(self._objects.read(link.object, start, length)) as pieces,
        ):
            left = length
            async for piece in pieces:
                left -= len(piece)
                yield piece
            if left > 0:
                await self._verifying.report(link.object, link.digest)


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def unknown_blob(digest: Digest) -> BlobUnknown:
    """Say that a blob is not there, as ACR does."""
    return BlobUnknown(detail={"digest": str(digest)})
