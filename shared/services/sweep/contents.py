"""What was left in the partitions of repositories.

    blob|       a link that is unseen for one and a half grace periods and has no edge: the
                collector is told, and looks again
    build|      untouched for 2 L: upkeep ends it
    deleted|    a life that is over for longer than it is kept and 4 L: upkeep purges it, unless it
                waits for another. And that something is kept here is listed, if it is not
    edge|       a life that is nowhere: the edge goes, and the collector is told of what it held
    tagged|     a mark of a life that is nowhere: it goes. A mark of one that is live: the deletion
                that took the tag has died, and somebody relies on the manifest since: the tag comes
                back, as it does when upkeep is to end a deletion that was superseded
    manifest|   with the id of a deletion for 2 L: upkeep ends that. It is told of no other cause
                than the sweep
    repository  with the id of its deletion for 2 L: upkeep goes on with that
    moved|      older than what is deleted is kept: it goes
    outbox|     waiting for 2 L, or handed on 3 L and 2 L ago and still there: its message is sent
                again

Where a life is (`Contents.has_life`): it goes from `build|` to `manifest|` to `deleted|`, and is
looked for in that order, each read after the one before:

    a push commits between two reads           its `build|` was there at the first, or it has no
                                               edge yet that we could have read
    a deletion commits between two reads       after that of `manifest|`: `manifest|` was there.
                                               Before it: `deleted|` is there when it is read
    a purge ends between two reads             it took edges and marks first, the life's row last
    an undelete                                is another life, with edges of its own

So what is nowhere is over for good, and nobody adds to it: what it has left is taken as it was
read. What a page shows of lives is enough to leave alone what is theirs, and never to take it.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import batched, groupby
from operator import itemgetter
from typing import Self, cast

from shared.events import Cause
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.deletions.endings import is_of_rotten
from shared.services.sweep.findings import Finding, Mend, Told, What, as_far_as_it_goes
from shared.storage import ages, keys
from shared.storage.messages.errands import Errand, Kind
from shared.storage.ports import MOST_CHANGES, Conflict, Delete, NotFound, Row
from shared.storage.rows.contents import LINK
from shared.storage.rows.records import purged_in
from shared.storage.stores import Stores

_CAUSE = asdict(Cause("sweep"))


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one repository on a page, by what they are."""

    repository: RepositoryName
    rows: Mapping[str, Sequence[Row]]

    @classmethod
    def of(cls, repository: RepositoryName, rows: Iterable[Row]) -> Self:
        """Sort rows by what they are."""
        kinds: dict[str, list[Row]] = {}
        for row in rows:
            kinds.setdefault(keys.kind_of(row.key), []).append(row)
        return cls(repository, kinds)

    def all(self, *kinds: str) -> list[Row]:
        """Give the rows of these kinds."""
        return [row for kind in kinds for row in self.rows.get(kind, ())]

    def older(self, kind: str, age: timedelta) -> list[Row]:
        """Give the rows of a kind that were last written longer ago."""
        return [row for row in self.all(kind) if row.age > age]

    def lives(self, *kinds: str) -> set[str]:
        """Give the lives that rows of these kinds show."""
        return {str(row.values["life"]) for row in self.all(*kinds)}

    def finding(self, what: What, rows: Iterable[Row], mend: Mend) -> Finding:
        """Say what was found here."""
        return Finding(what, self.repository, tuple(row.key for row in rows), mend)


