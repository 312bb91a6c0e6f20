"""Repositories: listed, and retired with their last manifest (in the order that `pushes` tells)."""

from shared.model.names import RepositoryName
from shared.model.page import Page, cut_page
from shared.storage import keys
from shared.storage.ports import Conflict, Delete, NotFound
from shared.storage.stores import Stores


class Repositories:
    """The repositories of a registry."""

    def __init__(self, stores: Stores) -> None:
        self._contents = stores.contents
        self._index = stores.index

    async def page(self, after: str, limit: int) -> Page[str]:
        """List up to `limit` names that follow `after`."""
        names = await self._index.page(after, limit + 1) if limit else []
        return cut_page(list[str](names), limit, str)

    async def retire(self, repository: RepositoryName) -> bool:
        """Strike a repository off the catalog if it has no manifest; False where it has."""
        etag = await self._index.etag(repository)
        marker = await self._contents.marker(repository)
        if await self._contents.manifests(repository, "", 1):
            return False
        if marker:
            try:
                deletion = Delete(keys.REPOSITORY, marker.etag)
                await self._contents.commit(repository, [deletion])
            except (Conflict, NotFound):
                return False
        return await self._index.remove(repository, etag)
