"""Standing: rows are written only while the registry is known to be what it was.

A request may take an hour: in that time its registry can be deleted, and made anew. So each change
is sent on a record of the registry that was read less than a minute before; where it is older,
whoever made these rows reads it again, and refuses the change if the registry is another one now.
"""

from collections.abc import Awaitable, Callable, Sequence

from shared.storage.layers.passing import PassingRows
from shared.storage.ports import Change, Rows


class StandingRows(PassingRows):
    """Rows of one registry generation; `check` raises where it is none any more."""

    def __init__(self, rows: Rows, check: Callable[[], Awaitable[None]]) -> None:
        super().__init__(rows)
        self._check = check

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none, once it is known that the registry still stands."""
        await self._check()
        return await super().commit(table, partition, changes)
