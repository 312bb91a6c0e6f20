"""The index of repositories: names alone, in order."""

import re

from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Conflict, Delete, NotFound, Put, Rows

_BEFORE_NAMES = re.compile("[\0-,].*", re.DOTALL)


class Index:
    """The names of one registry generation's repositories."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def add(self, repository: RepositoryName) -> None:
        """List a repository; changes its ETag where it is listed already."""
        await self._rows.commit(
            keys.REPOSITORIES, self._generation, [Put(keys.encode_repository(repository), {})]
        )

    async def etag(self, repository: RepositoryName) -> str:
        """Give what `remove` wants to see unchanged; empty where it is not listed."""
        row = await self._rows.get(
            keys.REPOSITORIES, self._generation, keys.encode_repository(repository)
        )
        return row.etag if row else ""

    async def remove(self, repository: RepositoryName, etag: str) -> bool:
        """Strike a repository off; False where it was listed anew meanwhile."""
        if not etag:
            return not await self.etag(repository)
        try:
            await self._rows.commit(
                keys.REPOSITORIES,
                self._generation,
                [Delete(keys.encode_repository(repository), etag)],
            )
        except NotFound:
            return True
        except Conflict:
            return False
        return True

    async def page(self, after: str, limit: int) -> list[RepositoryName]:
        """List up to `limit` names that follow `after`, in order.

        `after` may be any text. What begins with a character that sorts before all those of names
        is cut off: names follow without it as they do with it, and their code has other places
        for such characters.
        """
        name = RepositoryName(_BEFORE_NAMES.sub("", after))
        rows = await self._rows.scan(
            keys.REPOSITORIES,
            self._generation,
            after=keys.encode_repository(name),
            before="}",
            limit=limit,
            only=(),
        )
        return [keys.decode_repository(row.key) for row in rows]