class ContentsSweep:
    """Looks at the rows of repositories.

    `lately` is how long a link is safe after it was last used, `kept` for how long what is deleted
    can come back.
    """

    def __init__(self, stores: Stores, told: Told, *, lately: timedelta, kept: timedelta) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._told = told
        self._lately = lately
        self._kept = kept

    async def look(self, rows: Sequence[tuple[RepositoryName, Row]]) -> AsyncIterator[Finding]:
        """Find what was left."""
        looks = (
            self._at_sight,
            self._links,
            self._lives,
            self._edges,
            self._marks,
            self._deletions,
        )
        for repository, group in groupby(rows, key=itemgetter(0)):
            part = _Part.of(repository, (row for _, row in group))
            for look in looks:
                async for finding in as_far_as_it_goes(look(part), repository):
                    yield finding

    async def _at_sight(self, part: _Part) -> AsyncIterator[Finding]:
        """Find what shows by itself: abandoned builds, events that wait, history that is over."""
        for row in part.older("build", 2 * ages.L):
            digest, life = keys.user_of(row.key)
            send = self._errand(Kind.END_BUILD, part, digest=str(digest), life=life)
            yield part.finding(What.BUILD, [row], send)
        waiting = [row for row in part.older("outbox", 2 * ages.L) if not row.values.get("state")]
        handed = [row for row in part.older("outbox", 9 * ages.L) if row.values.get("state")]
        for events in batched([*waiting, *handed], MOST_CHANGES, strict=False):
            names = [row.key for row in events]
            send = partial(self._stores.outbox.promise, part.repository, names)
            yield part.finding(What.EVENT, events, send)
        if moved := part.older("moved", self._kept):
            yield part.finding(What.HISTORY, moved, partial(self._take, part, moved))

    async def _links(self, part: _Part) -> AsyncIterator[Finding]:
        used = {row.key.split("|")[1] for row in part.all("edge")}
        for row in part.older("blob", self._lately):
            digest = Digest.parse(keys.last_part(row.key))
            if str(digest) in used or await self._contents.edges(part.repository, digest, 1):
                continue
            collect = partial(self._told.collect, part.repository, digest)
            yield part.finding(What.LINK, [row], collect)

    async def _lives(self, part: _Part) -> AsyncIterator[Finding]:
        """Find lives that are to be purged; and what is kept, where that is not listed."""
        over = part.older("deleted", 2 * ages.L)
        if over and not await self._stores.index.is_kept(part.repository):
            keep = partial(self._stores.index.keep, part.repository)
            yield part.finding(What.NOT_AMONG_KEPT, over, keep)
        for row in over:
            at, until = (cast("datetime", row.values[name]) for name in ("deleted_at", "until"))
            digest, life = keys.user_of(row.key)
            is_over = purged_in(at, until, row.age) < timedelta()
            if is_over and not await self._waits(part.repository, digest, row):
                send = self._errand(Kind.PURGE, part, digest=str(digest), life=life)
                yield part.finding(What.LIFE, [row], send)

    async def _waits(self, repository: RepositoryName, digest: Digest, row: Row) -> bool:
        """Tell whether the purge of a life waits for another: what we send would wait with it."""
        longer = await self._stores.deleted.outlasting(repository, digest, row.written)
        return longer is not None and longer.purged_in >= timedelta()

    async def _edges(self, part: _Part) -> AsyncIterator[Finding]:
        shown = part.lives("build", "manifest", "deleted")
        edges: dict[tuple[Digest, str], list[Row]] = {}
        for row in part.older("edge", 2 * ages.L):
            edges.setdefault(keys.user_of(row.key), []).append(row)
        for (user, life), left in edges.items():
            if life in shown or await self._contents.has_life(part.repository, user, life):
                continue
            yield part.finding(What.EDGE, left, partial(self._take_edges, part, left))

    async def _marks(self, part: _Part) -> AsyncIterator[Finding]:
        shown = part.lives("deleted")
        marks: dict[tuple[Digest, str], list[Row]] = {}
        for row in part.older("tagged", 2 * ages.L):
            if life := str(row.values["life"]):
                marks.setdefault((Digest.parse(row.key.split("|")[1]), life), []).append(row)
        for (digest, life), left in marks.items():
            if life in shown:
                continue
            if not await self._contents.has_life(part.repository, digest, life):
                yield part.finding(What.MARK, left, partial(self._take, part, left))
            elif await self._is_settled(part.repository, digest, life):
                about = {"digest": str(digest), "life": life, "fresh": life}
                send = self._errand(Kind.END_RESTORE, part, **about, cause=_CAUSE)
                yield part.finding(What.TAG_TAKEN, left, send)

    async def _is_settled(self, repository: RepositoryName, digest: Digest, life: str) -> bool:
        """Tell whether a life is there, nobody has been at it lately, and tags can come."""
        record = await self._contents.manifest(repository, digest, with_body=False)
        if record is None or record.life != life or record.deletion or record.age <= 2 * ages.L:
            return False
        return await self._contents.writable(repository) is not None

    async def _deletions(self, part: _Part) -> AsyncIterator[Finding]:
        """Find what is being deleted, and nobody is at it.

        Without `writable` no manifest goes but those that have rotted.
        """
        for row in part.older(keys.REPOSITORY, 2 * ages.L):
            if deletion := str(row.values.get("deletion", "")):
                send = self._errand(Kind.DELETE_REPOSITORY, part, deletion=deletion)
                yield part.finding(What.REPOSITORY_DELETION, [row], send)
        begun = [row for row in part.older("manifest", 2 * ages.L) if row.values.get("deletion")]
        if begun and await self._contents.writable(part.repository) is None:
            begun = [row for row in begun if _is_rotten(row)]
        now = self._stores.clock()
        for row in begun:
            life = str(row.values["life"])
            send = self._errand(
                Kind.END_DELETION,
                part,
                digest=keys.last_part(row.key),
                life=life,
                rotten=life if _is_rotten(row) else "",
                deletion=str(row.values["deletion"]),
                cause=_CAUSE,
                at=now.isoformat(),
                until=(now + self._kept).isoformat(),
            )
            yield part.finding(What.DELETION, [row], send)

    def _errand(self, kind: Kind, part: _Part, **fields: str | Mapping[str, str]) -> Mend:
        errand = Errand(kind, self._stores.generation, part.repository, fields)
        return partial(self._stores.errands.send_again, errand, timedelta())

    async def _take_edges(self, part: _Part, edges: Sequence[Row]) -> None:
        """Take edges, and tell the collector of the blobs that they held."""
        await self._take(part, edges)
        for row in edges:
            if row.values["names"] == LINK:
                await self._told.collect(part.repository, Digest.parse(row.key.split("|")[1]))

    async def _take(self, part: _Part, rows: Iterable[Row]) -> None:
        """Take rows as they were read; leave alone what has changed, or is gone."""
        left = list(rows)
        while left:
            some = [Delete(row.key, row.etag) for row in left[:MOST_CHANGES]]
            try:
                await self._contents.commit(part.repository, some)
            except (Conflict, NotFound) as error:
                del left[error.index]
            else:
                del left[:MOST_CHANGES]


def _is_rotten(manifest: Row) -> bool:
    """Tell whether a manifest is being deleted because its bytes have rotted."""
    return is_of_rotten(str(manifest.values["deletion"]))
