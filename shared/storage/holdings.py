"""Where each blob's bytes are, and which repositories hold it: the partition of a digest.

The collector removes `content` only with the ETag it read, and only where no `repo|` row is left;
whoever stores or mounts a blob changes both rows in one transaction first, and writes the link
after. So either the collector's delete fails, or the writer finds no content and brings its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import (
    Change,
    Conflict,
    Insert,
    NotFound,
    Put,
    Rows,
    Unavailable,
    Update,
    Value,
)

GOOD = "good"
QUARANTINED = "quarantined"

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Content:
    """A physical blob: the object, its size in bytes, and whether its bytes are sound."""

    object: str
    size: int
    state: str = GOOD


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
                await self._commit(digest, [Insert(keys.CONTENT, values), holder])
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
            await self._commit(digest, [Update(keys.CONTENT, used, row.etag), holder])
        except (Conflict, NotFound):
            return None
        return Content(str(used["object"]), cast("int", used["size"]))

    async def share(self, digest: Digest, repository: RepositoryName, now: datetime) -> bool:
        """Record that one more repository holds a blob; False where the blob is gone."""
        try:
            await self._commit(
                digest,
                [
                    Update(keys.CONTENT, {"seen": now}),
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

    async def _commit(self, digest: Digest, changes: Sequence[Change]) -> None:
        await self._rows.commit(keys.BLOBS, self._partition(digest), changes)

    def _partition(self, digest: Digest) -> str:
        return keys.blob_partition(self._generation, digest)
