"""The index of repositories: names in order, and whether each is to be listed."""

import re
from contextlib import suppress

from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Conflict, Delete, NotFound, Put, Row, Rows, Update, Upsert

_BEFORE_NAMES = re.compile("[\0-,].*", re.DOTALL)


class Index:
    """The names of one registry generation's repositories."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def add(self, repository: RepositoryName, *, is_listed: bool = True) -> None:
        """Note a repository; changes its ETag where it is noted already.

        It is hidden where it is to be, or was before.
        """
        values = {} if is_listed else {"list_enabled": False}
        await self._rows.commit(
            keys.REPOSITORIES,
            self._generation,
            [Upsert(keys.encode_repository(repository), values)],
        )

    async def show(self, repository: RepositoryName, etag: str, *, is_listed: bool) -> bool:
        """List or hide a repository; False where its row is not as it was read."""
        row = Update(keys.encode_repository(repository), {"list_enabled": is_listed}, etag)
        try:
            await self._rows.commit(keys.REPOSITORIES, self._generation, [row])
        except (NotFound, Conflict):
            return False
        return True

    async def row(self, repository: RepositoryName) -> Row | None:
        """Read the row that lists a repository."""
        return await self._rows.get(
            keys.REPOSITORIES, self._generation, keys.encode_repository(repository)
        )

    async def etag(self, repository: RepositoryName) -> str:
        """Give what `remove` wants to see unchanged; empty where it is not listed."""
        row = await self.row(repository)
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

    async def keep(self, repository: RepositoryName) -> str:
        """List a repository among those of which something deleted is kept; give the row's ETag."""
        etags = await self._rows.commit(
            keys.REPOSITORIES, self._kept(), [Put(keys.encode_repository(repository), {})]
        )
        return etags[0]

    async def let_go(self, repository: RepositoryName, etag: str) -> None:
        """Strike a repository off those, unless it was listed anew meanwhile."""
        with suppress(NotFound, Conflict):
            row = Delete(keys.encode_repository(repository), etag)
            await self._rows.commit(keys.REPOSITORIES, self._kept(), [row])

    async def is_kept(self, repository: RepositoryName) -> bool:
        """Tell whether a repository is listed among those."""
        key = keys.encode_repository(repository)
        return await self._rows.get(keys.REPOSITORIES, self._kept(), key) is not None

    async def kept(self, after: str, limit: int) -> list[RepositoryName]:
        """List up to `limit` names of which something deleted is kept, in order."""
        return await self._names(self._kept(), after, limit)

    def _kept(self) -> str:
        return keys.kept_names(self._generation)

    async def page(self, after: str, limit: int) -> list[RepositoryName]:
        """List up to `limit` names that follow `after`, in order, without those that are hidden.

        `after` may be any text. What begins with a character that sorts before all those of names
        is cut off: names follow without it as they do with it, and their code has other places
        for such characters.
        """
        return await self._names(self._generation, after, limit)

    async def _names(self, partition: str, after: str, limit: int) -> list[RepositoryName]:
        key = keys.encode_repository(RepositoryName(_BEFORE_NAMES.sub("", after)))
        names: list[RepositoryName] = []
        while len(names) < limit:
            rows = await self._rows.scan(
                keys.REPOSITORIES,
                partition,
                after=key,
                before="}",
                limit=limit - len(names),
                only=("list_enabled",),
            )
            listed = [row for row in rows if row.values.get("list_enabled", True)]
            if len(rows) < limit - len(names):
                return [*names, *(keys.decode_repository(row.key) for row in listed)]
            names += [keys.decode_repository(row.key) for row in listed]
            key = rows[-1].key
        return names
