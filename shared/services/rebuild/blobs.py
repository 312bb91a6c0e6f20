"""Blobs that come back: an object is hashed before a row names it, and then held and shown.

    B1 read `content`: an object that it names is in service already, sound or bad
    B2 hash the object; what seems bad is read once more, to be sure
    B3 see that it is not noted as gone, and *then* that it is still there
    B4 join it, and write the link, as an upload does; where links are not lost (`losses`), only
       join it: the repository has deleted it, or following comes by its link

Only the call that made an object may put it into service, but for this: who would remove it has
been halted since long before B1 (`recovery`). Who had begun before that has noted it as gone, or
has removed it by B3; the note goes after the object. What is pushed meanwhile joins what B4 has
joined, or is joined by it.

Bytes that are bad are put into service by nobody. Where a manifest needs them, and there are no
others, they are noted as bad and the repository as a holder: so the next sound ones that anyone
pushes are shown there as well, as `healing` has it.
"""

import asyncio
from contextlib import aclosing

from shared.model.digest import Digest
from shared.model.hashing import Hasher
from shared.model.names import RepositoryName
from shared.services.content.joining import Joining
from shared.services.rebuild.losses import Losses
from shared.services.rebuild.report import Report
from shared.storage.ages import Span
from shared.storage.ports import Facts, NotFound, Objects, Row
from shared.storage.rows.holdings import GOOD, Content, content_of
from shared.storage.rows.records import Link
from shared.storage.stores import Stores

_HASHED_IN_PLACE = 64 * 1024


class BlobsBack:
    """Brings blobs back, and shows them where they belong."""

    def __init__(self, stores: Stores, report: Report, losses: Losses) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._joining = Joining(stores)
        self._report = report
        self._losses = losses
        self._bad: dict[Digest, Content] = {}

    async def bring(
        self, repository: RepositoryName, digest: Digest, name: str, facts: Facts
    ) -> None:
        """Put an object into service, if it is sound and needed.

        It is shown in its own repository where the links of that may be lost.
        """
        own = Content(name, facts.etag, facts.size)
        row = await self._holdings.content(digest)
        is_known = row is not None and content_of(row) == own
        is_in_service = row is not None and row.values["state"] == GOOD
        is_it_sound = (
            is_in_service if is_known else await is_sound(self._stores.objects, name, digest)
        )
        if not is_it_sound:
            self._bad.setdefault(digest, own)
            self._report.fault(name, f"{repository}@{digest}", "its bytes are bad, or are gone")
            return
        self._report.blobs += 1
        is_to_be_shown = await self._is_link_lost(repository, digest)
        if not is_in_service:
            await self._put_into_service(repository, digest, own, is_shown=is_to_be_shown)
        elif is_to_be_shown:
            await self.show(repository, digest)
        self._report.shown += is_to_be_shown

    async def _is_link_lost(self, repository: RepositoryName, digest: Digest) -> bool:
        is_lost = await self._losses.has_lost_links(repository)
        return is_lost and await self._contents.link(repository, digest) is None

    async def _put_into_service(
        self, repository: RepositoryName, digest: Digest, own: Content, *, is_shown: bool
    ) -> None:
        if await self._holdings.is_gone(digest, own.object):
            return
        facts = await self._stores.objects.facts(own.object)
        if facts is None or facts.etag != own.etag:
            return
        seen, now = Span(self._stores.ticks), self._stores.clock()
        if is_shown:
            await self._joining.bring(repository, digest, own, seen, verified=now)
        else:
            await self._holdings.offer(digest, repository, own, verified=now)

    async def show(self, repository: RepositoryName, digest: Digest) -> bool:
        """Show a blob where it is not shown; False where there are no sound bytes of it."""
        if await self._contents.link(repository, digest):
            return True  # it is followed with the rows
        row = await self._holdings.content(digest)
        return (
            row is not None
            and row.values["state"] == GOOD
            and await self._show(repository, digest, row)
        )

    async def _show(self, repository: RepositoryName, digest: Digest, row: Row) -> bool:
        there = content_of(row)
        if await self._joining.restore(repository, digest, there):
            return True
        await self._holdings.confirm(digest, row)
        return await self._joining.restore(repository, digest, there)

    async def await_sound(self, repository: RepositoryName, digest: Digest) -> bool:
        """Let a repository have the next sound bytes of a blob; False where it has no bytes.

        Those that came before this are to be looked for once more.
        """
        row = await self._holdings.content(digest)
        bad = content_of(row) if row else self._bad.get(digest)
        if bad is None:
            return False
        await self._holdings.lack(digest, repository, bad, self._stores.clock())
        return True

    async def follow(self, repository: RepositoryName, digest: Digest) -> None:
        """See that the repository of a link is a holder, and that the link names the content."""
        link = await self._contents.link(repository, digest)
        if link is None or await self._holds_sound(repository, link):
            return
        if await self.await_sound(repository, digest):
            await self._holds_sound(repository, link)
        else:
            self._report.fault(digest, repository, "it is shown, and no object has its bytes")

    async def _holds_sound(self, repository: RepositoryName, link: Link) -> bool:
        """See to a link; False where there are no sound bytes."""
        row = await self._holdings.content(link.digest)
        if row is None or row.values["state"] != GOOD:
            return False
        there = content_of(row)
        is_it = there.object == link.object
        if not is_it or not await self._holdings.join(link.digest, repository, there.object):
            await self._show(repository, link.digest, row)
        return True


async def is_sound(objects: Objects, name: str, digest: Digest) -> bool:
    """Tell whether an object's bytes hash to a digest; what seems bad is read once more."""
    return await _hashes(objects, name, digest) or await _hashes(objects, name, digest)


async def _hashes(objects: Objects, name: str, digest: Digest) -> bool:
    hasher = Hasher(digest.algorithm)
    try:
        async with aclosing(objects.read(name)) as pieces:
            async for piece in pieces:
                await _take_in(hasher, bytearray(piece))
    except NotFound:
        return False
    return hasher.digest() == digest


async def _take_in(hasher: Hasher, piece: bytearray) -> None:
    if len(piece) <= _HASHED_IN_PLACE:
        hasher.update(piece)
    else:
        await asyncio.to_thread(hasher.update, piece)
