"""Where each blob's bytes are, and which repositories hold it: the partition of a digest.

The collector removes `content` only with the ETag it read, and only where no `repo|` row is left;
whoever stores or mounts a blob changes both rows in one transaction first, and writes the link
after. So either the collector's delete fails, or the writer finds no content and brings its own.

Who mounts has read the object's name from the source's link. In between the blob may have been
collected and uploaded again, as another object: then the row `sound|OBJECT`, which comes and goes
with the content that names the object, is not there, and the mount fails.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import (
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

GOOD = "good"
QUARANTINED = "quarantined"

_TRIES = 8
_SOME = 50  # rows before and among the holders: enough to see whether others are left


@dataclass(frozen=True, slots=True)
class Content:
    """A physical blob: the object, its size in bytes, and whether its bytes are sound."""

    object: str
    size: int
    state: str = GOOD


@dataclass(frozen=True, slots=True)
class Held:
    """What the collector sees of a digest: its content, and one repository among the holders.

    `is_elsewhere` says that others hold the blob too; `gone` are objects yet to be removed.
    """

    content: Row | None
    holder: Row | None
    is_elsewhere: bool
    gone: tuple[str, ...]


class Holdings:
    """The blobs of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def add(
        self, digest: Digest, repository: RepositoryName, content: Content, now: datetime
    ) -> Content:
        """Record that a repository holds a blob with these bytes; give the bytes to use.

        Those are the ones already there, if they are good: a digest has one object.
        """
        holder = Put(keys.holder(repository), {"seen": now})
        values: dict[str, Value] = {
            "object": content.object,
            "size": content.size,
            "state": GOOD,
            "seen": now,
        }
        for _ in range(_TRIES):
            try:
                fact = Put(keys.sound(content.object), {})
                await self._commit(digest, [Insert(keys.CONTENT, values), fact, holder])
            except Conflict:
                used = await self._join(digest, holder, values)
            else:
                used = content
            if used:
                return used
        raise Unavailable(f"the rows of {digest} keep changing")

    async def _join(self, digest: Digest, holder: Put, values: dict[str, Value]) -> Content | None:
        """Use the content that is there, or replace it where it is bad; None if it has changed."""
        row = await self._rows.get(keys.BLOBS, self._partition(digest), keys.CONTENT)
        if row is None:
            return None
        used = {**values, "object": row.values["object"]} if row.values["state"] == GOOD else values
        try:
            fact = Put(keys.sound(str(used["object"])), {})
            await self._commit(digest, [Update(keys.CONTENT, used, row.etag), fact, holder])
        except (Conflict, NotFound):
            return None
        return Content(str(used["object"]), cast("int", used["size"]))

    async def share(
        self, digest: Digest, repository: RepositoryName, name: str, now: datetime
    ) -> bool:
        """Record that one more repository holds a blob; False where it is not this object."""
        try:
            await self._commit(
                digest,
                [
                    Update(keys.CONTENT, {"seen": now}),
                    Update(keys.sound(name), {}),
                    Put(keys.holder(repository), {"seen": now}),
                ],
            )
        except NotFound:
            return False
        return True

    async def holders(self, digest: Digest, limit: int) -> list[RepositoryName]:
        """List up to `limit` repositories that hold a blob."""
        rows = await self._rows.scan(
            keys.BLOBS,
            self._partition(digest),
            after="repo|",
            before=keys.end_of("repo"),
            limit=limit,
        )
        return [keys.decode_repository(keys.last_part(row.key)) for row in rows]

    async def object(self, digest: Digest) -> str:
        """Give the name of the object with a blob's bytes; empty without any."""
        row = await self._get(digest, keys.CONTENT)
        return str(row.values["object"]) if row else ""

    async def held(self, digest: Digest, repository: RepositoryName) -> Held:
        """Read what the collector needs to know; one call unless very many hold the blob."""
        rows = await self._rows.scan(
            keys.BLOBS,
            self._partition(digest),
            after="",
            before=keys.end_of("repo"),
            limit=_SOME,
        )
        found = {row.key: row for row in rows}
        content = found.pop(keys.CONTENT, None)
        holder = found.pop(keys.holder(repository), None)
        if holder is None and len(rows) == _SOME:
            holder = await self._get(digest, keys.holder(repository))
        gone = tuple(
            keys.object_name(self._generation, keys.last_part(key))
            for key in found
            if key.startswith(keys.gone(""))
        )
        return Held(content, holder, is_elsewhere=len(found) > len(gone), gone=gone)

    async def leave(self, digest: Digest, held: Held) -> Sequence[str] | None:
        """Strike a repository off the holders, and with the last one the content.

        Gives the objects to remove now, each of which `forget` is to follow; None where a row has
        changed since it was read. While others hold the blob the content's ETag is changed: of two
        repositories that leave at the same time one meets the other, and removes the content.
        """
        changes: list[Change] = []
        gone = held.gone
        if held.holder:
            changes.append(Delete(held.holder.key, held.holder.etag))
        if held.content and held.is_elsewhere:
            same = {"state": held.content.values["state"]}
            changes.append(Update(keys.CONTENT, same, held.content.etag))
        elif held.content:
            name = str(held.content.values["object"])
            gone = (*gone, name)
            changes += [
                Delete(keys.CONTENT, held.content.etag),
                Delete(keys.sound(name)),
                Insert(keys.gone(name), {}),
            ]
        try:
            await self._commit(digest, changes)
        except (Conflict, NotFound):
            return None
        return gone

    async def forget(self, digest: Digest, name: str) -> None:
        """Record that an object out of use is removed."""
        with suppress(NotFound):
            await self._commit(digest, [Delete(keys.gone(name))])

    async def _get(self, digest: Digest, key: str) -> Row | None:
        return await self._rows.get(keys.BLOBS, self._partition(digest), key)

    async def _commit(self, digest: Digest, changes: Sequence[Change]) -> None:
        await self._rows.commit(keys.BLOBS, self._partition(digest), changes)

    def _partition(self, digest: Digest) -> str:
        return keys.blob_partition(self._generation, digest)
