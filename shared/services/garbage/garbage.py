"""Garbage: a blob leaves a repository that no longer uses it, and with the last one its bytes go.

One step of the collector is for one blob in one repository, in this order:

    G0 read the digest's partition: the content, `good|`, then the holders
    G1 read the link
    G2 read its edges; stop where there is any, whether its manifest is there or can be restored,
       and whether there is a link: one that named bad bytes comes back with good ones. Who takes
       the last edge asks again. Stop where the link was used lately
    G3 delete the link, as it was read
    G4 transaction: delete the holder, as it was read, if it is older than twice L. If no other is
       left the content and `good|` as well, and note the object as gone; else change the content
    G5 remove the object, as it was noted; bad ones are left to `healing`, which is told
    G6 delete the note

It takes no lock. What decides against each of those who use a blob:

    manifest PUT   changes the link and adds its edge in one transaction: before G1 we see both,
                   between G1 and G3 G3 fails and we begin again at G0; after it the PUT fails
    HEAD           changes the link, or has found it used within half the grace period
    upload, mount  J1 changes `good|` and the holder, J2 writes the link within half of L. J1 before
                   G0 makes the holder a young one; J1 between G0 and G4 makes G4 fail; J1 after G4
                   finds no content, so an upload brings its own bytes, and a mount fails
    join elsewhere J1 between the pages of G0 is a holder that we may not see, but has changed
                   `good|`, which was read before: G4 fails if we took ourselves for the last
    another G4     of another repository has changed the content: ours fails, and begins again at
                   G0, where it sees that nobody is left. So no content stays without a holder
    blob DELETE    deletes the link as it was read; with a link missing at G1 we go on at G4
    a late insert  of a link, after a DELETE: it is a link that nothing uses, as any other

Lately is one and a half grace periods: HEAD promises a whole one for a link that was used half a
one ago. All ages are storage's own. What is too early now says when to come again. A crash leaves a
holder without a link, or the note of an object: another step goes on from there, with G5 and G6 for
what was noted before it first. An object's name can come back, and is then noted anew.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from shared.errors import Unavailable
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import ages, halt, keys
from shared.storage.ports import Conflict, Delete, NotFound
from shared.storage.rows.holdings import Gone, Held
from shared.storage.rows.records import Link
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

_TRIES = 8

LONGEST_WAIT = timedelta(days=7)
"""How long a message can be delayed; who is to wait for longer comes again, and waits again."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a step took, or would have: the keys of rows, and the names of objects.

    `again` is when it is worth coming again; None where nothing is to be waited for. `used` is how
    long ago the use was that is waited for, where it is for one.
    """

    taken: tuple[str, ...] = ()
    again: timedelta | None = None
    used: timedelta | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What there is to do: a link to delete, a repository that leaves, objects to remove."""

    link: Link | None
    held: Held
    is_leaving: bool
    again: timedelta | None
    used: timedelta | None = None

    @property
    def takes(self) -> bool:
        """Tell whether anything is to be removed."""
        return bool(self.link or self.is_leaving or any(not it.is_bad for it in self.held.gone))

    def outcome(self) -> Collected:
        """Say what is taken by it."""
        taken = [keys.blob(self.link.digest)] if self.link else []
        if self.is_leaving and self.held.holder:
            taken.append(self.held.holder.key)
            if self.held.content and not self.held.is_elsewhere:
                taken += [keys.CONTENT, str(self.held.content.values["object"])]
        taken += [gone.object for gone in self.held.gone if not gone.is_bad]
        again = min(self.again, LONGEST_WAIT) if self.again else None
        return Collected(tuple(taken), again, self.used)


class Garbage:
    """Collects what is not used. `grace` is how long a blob is safe after it was last used.

    With `is_dry` it changes nothing, and says what it would take.
    """

    def __init__(self, stores: Stores, grace: timedelta, *, is_dry: bool = False) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._holdings = stores.holdings
        self._objects = stores.objects
        self._errands = stores.errands
        self._lately = grace * 3 / 2
        self._is_dry = is_dry

    async def collect(self, repository: RepositoryName, digest: Digest) -> Collected:
        """Take a blob out of a repository that has not used it lately, and its bytes if nobody has.

        May be repeated at any time, and be called for a blob that is in use or was never there.
        """
        for _ in range(_TRIES):
            plan = await self._plan(repository, digest)
            if not self._is_dry and plan.takes and await self._stores.removal_is_halted():
                return Collected(again=halt.AGAIN)
            if self._is_dry:
                return plan.outcome()
            if await self._carry_out(repository, digest, plan):
                return _done(repository, digest, plan.outcome())
        raise Unavailable(f"{digest} is being changed too often: collect it later")

    async def _plan(self, repository: RepositoryName, digest: Digest) -> _Plan:
        held = await self._holdings.held(digest, repository)
        link = await self._contents.link(repository, digest)
        if await self._contents.edges(repository, digest, 1):
            return _Plan(None, held, is_leaving=False, again=None)
        if link and link.age <= self._lately:
            left = self._lately - link.age
            return _Plan(None, held, is_leaving=False, again=left, used=link.age)
        if held.holder and held.holder.age <= 2 * ages.L:
            used = held.holder.age
            return _Plan(link, held, is_leaving=False, again=2 * ages.L - used, used=used)
        return _Plan(link, held, is_leaving=held.holder is not None, again=None)

    async def _carry_out(self, repository: RepositoryName, digest: Digest, plan: _Plan) -> bool:
        """Do it; False where something changed meanwhile."""
        if plan.link:
            deletion = Delete(keys.blob(digest), plan.link.etag)
            try:
                await self._contents.commit(repository, [deletion])
            except (Conflict, NotFound):
                return False
        await self._remove_all(digest, plan.held.gone)
        noted = await self._holdings.leave(digest, plan.held) if plan.is_leaving else ()
        if noted is None:
            return False
        await self._remove_all(digest, noted)
        for gone in (*plan.held.gone, *noted):
            if gone.is_bad and (plan.held.good or not gone.is_removed):
                await self._errands.announce_healing(repository, digest)
        return True

    async def _remove_all(self, digest: Digest, noted: Iterable[Gone]) -> None:
        for gone in noted:
            if not gone.is_bad:
                await self.remove(digest, gone)

    async def remove(self, digest: Digest, gone: Gone) -> None:
        """Remove an object out of use, and the note of it."""
        await self._objects.delete(gone.object, gone.etag)
        await self._holdings.forget(digest, gone)


def _done(repository: RepositoryName, digest: Digest, collected: Collected) -> Collected:
    """Say in the log what was taken."""
    if collected.taken:
        _log.info("collected %s of %s: %s", digest, repository, ", ".join(collected.taken))
    return collected
