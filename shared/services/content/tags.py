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
        """List up to `limit` tags that follow `after` and are not hidden (end-8).

        Raises NameUnknown.
        """
        names = await self._names(repository, after, limit + 1) if limit else []
        if not names and not await self._contents.exists(repository):
            raise NameUnknown(detail={"name": repository})
        return cut_page(names, limit, str)

    async def _names(self, repository: RepositoryName, after: str, limit: int) -> list[str]:
        """Read on until there are enough that are not hidden."""
        names: list[str] = []
        while wanted := limit - len(names):
            found = await self._contents.tags(repository, after, wanted)
            names += [str(record.name) for record in found if record.attributes.list_enabled]
            if len(found) < wanted:
                break
            after = found[-1].name
        return names
