"""Repositories, listed a page at a time."""

from shared.model.names import RepositoryName
from shared.model.page import Page, cut_page
from shared.storage.stores import Stores


class Repositories:
    """The repositories of a registry."""

    def __init__(self, stores: Stores) -> None:
        self._index = stores.index

    async def page(self, after: str, limit: int) -> Page[str]:
        """List up to `limit` names that follow `after`."""
        names = await self._index.page(after, limit + 1) if limit else []
        return cut_page(list[str](names), limit, str)

    async def kept(self, after: str, limit: int) -> Page[RepositoryName]:
        """List up to `limit` names of which something deleted is kept."""
        names = await self._index.kept(after, limit + 1) if limit else []
        return cut_page(names, limit, str)
