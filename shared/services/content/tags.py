"""Tags, listed a page at a time."""

from shared.errors import NameUnknown
from shared.model.names import RepositoryName
from shared.model.page import Page, cut_page
from shared.storage.stores import Stores


class Tags:
    """The tags of a registry's repositories."""

    def __init__(self, stores: Stores) -> None:
        self._contents = stores.contents

    async def page(self, repository: RepositoryName, after: str, limit: int) -> Page[str]:
        """List up to `limit` tags that follow `after` (end-8); raises NameUnknown."""
        records = await self._contents.tags(repository, after, limit + 1) if limit else []
        if not records and not await self._contents.exists(repository):
            raise NameUnknown(detail={"name": repository})
        return cut_page([str(record.name) for record in records], limit, str)
