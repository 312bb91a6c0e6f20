"""Where each blob's bytes are, and which repositories hold it: the partition of a digest.

    content    the object with the bytes, its ETag, its size, and whether it is sound
    gone|HEX   an object out of use that is to be removed: its ETag; if its bytes are bad also how
               far its healing is, which it is held for
    good|HEX   there while `content` names the object HEX and is sound
    repo|REPO  a repository that holds the blob

Who comes to hold the blob (`offer`, `join`) changes `good|` and `repo|` blindly: so a crowd that
shares a layer never collides with itself, and where there is no `good|` the object is not to be
relied on. Who leaves it changes `content` under the ETag that was read: so of two that leave at
once one fails, reads again, and finds itself the last. The last one out takes `content` and `good|`
by the ETags that were read before it looked for others (`good|` sorts before them): so it fails
when anyone has joined since.

An object is put into `content` by the call that made it, and by no other. One that is not needed,
since the digest has a sound object already, is named by nothing, and left to `garbage.leftovers`.
Noting it here as gone would be wrong: a transaction that joins and notes may go through and be
repeated by the storage client, with an answer that says that the content has gone since; then who
offers the object again puts into service what is on its way out. Bad bytes are condemned, whoever
relies on them: then nobody joins them any more, and the next sound ones take their place.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.messages.errands import Errands
from shared.storage.ports import (
    ANY,
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    Put,
    Row,
    Rows,
    Unavailable,
    Update,
    Upsert,
    Value,
)

GOOD, BAD = "good", "bad"

_TRIES = 8
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Content:
    """A physical blob: the object, its ETag, and its size in bytes."""

    object: str
    etag: str
    size: int

    def values(self) -> dict[str, Value]:
        """Give the values of the row `content` of a sound one that is yet to be verified."""
        return {"object": self.object, "etag": self.etag, "size": self.size, "state": GOOD}


@dataclass(frozen=True, slots=True)
class Gone:
    """An object out of use, and its ETag.

    `is_bad` says that its bytes were: then it is removed, and forgotten once `is_removed` and
    `is_healed` both hold. `row` is the row as it was read.
    """

    object: str
    etag: str
    is_bad: bool = False
    is_removed: bool = False
    is_healed: bool = False
    row: Row = field(default=Row(""), compare=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What the collector sees of a digest, and of one repository among the holders.

    `is_elsewhere` says that others hold the blob too; `gone` are objects yet to be removed.
    """

    content: Row | None
    good: Row | None
    holder: Row | None
    is_elsewhere: bool
    gone: tuple[Gone, ...]


