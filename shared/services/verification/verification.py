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

A row may name an object that is not there, or that somebody else has overwritten: then its ETag is
another one. Who comes upon it, the scrub or a reader, says of which digest it was: there is no
metadata to tell.

What is bad or missing is noted in a report before anything is done about it (`rows.scrubs`).

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
from shared.services.garbage.leftovers import Leftovers
from shared.services.verification.hashing import hash_on
from shared.storage import ages, keys
from shared.storage.ages import Span
from shared.storage.messages.errands import Kind
from shared.storage.messages.verifying import ToVerify
from shared.storage.origins import BLOB, MANIFEST, Origin
from shared.storage.ports import Facts, NotFound, Row
from shared.storage.rows.holdings import GOOD, content_of
from shared.storage.rows.records import ManifestRecord
from shared.storage.rows.rounds.scrubs import BAD, COPY, MISSING, Damage
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

_TRIES = 8
SOUND = ""

LONGEST = timedelta(minutes=5)
"""For how long one message hashes; what takes longer goes on in another one."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: whether the bytes are sound (None: not known), and what is to follow.

    `progress` is how far it is, where that took too long; `fault` is what is wrong with it.
    """

    is_sound: bool | None = None
    again: timedelta | None = None
    progress: Progress | None = None
    fault: str = ""


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
        about = Origin.find(facts) if facts else None
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

    async def go_on(self, asked: ToVerify) -> Verified:
        """Verify an object, as far as a message can, and send the message of what is to follow."""
        if asked.repository and asked.digest:
            return await self._look_for(asked.name, asked.repository, asked.digest)
        progress, ask = self._seal.open(asked.part), self._stores.verifying.ask
        found = await self.verify(asked.name, progress, asked.digest, is_again=asked.is_again)
        if found.progress:
            await ask(asked.name, part=self._seal.close(found.progress), digest=asked.digest)
        elif found.again is not None:
            await ask(asked.name, found.again, digest=asked.digest, is_again=True)
        return found

    async def verify(
        self,
        name: str,
        progress: Progress | None = None,
        digest: Digest | None = None,
        *,
        is_again: bool = False,
    ) -> Verified:
        """Hash an object, and mark or condemn it; or remove it where nothing uses it.

        `digest` is the one whose content it is to be, where a row says so. With `is_again` it was
        looked at before, and the collector was asked.
        """
        looked = await self._leftovers.look_at(name)
        found = _Found.read(name, looked.facts)
        if found and found.kind == MANIFEST:
            return await self._verify_body(found, looked.again, progress)
        sought = digest or (found.digest if found else None)
        row = await self._holdings.content(sought) if sought else None
        is_named = row is not None and content_of(row).object == name
        is_known = is_again or bool(progress)
        if found and not is_known and not (is_named and row and row.values.get("verified")):
            await self._stores.collecting.ask(
                found.repository, [found.digest], after=self._unused, since=self._clock()
            )
        if row is None or sought is None or not is_named:
            return Verified(again=looked.again)
        if found is None or (found.digest, found.etag) != (sought, content_of(row).etag):
            return await self._miss(name, sought, row, progress)
        return await self._verify_blob(found, row, progress)

    async def _miss(
        self, name: str, digest: Digest, row: Row, progress: Progress | None
    ) -> Verified:
        """See to an object that was not there, or was another, before a row was read that names it.

        It may have been made meanwhile, with that row. One that is not there now, and named all the
        same, is gone, or somebody else has overwritten it.

        One that is as the row names it, and does not say what it is, or says something else, stays
        so. Its bytes are hashed all the same: only a rebuild goes by what it says.
        """
        etag = content_of(row).etag
        facts = await self._objects.facts(name)
        is_there = facts is not None and facts.etag == etag
        said = _Found.read(name, facts) if is_there else None
        if said and said.digest == digest:
            return Verified(again=ages.L)
        holders = await self._holdings.holders(digest, "", 1)
        if not holders:  # nobody is there to heal it for
            return Verified(is_sound=False, fault=MISSING)
        found = _Found(name, etag, BLOB, holders[0], digest)
        if not is_there:
            return await self._settle(found, row, MISSING)
        _log.error("object %s does not say that it is of %s, as its row does", name, digest)
        return await self._verify_blob(found, row, progress)

    async def _verify_blob(self, found: _Found, row: Row, progress: Progress | None) -> Verified:
        hashed = await self._hash(found, progress)
        if isinstance(hashed, Progress):
            return Verified(progress=hashed)
        return await self._settle(found, row, hashed)

    async def _content(self, found: _Found) -> Row | None:
        """Read the row that says that the object is the content of its digest."""
        row = await self._holdings.content(found.digest)
        there = content_of(row) if row else None
        is_it = there and (there.object, there.etag) == (found.name, found.etag)
        return row if is_it else None

    async def _hash(self, found: _Found, progress: Progress | None) -> Progress | str:
        """Tell what is wrong with the bytes, or "" of sound ones.

        What seems bad is read once more, to be sure.
        """
        span = Span(self._stores.ticks, LONGEST)
        now = progress if progress and found.is_of(progress) else found.begins()
        while True:
            try:
                hashed = await hash_on(self._objects, now, span)
            except NotFound:
                return MISSING
            if isinstance(hashed, Progress):
                return hashed
            if hashed == found.digest or now.is_second:
                return SOUND if hashed == found.digest else BAD
            now = found.begins(is_second=True)

    async def _settle(self, found: _Found, content: Row, fault: str) -> Verified:
        """Write down what was found, unless the object is no longer the content of its digest."""
        row: Row | None = await self._content(found) if fault else content
        for _ in range(_TRIES):
            if row is None:
                return Verified()
            if not fault and await self._holdings.verified(found.digest, row, self._clock()):
                return Verified(is_sound=True)
            if fault and await self._condemn(found, row, fault):
                return Verified(is_sound=False, fault=fault)
            row = await self._content(found)
        raise Unavailable(f"the rows of object {found.name} keep changing: verify it later")

    async def _condemn(self, found: _Found, content: Row, fault: str) -> bool:
        """Take bad bytes out of service; False where the content has changed meanwhile."""
        await self._errands.announce_healing(found.repository, found.digest)
        if content.values["state"] != GOOD:
            return True
        await self._note(found, BLOB, fault)
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
            return Verified(not hashed, again, fault=hashed)
        if not hashed:
            return Verified(is_sound=True)
        return await self._mend_body(found, record, hashed)

    async def _look_for(self, name: str, repository: RepositoryName, digest: Digest) -> Verified:
        """Verify a manifest whose body a reader missed, in its row or in an object."""
        record = await self._contents.manifest(repository, digest, with_body=True)
        if record is None or keys.object_name(self._stores.generation, record.life) != name:
            return Verified()
        return await self.verify_manifest(repository, record)

    async def verify_manifest(self, repository: RepositoryName, record: ManifestRecord) -> Verified:
        """Verify a manifest that is there: the body in its row, and the object with the body."""
        name = keys.object_name(self._stores.generation, record.life)
        facts = await self._objects.facts(name)
        found = _Found(name, facts.etag if facts else "", MANIFEST, repository, record.digest)
        if record.body is not None and not _is_body_sound(record):
            now = await self._contents.life(repository, record.digest, record.life)
            if now is None or _is_body_sound(now):  # what seems bad is read once more
                return Verified()
            return await self._mend_body(found, now, BAD)
        if facts is None:
            return await self._mend_body(found, record, MISSING)
        return await self._verify_body(found, None, None)

    async def _mend_body(self, found: _Found, record: ManifestRecord, fault: str) -> Verified:
        """Make a copy again; of a life whose only body is gone that is the end."""
        repository, digest, life = found.repository, found.digest, record.life
        if record.body is not None and _is_body_sound(record):
            await self._note(found, COPY, fault)
            await self._errands.send(
                Kind.COPY_BODY, repository, digest=str(digest), life=life, bad=found.etag
            )
        else:
            with suppress(ManifestUnknown, Superseded):
                await self._note(found, MANIFEST, fault)
                await self._manifests.delete_rotten(repository, digest, life)
        return Verified(is_sound=False, fault=fault)

    async def _note(self, found: _Found, kind: str, fault: str) -> None:
        """Write a report of what was found, before anything is done about it."""
        where, digest, now = found.repository, found.digest, self._clock()
        _log.error("object %s, a %s of %s in %s, is %s", found.name, kind, digest, where, fault)
        await self._stores.scrubs.note(Damage(found.name, kind, where, digest, fault, now))


def _is_body_sound(record: ManifestRecord) -> bool:
    body = record.body
    return body is not None and Digest.of(body, record.digest.algorithm) == record.digest
