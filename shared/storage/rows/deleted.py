"""Lives of manifests that are over, and kept for as long as they can come back."""

from datetime import UTC, datetime
from typing import cast

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.ports import Rows
from shared.storage.rows.records import ROTTEN, DeletedRecord

_PAGE = 1_000


class Deleted:
    """What was deleted from the repositories of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def find(
        self, repository: RepositoryName, digest: Digest, life: str
    ) -> DeletedRecord | None:
        """Read a life that is over."""
        partition = self._partition(repository)
        row = await self._rows.get(keys.CONTENTS, partition, keys.deleted(digest, life))
        return DeletedRecord.read(row) if row else None

    async def page(
        self, repository: RepositoryName, after: str, limit: int, digest: Digest | str = ""
    ) -> list[DeletedRecord]:
        """List up to `limit` lives that are over, of all manifests or of one, without bodies."""
        prefix = f"deleted|{digest}" if digest else "deleted"
        rows = await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=f"{prefix}|{after}",
            before=keys.end_of(prefix),
            limit=limit,
            only=DeletedRecord.LISTED,
        )
        return [DeletedRecord.read(row) for row in rows]

    async def last(self, repository: RepositoryName, digest: Digest) -> str:
        """Name the life that ends last of those of a manifest that are over; empty without any."""
        last, after = (datetime.min.replace(tzinfo=UTC), ""), keys.deleted(digest, "")
        while True:
            rows = await self._rows.scan(
                keys.CONTENTS,
                self._partition(repository),
                after=after,
                before=keys.end_of(f"deleted|{digest}"),
                limit=_PAGE,
                only=("until",),
            )
            ends = ((cast("datetime", row.values["until"]), row.key) for row in rows)
            last = max([last, *ends])
            if len(rows) < _PAGE:
                return keys.last_part(last[1])
            after = rows[-1].key

    async def outlasting(
        self, repository: RepositoryName, digest: Digest, written: datetime
    ) -> DeletedRecord | None:
        """Find a life that was deleted before one whose row was `written`, and ends last of all.

        It has no such life itself: so no two wait for each other.
        """
        last = await self.last(repository, digest)
        longer = await self.find(repository, digest, last) if last else None
        return longer if longer and longer.written < written else None

    async def rotten(self, repository: RepositoryName, digest: Digest) -> list[str]:
        """List the lives of a manifest that ended because its bytes had rotted."""
        prefix = f"deleted|{digest}"
        rows = await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=f"{prefix}|",
            before=keys.end_of(prefix),
            limit=_PAGE,
            where={"reason": ROTTEN},
            only=("life",),
        )
        return [keys.last_part(row.key) for row in rows]

    async def is_to_return(self, repository: RepositoryName, digest: Digest, tag: Tag) -> bool:
        """Tell whether a tag went with bytes that had rotted: it comes back with a push of them."""
        partition = self._partition(repository)
        mark = await self._rows.get(keys.CONTENTS, partition, keys.tagged(digest, tag), ("life",))
        life = str(mark.values["life"]) if mark else ""
        deleted = await self.find(repository, digest, life) if life else None
        return deleted is not None and deleted.reason == ROTTEN

    def _partition(self, repository: RepositoryName) -> str:
        return keys.contents_partition(self._generation, repository)
