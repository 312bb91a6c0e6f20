"""Garbage: a blob leaves a repository that no longer uses it, and with the last one its bytes go.

One step of the collector is for one link, in this order:

    G0 read the digest's partition: the content, this repository's row among the holders
    G1 read the link and its edges; stop where it was seen lately, or an edge's manifest is there
    G2 transaction: delete the link and edges without a manifest, all with the ETags read
    G3 transaction: delete the holder's row, with its ETag; if no other is left the content as well,
       and note the object as gone; else change the content, with its ETag
    G4 remove the object
    G5 delete the note

It takes no lock. What decides against each of those who use a blob:

    manifest PUT   changes the link and adds its edge in one transaction: before G1 we see both,
                   before G2 we fail and begin again at G0, after G2 the PUT fails, and says so
    HEAD           changes the link, or has found it seen within half the grace period
    upload, mount  U2 changes holder and content, U3 writes the link: U2 before G0 makes the holder
                   one seen lately; U2 between G0 and G3 makes G3 fail; U2 after G3 finds no
                   content, so an upload brings its own bytes, and a mount fails
    mount from R   M1 reads R's link, M2 is a U2 that wants the content to be that very object:
                   G3 before M2 makes M2 fail, after it G3
    another G3     of another repository has changed the content: ours fails, and begins again at
                   G0, where it sees that nobody is left. So no content stays without a holder
    manifest DELETE  only takes edges away
    blob DELETE    deletes the link with its ETag; with a link missing at G1 we go on at G3

Lately is one and a half grace periods: HEAD promises a whole one for a link that was seen half a
one ago. Only where U2 precedes G0, or a large push has written an edge and not yet its manifest,
does a clock decide: there clocks and the time that a request takes may differ by that much.

After a crash another call goes on: G0 finds a holder without a link, or the note of an object to
remove. What no row tells of (an upload that ended after U1, the body of a large manifest) is found
by its name alone: `collect_object`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from shared.errors import Unavailable
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.origins import BLOB, MANIFEST, Origin
from shared.storage.ports import MOST_CHANGES, Conflict, Delete, Facts, NotFound, Row
from shared.storage.stores import Stores

_TRIES = 8
_EDGES = MOST_CHANGES - 1


class Garbage:
    """Collects what is not used. `grace` is how long a blob is safe after it was last seen."""

    def __init__(self, stores: Stores, grace: timedelta) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._clock = stores.clock
        self._lately = grace * 3 / 2

    async def collect(self, repository: RepositoryName, digest: Digest) -> None:
        """Take a blob out of a repository that has not used it lately, and its bytes if nobody has.

        May be repeated at any time, and be called for a blob that is in use or was never there.
        """
        for _ in range(_TRIES):
            if await self._step(repository, digest):
                return
        raise Unavailable(f"{digest} is being changed too often: collect it later")

    async def collect_object(self, name: str) -> None:
        """Remove an object that was not made lately, and that no row names.

        For what a crash left: of an upload before its rows, of a large manifest, of a cancellation.
        """
        facts = await self._objects.facts(name)
        if facts is None or facts.age <= self._lately:
            return
        if name != await self._named(facts):
            await self._objects.delete(name, facts.etag)

    async def _step(self, repository: RepositoryName, digest: Digest) -> bool:
        """Go through the steps; False where something changed meanwhile."""
        held = await self._holdings.held(digest, repository)
        gone: Sequence[str] | None = held.gone
        try:
            is_free = not self._is_young(held.holder) and await self._unlink(repository, digest)
        except (Conflict, NotFound):
            return False
        if is_free and held.holder:
            gone = await self._holdings.leave(digest, held)
        if gone is None:
            return False
        for name in gone:
            await self._stores.discard(name)
            await self._holdings.forget(digest, name)
        return True

    async def _unlink(self, repository: RepositoryName, digest: Digest) -> bool:
        """Delete the link unless it is in use; True where there is none (any more).

        With very many edges that a crash left, this call deletes some, and another one the rest.
        """
        link = await self._contents.link(repository, digest)
        if link is None:
            return True
        if self._is_lately(link.seen):
            return False
        edges = await self._contents.edges(repository, digest, _EDGES)
        for edge in edges:
            if self._is_young(edge) or await self._is_there(repository, edge):
                return False
        changes = [Delete(edge.key, edge.etag) for edge in edges]
        if len(edges) < _EDGES:
            changes.append(Delete(keys.blob(digest), link.etag))
        await self._contents.commit(repository, changes)
        return len(edges) < _EDGES

    async def _is_there(self, repository: RepositoryName, edge: Row) -> bool:
        user = Digest.parse(keys.last_part(edge.key))
        return await self._contents.manifest(repository, user, with_body=False) is not None

    def _is_young(self, row: Row | None) -> bool:
        return row is not None and self._is_lately(cast("datetime", row.values["seen"]))

    def _is_lately(self, moment: datetime) -> bool:
        return self._clock() - moment <= self._lately

    async def _named(self, facts: Facts) -> str:
        """Give the object that the rows name in the place of this one."""
        about = Origin.read(facts)
        if about.digest and about.kind == BLOB:
            return await self._holdings.object(about.digest)
        if about.digest and about.kind == MANIFEST:
            record = await self._contents.manifest(about.repository, about.digest, with_body=False)
            return record.object if record else ""
        return ""
