"""Where each blob's bytes are, and which repositories hold it: the partition of a digest.

    content    the object with the bytes, its ETag, its size, and whether it is sound
    gone|HEX   an object out of use that is to be removed: its ETag
    good|HEX   there while `content` names the object HEX and is sound
    repo|REPO  a repository that holds the blob

Who comes to hold the blob (`offer`, `join`) changes `good|` and `repo|` blindly: so a crowd that
shares a layer never collides with itself, and where there is no `good|` the object is not to be
relied on. Who leaves it changes `content` under the ETag that was read: so of two that leave at
once one fails, reads again, and finds itself the last. The last one out takes `content` and `good|`
by the ETags that were read before it looked for others (`good|` sorts before them): so it fails
when anyone has joined since.

An object is put into `content` by the call that made it, and by no other. One that is not needed,
since the digest has a sound object already, is noted as `gone|` in the transaction that joins
that one; nothing is removed here.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
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
    """An object out of use, and its ETag."""

    object: str
    etag: str


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

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def offer(self, digest: Digest, repository: RepositoryName, own: Content) -> Content:
        """Record that a repository holds a blob, and bring its bytes; give the bytes to use.

        Those are the ones already there, if they are sound: a digest has one object.
        """
        holder = Put(keys.holder(repository), {})
        new: list[Change] = [
            Insert(keys.CONTENT, own.values()),
            Insert(keys.good(own.object), {}),
            holder,
        ]
        for _ in range(_TRIES):
            with suppress(Conflict):
                await self._commit(digest, new)
                return own
            row = await self._get(digest, keys.CONTENT)
            if row is None:
                continue
            if row.values["state"] != GOOD:
                if await self._replace(digest, repository, row, own):
                    return own
                continue
            there = _content(row)
            if await self.join(digest, repository, there.object, instead_of=own):
                return there
        raise Unavailable(f"the rows of {digest} keep changing")

    async def _replace(
        self, digest: Digest, repository: RepositoryName, row: Row, own: Content
    ) -> bool:
        """Put sound bytes in the place of bad ones; False where the rows have changed."""
        changes: list[Change] = [
            Update(keys.CONTENT, own.values(), row.etag),
            Insert(keys.good(own.object), {}),
            Put(keys.holder(repository), {}),
        ]
        try:
            await self._commit(digest, changes)
        except (Conflict, NotFound):
            return False
        return True

    async def join(
        self,
        digest: Digest,
        repository: RepositoryName,
        name: str,
        *,
        instead_of: Content | None = None,
    ) -> bool:
        """Record that one more repository holds a blob; False where its bytes are not this object.

        `instead_of` is an object that is of no use then.
        """
        changes: list[Change] = [
            Update(keys.good(name), {}, ANY),
            Put(keys.holder(repository), {}),
        ]
        if instead_of and instead_of.object != name:
            changes.append(Put(keys.gone(instead_of.object), {"etag": instead_of.etag}))
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
                    gone.append(self._gone(row.key, row.values))
            if len(rows) < _PAGE:
                break
            after = rows[-1].key
        else:
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
            await self._commit(digest, changes)
        except (Conflict, NotFound):
            return None
        return tuple(
            self._gone(change.key, change.values)
            for change in changes
            if isinstance(change, Insert)
        )

    def _leaving(self, held: Held, content: Row) -> list[Change]:
        if held.is_elsewhere:
            return [Update(keys.CONTENT, {}, content.etag)]
        there = _content(content)
        taken: list[Change] = [Delete(keys.CONTENT, content.etag)]
        if held.good:
            taken.append(Delete(held.good.key, held.good.etag))
            taken.append(Insert(keys.gone(there.object), {"etag": there.etag}))
        return taken

    async def forget(self, digest: Digest, name: str) -> None:
        """Record that an object out of use is removed."""
        with suppress(NotFound):
            await self._commit(digest, [Delete(keys.gone(name))])

    def _gone(self, key: str, values: Mapping[str, Value]) -> Gone:
        name = keys.object_name(self._generation, keys.last_part(key))
        return Gone(name, str(values["etag"]))

    async def _get(self, digest: Digest, key: str) -> Row | None:
        return await self._rows.get(keys.BLOBS, self._partition(digest), key)

    async def _scan(self, digest: Digest, after: str, limit: int) -> list[Row]:
        return await self._rows.scan(
            keys.BLOBS,
            self._partition(digest),
            after=after,
            before=keys.end_of("repo"),
            limit=limit,
        )

    async def _commit(self, digest: Digest, changes: Sequence[Change]) -> None:
        await self._rows.commit(keys.BLOBS, self._partition(digest), changes)

    def _partition(self, digest: Digest) -> str:
        return keys.blob_partition(self._generation, digest)


def _content(row: Row) -> Content:
    values = row.values
    return Content(str(values["object"]), str(values["etag"]), cast("int", values["size"]))
