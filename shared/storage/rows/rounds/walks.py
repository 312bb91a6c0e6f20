"""Walks through all rows of a registry's generation, page by page; and how far the sweep is.

A page is a range of one table in the order of its keys, over however many partitions. It tells
what was there when it was read: who acts on it looks again, or by the ETag that it read.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import RegistryError
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Change, Conflict, Insert, NotFound, Put, Row, Rows, Update

_log = logging.getLogger(__name__)

_OF_CONTENTS = ("life", "deletion", "state", "names", "deleted_at", "until")


@dataclass(frozen=True, slots=True)
class Stretch[Where]:
    """Some rows on the way, each with where it is; the empty `position` is the end of the walk."""

    rows: Sequence[tuple[Where, Row]]
    position: str


@dataclass(frozen=True, slots=True)
class Saved:
    """Where the sweep is to go on, and the ETag of the row that says so, if there is one.

    `begun` is how long ago its last round began, by the store's own clock.
    """

    position: str = ""
    etag: str = ""
    begun: timedelta | None = None


class PositionRefused(Exception):
    """Storage does not go on from this position: a walk can only begin anew."""


@contextmanager
def going_on(position: str) -> Iterator[None]:
    """Read a page from a position; raises PositionRefused where storage takes that at no time."""
    try:
        yield
    except ValueError as error:
        if not position:
            raise
        raise PositionRefused(f"there is no way on from {position!r}: {error}") from error


class Walks:
    """The tables of one registry generation, to be walked through.

    Pages raise PositionRefused.
    """

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def contents(self, position: str, limit: int) -> Stretch[RepositoryName]:
        """Read rows of repositories, without what is large in them."""
        return await self._page(keys.CONTENTS, position, limit, keys.repository_of)

    async def blobs(self, position: str, limit: int) -> Stretch[Digest]:
        """Read rows that tell where blobs are and who holds them."""
        return await self._page(keys.BLOBS, position, limit, keys.digest_of)

    async def listed(self, position: str, limit: int) -> Stretch[RepositoryName]:
        """Read the rows of the catalog."""
        return await self._names(self._generation, position, limit)

    async def kept(self, position: str, limit: int) -> Stretch[RepositoryName]:
        """Read the rows that list repositories of which something deleted is kept."""
        return await self._names(keys.kept_names(self._generation), position, limit)

    async def saved(self) -> Saved:
        """Read where the sweep is to go on."""
        rows = await self._rows.scan(
            keys.REGISTRIES, keys.sweep(self._generation), after="", before=keys.end_of(""), limit=2
        )
        found = {row.key: row for row in rows}
        row, begun = found.get(keys.POSITION), found.get(keys.BEGUN)
        age = begun.age if begun else None
        return Saved(str(row.values["position"]), row.etag, age) if row else Saved(begun=age)

    async def save(self, saved: Saved, position: str) -> bool:
        """Write where it is to go on; False where another has gone on from `saved` meanwhile.

        Whoever goes on from no position has begun a round.
        """
        values = {"position": position}
        changes: list[Change] = [
            Update(keys.POSITION, values, saved.etag)
            if saved.etag
            else Insert(keys.POSITION, values)
        ]
        if not saved.position:
            changes.append(Put(keys.BEGUN, {}))
        try:
            await self._rows.commit(keys.REGISTRIES, keys.sweep(self._generation), changes)
        except (Conflict, NotFound):
            return False
        return True

    async def _page[Where](
        self, table: str, position: str, limit: int, where: Callable[[str], Where]
    ) -> Stretch[Where]:
        first = keys.of_generation(self._generation)
        with going_on(position):
            page = await self._rows.page(
                table,
                first=first,
                before=keys.end_of(first),
                position=position,
                limit=limit,
                only=_OF_CONTENTS if table == keys.CONTENTS else None,
            )
        return Stretch([*_placed(page.rows, where)], page.position)

    async def _names(self, partition: str, position: str, limit: int) -> Stretch[RepositoryName]:
        with going_on(position):
            page = await self._rows.page(
                keys.REPOSITORIES,
                first=partition,
                before=keys.after_partition(partition),
                position=position,
                limit=limit,
            )
        rows = [(keys.decode_repository(row.key), row) for _, row in page.rows]
        return Stretch(rows, page.position)


def _placed[Where](
    rows: Sequence[tuple[str, Row]], where: Callable[[str], Where]
) -> Iterator[tuple[Where, Row]]:
    """Say where each row is; one whose partition says nothing is passed over, and told."""
    for partition, row in rows:
        try:
            place = where(partition)
        except RegistryError as error:
            _log.error("row %s of partition %s is passed over: %s", row.key, partition, error)
        else:
            yield place, row
