"""What was left in the lists of repositories.

the catalog: a name that takes no pushes, or has no manifests, and no push under way
    Its row is 2 L old, so no first push is behind it. Upkeep is sent to retire it, and looks
    again: see `pushes` for who wins. What is locked stays, and what is being deleted is left to
    that deletion
those of which something is kept: a name of which nothing is
    Every deletion lists the name *after* it, then looks. Here the row is read before we look,
    and taken as it was read: a deletion that we did not see lists the name anew, before that,
    and it is not as it was, or after it
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from shared.model.names import RepositoryName
from shared.services.sweep.findings import Finding, What, as_far_as_it_goes
from shared.storage import ages
from shared.storage.messages.errands import Kind
from shared.storage.ports import Row
from shared.storage.stores import Stores


class IndexSweep:
    """Looks at the rows that list repositories."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._contents = stores.contents

    async def listed(self, rows: Sequence[tuple[RepositoryName, Row]]) -> AsyncIterator[Finding]:
        """Find what is in the catalog for nothing."""
        for repository, row in rows:
            async for finding in as_far_as_it_goes(self._listed(repository, row), repository):
                yield finding

    async def _listed(self, repository: RepositoryName, row: Row) -> AsyncIterator[Finding]:
        if row.age > 2 * ages.L and await self._is_empty(repository):
            mend = partial(self._stores.errands.send, Kind.RETIRE, repository)
            yield Finding(What.LISTED_FOR_NOTHING, repository, (row.key,), mend)

    async def kept(self, rows: Sequence[tuple[RepositoryName, Row]]) -> AsyncIterator[Finding]:
        """Find what is listed as kept for nothing."""
        for repository, row in rows:
            if row.age > 2 * ages.L and not await self._stores.deleted.page(repository, "", 1):
                mend = partial(self._stores.index.let_go, repository, row.etag)
                yield Finding(What.KEPT_FOR_NOTHING, repository, (row.key,), mend)

    async def _is_empty(self, repository: RepositoryName) -> bool:
        """Tell whether a repository has nothing and nobody is at work on it."""
        if await self._contents.manifests(repository, "", 1):
            return False
        if await self._contents.has_builds(repository):
            return False
        row = await self._contents.repository(repository)
        about = row.values if row else {}
        return not about.get("deletion") and bool(about.get("write_enabled", True))