class Holdings:
    """The blobs of one registry generation."""

    def __init__(self, rows: Rows, generation: str, errands: Errands) -> None:
        self._rows = rows
        self._errands = errands
        self._generation = generation

    async def offer(
        self,
        digest: Digest,
        repository: RepositoryName,
        own: Content,
        verified: datetime | None = None,
    ) -> Content:
        """Record that a repository holds a blob, and bring its bytes; give the bytes to use.

        Those are the ones already there, if they are sound: a digest has one object. Where they are
        bad, upkeep is told before they are replaced, and shows the new ones wherever those were.
        """
        for _ in range(_TRIES):
            if await self._insert(digest, repository, own, verified):
                return own
            row = await self._get(digest, keys.CONTENT)
            if row is None:
                continue
            there = content_of(row)
            if row.values["state"] == GOOD:
                if await self.join(digest, repository, there.object):
                    return there
            elif there.object == own.object:
                break
            else:
                await self._errands.announce_healing(repository, digest)
                if await self._replace(digest, repository, row, own):
                    return own
        raise Unavailable(f"the rows of {digest} keep changing")

    async def _insert(
        self,
        digest: Digest,
        repository: RepositoryName,
        own: Content,
        verified: datetime | None,
    ) -> bool:
        """Bring the first bytes; False where there are some.

        Those that were `verified` already are not new: of their rows some may be left.
        """
        good = keys.good(own.object)
        changes: list[Change] = [
            Insert(keys.CONTENT, {**own.values(), **({"verified": verified} if verified else {})}),
            Upsert(good, {}) if verified else Insert(good, {}),
            Put(keys.holder(repository), {}),
        ]
        try:
            await self._commit(digest, changes)
        except Conflict:
            return False
        return True

    async def _replace(
        self, digest: Digest, repository: RepositoryName, row: Row, own: Content
    ) -> bool:
        """Put sound bytes in the place of bad ones; False where the rows have changed."""
        changes: list[Change] = [
            Update(keys.CONTENT, {**own.values(), "verified": ""}, row.etag),
            Insert(keys.good(own.object), {}),
            Put(keys.holder(repository), {}),
        ]
        try:
            await self._commit(digest, changes)
        except (Conflict, NotFound):
            return False
        return True

    async def join(self, digest: Digest, repository: RepositoryName, name: str) -> bool:
        """Record that one more repository holds a blob; False where it is not this object."""
        changes: list[Change] = [Update(keys.good(name), {}, ANY), Put(keys.holder(repository), {})]
        try:
            await self._commit(digest, changes)
        except NotFound:
            return False
        return True

    async def holders(self, digest: Digest, after: str, limit: int) -> list[RepositoryName]:
        """List up to `limit` repositories that hold a blob, whose keys follow `after`."""
        rows = await self._scan(digest, after or keys.HOLDERS, limit)
        return [keys.decode_repository(keys.last_part(row.key)) for row in rows]

    async def content(self, digest: Digest) -> Row | None:
        """Read which object has a blob's bytes."""
        return await self._get(digest, keys.CONTENT)

    async def names(self, digest: Digest, name: str) -> bool:
        """Tell whether an object is a blob's content, or is out of use and noted so.

        The content is read first: an object that is put out of use is noted at the same time.
        """
        row = await self._get(digest, keys.CONTENT)
        if row and row.values["object"] == name:
            return True
        return await self.is_gone(digest, name)

    async def is_gone(self, digest: Digest, name: str) -> bool:
        """Tell whether an object is noted as out of use."""
        return await self._get(digest, keys.gone(name)) is not None

    async def held(self, digest: Digest, repository: RepositoryName) -> Held:
        """Read what the collector needs to know, in the order of the keys.

        It reads on until it sees another holder, or to the last page.
        """
        own, after = keys.holder(repository), ""
        content = good = holder = None
        gone: list[Gone] = []
        is_elsewhere = False
        while not is_elsewhere:
            rows = await self._scan(digest, after, _PAGE)
            for row in rows:
                kind = row.key.partition("|")[0]
                content = row if row.key == keys.CONTENT else content
                good = row if kind == "good" else good
                holder = row if row.key == own else holder
                is_elsewhere = is_elsewhere or (kind == "repo" and row.key != own)
                if kind == "gone":
                    gone.append(self._gone(row))
            if len(rows) < _PAGE:
                break
            after = rows[-1].key
        if is_elsewhere:
            holder = holder or await self._get(digest, own)
        return Held(content, good, holder, is_elsewhere, tuple(gone))

    async def leave(self, digest: Digest, held: Held) -> tuple[Gone, ...] | None:
        """Strike a repository off the holders, and with the last one the content.

        Gives the objects that this put out of use; None where a row has changed since it was read.
        """
        if held.holder is None:
            return ()
        changes: list[Change] = [Delete(held.holder.key, held.holder.etag)]
        if held.content:
            changes += self._leaving(held, held.content)
        try:
            etags = await self._commit(digest, changes)
        except (Conflict, NotFound):
            return None
        return tuple(
            self._gone(Row(change.key, change.values, etag))
            for change, etag in zip(changes, etags, strict=True)
            if isinstance(change, Insert)
        )

    def _leaving(self, held: Held, content: Row) -> list[Change]:
        if held.is_elsewhere:
            return [Update(keys.CONTENT, {}, content.etag)]
        there = content_of(content)
        taken: list[Change] = [Delete(keys.CONTENT, content.etag)]
        taken += [_left_behind(gone) for gone in held.gone if gone.is_bad]
        if held.good:
            taken.append(Delete(held.good.key, held.good.etag))
            taken.append(Insert(keys.gone(there.object), {"etag": there.etag}))
        return taken

    async def verified(self, digest: Digest, content: Row, now: datetime) -> bool:
        """Record that the bytes are what they should be; False where the content has changed."""
        try:
            await self._commit(digest, [Update(content.key, {"verified": now}, content.etag)])
        except (Conflict, NotFound):
            return False
        return True

    async def condemn(self, digest: Digest, bad: Content, now: datetime) -> bool:
        """Take bad bytes out of service; False where the content is not them, or is known as bad.

        It wins whoever joins at the same time: where `good|` is there, the content is that object.
        """
        changes: list[Change] = [
            Delete(keys.good(bad.object)),
            Update(keys.CONTENT, {"state": BAD, "verified": now}),
            Insert(keys.gone(bad.object), {"etag": bad.etag, "bad": True}),
        ]
        try:
            await self._commit(digest, changes)
        except (Conflict, NotFound):
            return False
        return True

    async def confirm(self, digest: Digest, content: Row) -> None:
        """Record that the content is sound, as its row says, where that alone is not there."""
        there = content_of(content)
        changes: list[Change] = [
            Update(keys.CONTENT, {}, content.etag),
            Insert(keys.good(there.object), {}),
        ]
        with suppress(Conflict, NotFound):
            await self._commit(digest, changes)

    async def lack(
        self, digest: Digest, repository: RepositoryName, bad: Content, now: datetime
    ) -> None:
        """Record that a repository needs a blob of which there are bad bytes alone.

        They are condemned, if they are not so yet: the next sound ones are shown there as well.
        """
        holder = Put(keys.holder(repository), {})
        changes: list[Change] = [
            Insert(keys.CONTENT, {**bad.values(), "state": BAD, "verified": now}),
            Insert(keys.gone(bad.object), {"etag": bad.etag, "bad": True}),
            holder,
        ]
        await self._errands.announce_healing(repository, digest)
        try:
            await self._commit(digest, changes)
        except Conflict:
            await self._commit(digest, [holder])

    async def gone(self, digest: Digest) -> list[Gone]:
        """List the objects that are out of use and not forgotten."""
        found: list[Gone] = []
        after = keys.gone("")
        while True:
            rows = await self._scan(digest, after, _PAGE, before=keys.end_of("gone"))
            found += [self._gone(row) for row in rows]
            if len(rows) < _PAGE:
                return found
            after = rows[-1].key

    async def let_go(self, digest: Digest, gone: Gone) -> bool:
        """Record how far the healing of bad bytes is, and forget them at its end.

        At its end are those removed and healed, and those removed that nobody holds any more.
        False where the note has changed since it was read.
        """
        is_held = await self._get(digest, keys.CONTENT) is not None
        done = {"removed": gone.is_removed, "healed": gone.is_healed}
        marks: dict[str, Value] = {name: True for name, is_done in done.items() if is_done}
        is_over = gone.is_removed and (gone.is_healed or not is_held)
        key, etag = gone.row.key, gone.row.etag
        try:
            change = Delete(key, etag) if is_over else Update(key, marks, etag)
            await self._commit(digest, [change])
        except (Conflict, NotFound):
            return False
        return True

    async def forget(self, digest: Digest, gone: Gone) -> None:
        """Record that an object out of use is removed; a later note of its name stays."""
        with suppress(NotFound, Conflict):
            await self._commit(digest, [Delete(gone.row.key, gone.row.etag)])

    def _gone(self, row: Row) -> Gone:
        values = row.values
        return Gone(
            object=keys.object_name(self._generation, keys.last_part(row.key)),
            etag=str(values["etag"]),
            is_bad="bad" in values,
            is_removed="removed" in values,
            is_healed="healed" in values,
            row=row,
        )

    async def _get(self, digest: Digest, key: str) -> Row | None:
        return await self._rows.get(keys.BLOBS, self._partition(digest), key)

    async def _scan(self, digest: Digest, after: str, limit: int, before: str = "") -> list[Row]:
        return await self._rows.scan(
            keys.BLOBS,
            self._partition(digest),
            after=after,
            before=before or keys.end_of("repo"),
            limit=limit,
        )

    async def _commit(self, digest: Digest, changes: Sequence[Change]) -> list[str]:
        return await self._rows.commit(keys.BLOBS, self._partition(digest), changes)

    def _partition(self, digest: Digest) -> str:
        return keys.blob_partition(self._generation, digest)


def _left_behind(gone: Gone) -> Change:
    """Forget bad bytes that are removed; else see that who removes them reads again."""
    key, etag = gone.row.key, gone.row.etag
    return Delete(key, etag) if gone.is_removed else Update(key, {}, etag)


def content_of(row: Row) -> Content:
    """Read the row `content`."""
    values = row.values
    return Content(str(values["object"]), str(values["etag"]), cast("int", values["size"]))
