"""Losses: where the table `contents` may lack links that nothing implies.

A link that is not there says that the blob was deleted there, or was never shown; unless the table
was made anew since removers are halted, or the repository has no row at all. Then an object shows
that it was uploaded there, and no row says more.
"""

from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.stores import Stores


class Losses:
    """Tells of each repository whether its links may be lost, as it was first seen."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._seen: dict[RepositoryName, bool] = {}

    async def has_lost_links(self, repository: RepositoryName) -> bool:
        """Tell whether links of a repository may have been lost with their table."""
        if repository not in self._seen:
            may_be = await self._is_table_lost() or await self._stores.contents.is_empty(repository)
            self._seen.setdefault(repository, may_be)  # what was shown since is no row of before
        return self._seen[repository]

    async def _is_table_lost(self) -> bool:
        return keys.CONTENTS in await self._stores.halt.lost()
