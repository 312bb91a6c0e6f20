"""Joining: a repository comes to hold a blob, and then shows it.

    J1 transaction in the digest's partition: its object is sound (`good|`), and held here
    J2 the link: inserted, or changed under the ETag that was read

J2 is sent within half of L of J1 being sent, or J1 is done again: so the collector, which leaves
alone every holder younger than twice L, never comes in between, and who takes bad bytes out of
service has seen each link to them after that time.

What a link names is what its writer has joined. Where it names another object already, that is
joined anew which the digest has now, and the link changed only if it is as it was read before. Each
use of a link changes it. A writer whose change meets another's, and then finds the link naming the
object that it joined, is done: pushes that touch a popular link all the time starve nobody.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from shared.errors import Unavailable
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.ports import Conflict, Insert, NotFound, Update
from shared.storage.rows.holdings import Content
from shared.storage.rows.records import Link
from shared.storage.stores import Stores

_TRIES = 8

type Join = Callable[[], Awaitable[Content | None]]


class Joining:
    """Lets repositories of a registry hold blobs."""

    def __init__(self, stores: Stores) -> None:
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._clock = stores.clock
        self._ticks = stores.ticks

    async def bring(
        self,
        repository: RepositoryName,
        digest: Digest,
        own: Content,
        made: Span,
        verified: datetime | None = None,
    ) -> None:
        """Show a blob whose bytes this very call has made, `made` ago; raises Unavailable.

        Or bytes that were there, and are `verified` anew, as their rows are lost.
        """

        async def join() -> Content:
            if made.is_over:
                raise Unavailable(f"the upload of {digest} took too long to rely on: repeat it")
            return await self._holdings.offer(digest, repository, own, verified)

        await self._show(repository, digest, join)

    async def share(
        self, repository: RepositoryName, digest: Digest, source: RepositoryName
    ) -> bool:
        """Show a blob that another repository shows; False where that one does not.

        What decides is the other's link, and that its object is sound. A repository may be its own
        source.
        """

        async def join() -> Content | None:
            link = await self._contents.link(source, digest)
            if link is None or not await self._holdings.join(digest, repository, link.object):
                return None
            return Content(link.object, "", link.size)

        return await self._show(repository, digest, join)

    async def restore(self, repository: RepositoryName, digest: Digest, content: Content) -> bool:
        """Show a blob again with the bytes that it has by now; False where it has others."""

        async def join() -> Content | None:
            is_joined = await self._holdings.join(digest, repository, content.object)
            return content if is_joined else None

        return await self._show(repository, digest, join)

    async def _show(self, repository: RepositoryName, digest: Digest, join: Join) -> bool:
        for _ in range(_TRIES):
            sent = Span(self._ticks)
            joined = await join()
            if joined is None:
                return False
            if await self._link(repository, digest, joined, sent):
                return True
        raise Unavailable(f"{digest} is being changed too often: repeat the request")

    async def _link(
        self, repository: RepositoryName, digest: Digest, joined: Content, sent: Span
    ) -> bool:
        """Write the link; False where it is to be joined anew."""
        if sent.is_over:
            return False
        link = Link(digest, joined.size, joined.object, self._clock())
        try:
            await self._contents.commit(repository, [Insert(keys.blob(digest), link.values())])
        except Conflict:
            there = await self._contents.link(repository, digest)
            return there is not None and await self._change(repository, there, link, sent)
        return True

    async def _change(
        self, repository: RepositoryName, there: Link, link: Link, sent: Span
    ) -> bool:
        """Change the link that is there; False where it is to be joined anew."""
        digest = link.digest
        if there.object != link.object and not await self._holdings.join(
            digest, repository, link.object
        ):
            return False
        if sent.is_over:
            return False
        try:
            change = Update(keys.blob(digest), link.values(), there.etag)
            await self._contents.commit(repository, [change])
        except NotFound:
            return False
        except Conflict:
            now = await self._contents.link(repository, digest)
            return now is not None and now.object == link.object
        return True
