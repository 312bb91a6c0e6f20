"""Listing: the catalog's index says of a repository what the repository itself says."""

from shared.errors import Unavailable
from shared.model.attributes import Attributes
from shared.model.names import RepositoryName
from shared.storage.stores import Stores

_TRIES = 8


async def list_as_said(stores: Stores, repository: RepositoryName) -> None:
    """List or hide a repository, as its row has it that is read after the index's.

    Whoever changes that row comes here afterwards, and changes the index even where it says so
    already: then another fails who has read an earlier state, and reads again.
    """
    for _ in range(_TRIES):
        listed = await stores.index.row(repository)
        row = await stores.contents.repository(repository)
        is_listed = row is None or Attributes.read(row.values).list_enabled
        if listed is None or await stores.index.show(repository, listed.etag, is_listed=is_listed):
            return
    raise Unavailable(f"{repository} is being changed too often: repeat the request")
