"""What a repository holds, read from its partition, and the one way to change it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.ports import Change, Row, Rows
from shared.storage.rows.records import Link, ManifestRecord, TagRecord

_AT_ONCE = 16

LINK = "link"
"""What an edge `names` that its manifest uses by the link to it."""


def _names_link(edge: Row) -> bool:
    return edge.values.get("names", LINK) == LINK


class Contents:
    """The contents of the repositories of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def exists(self, repository: RepositoryName) -> bool:
        """Tell whether the repository has a manifest."""
        return await self._get(repository, keys.REPOSITORY) is not None

    async def marker(self, repository: RepositoryName) -> Row | None:
        """Read the row that is there while the repository has a manifest."""
        return await self._get(repository, keys.REPOSITORY)

    async def tag(self, repository: RepositoryName, name: Tag) -> TagRecord | None:
        """Read a tag."""
        row = await self._get(repository, keys.tag(name))
        return TagRecord.read(row) if row else None

    async def manifest(
        self, repository: RepositoryName, digest: Digest, *, with_body: bool
    ) -> ManifestRecord | None:
        """Read a manifest, with its body or without."""
        only = None if with_body else ManifestRecord.WITHOUT_BODY
        row = await self._get(repository, keys.manifest(digest), only)
        return ManifestRecord.read(row) if row else None

    async def link(self, repository: RepositoryName, digest: Digest) -> Link | None:
        """Read the link to a blob."""
        row = await self._get(repository, keys.blob(digest))
        return Link.read(row) if row else None

    async def tags(self, repository: RepositoryName, after: str, limit: int) -> list[TagRecord]:
        """List up to `limit` tags whose names follow `after`, in order."""
        rows = await self._scan(repository, keys.tag(after), keys.end_of("tag"), limit)
        return [TagRecord.read(row) for row in rows]

    async def tags_of(
        self, repository: RepositoryName, digest: Digest, limit: int
    ) -> list[TagRecord]:
        """List up to `limit` tags that point to a manifest."""
        where = {"digest": str(digest)}
        rows = await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=keys.tag(""),
            before=keys.end_of("tag"),
            limit=limit,
            where=where,
        )
        return [TagRecord.read(row) for row in rows]

    async def referrers(
        self,
        repository: RepositoryName,
        subject: Digest,
        *,
        artifact_type: str,
        after: str,
        limit: int,
    ) -> list[Row]:
        """List up to `limit` referrers of a subject whose digests follow `after`.

        Only those of `artifact_type`, unless that is empty.
        """
        return await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=keys.referrer(subject, after),
            before=keys.end_of(f"referrer|{subject}"),
            limit=limit,
            where={"artifact_type": artifact_type} if artifact_type else None,
        )

    async def referrers_under(self, repository: RepositoryName, name: Tag, limit: int) -> list[str]:
        """List up to `limit` keys of what names the subject with this referrers tag."""
        prefix = keys.referrers_under(name)
        rows = await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=prefix,
            before=keys.end_of(prefix),
            limit=limit,
            only=("artifact_type",),
        )
        return [row.key for row in rows]

    async def rows(self, repository: RepositoryName, wanted: Sequence[str]) -> list[Row]:
        """Read the rows with these keys, as far as they are there."""
        return [row for row in await self._get_all(repository, wanted) if row]

    async def manifests(
        self, repository: RepositoryName, after: str, limit: int
    ) -> list[ManifestRecord]:
        """List up to `limit` manifests, without bodies, whose digests follow `after`."""
        rows = await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=f"manifest|{after}",
            before=keys.end_of("manifest"),
            limit=limit,
            only=ManifestRecord.WITHOUT_BODY,
        )
        return [ManifestRecord.read(row) for row in rows]

    async def user(self, repository: RepositoryName, target: Digest) -> Digest | None:
        """Name a manifest that uses a blob or a manifest, or None: one whose edge counts."""
        edge = await self._first(repository, target, lambda _: True)
        return keys.user_of(edge.key) if edge else None

    async def is_linked(self, repository: RepositoryName, target: Digest) -> bool:
        """Tell whether a manifest, whose edge counts, uses a blob by its link."""
        return await self._first(repository, target, _names_link) is not None

    async def counts(self, repository: RepositoryName, edge: Row) -> bool:
        """Tell whether an edge is one of a manifest that is there."""
        user = keys.user_of(edge.key)
        return await self.manifest(repository, user, with_body=False) is not None

    async def names_body(self, repository: RepositoryName, digest: Digest, name: str) -> bool:
        """Tell whether an object has the body of a manifest that is there."""
        record = await self.manifest(repository, digest, with_body=False)
        return record is not None and record.object == name

    async def edges(
        self, repository: RepositoryName, target: Digest, limit: int, after: str = ""
    ) -> list[Row]:
        """List up to `limit` edges that lead to a blob or a manifest, whose keys follow `after`."""
        return await self._scan(
            repository, after or keys.edge(target, ""), keys.end_of(f"edge|{target}"), limit
        )

    async def _first(
        self, repository: RepositoryName, target: Digest, is_wanted: Callable[[Row], bool]
    ) -> Row | None:
        """Find an edge that is wanted and counts."""
        after = ""
        while rows := await self.edges(repository, target, _AT_ONCE, after):
            wanted = [row for row in rows if is_wanted(row)]
            counts = await asyncio.gather(*(self.counts(repository, row) for row in wanted))
            for row, does_count in zip(wanted, counts, strict=True):
                if does_count:
                    return row
            if len(rows) < _AT_ONCE:
                return None
            after = rows[-1].key
        return None

    async def missing(
        self,
        repository: RepositoryName,
        blobs: Iterable[Digest],
        manifests: Iterable[Digest],
    ) -> list[Digest]:
        """Tell which of these blobs and manifests the repository does not hold."""
        wanted = [(digest, keys.blob(digest)) for digest in blobs]
        wanted += [(digest, keys.manifest(digest)) for digest in manifests]
        found = await self._get_all(repository, [key for _, key in wanted], ("size",))
        return [digest for (digest, _), row in zip(wanted, found, strict=True) if row is None]

    async def edges_from(
        self, repository: RepositoryName, manifest: Digest, targets: Iterable[Digest]
    ) -> list[Row]:
        """Read the edges from a manifest to these targets, as far as they are there."""
        return await self.rows(repository, [keys.edge(target, manifest) for target in targets])

    async def commit(self, repository: RepositoryName, changes: Sequence[Change]) -> None:
        """Make all changes or none; raises NotFound or Conflict with the place of the change."""
        await self._rows.commit(keys.CONTENTS, self._partition(repository), changes)

    async def event(self, repository: RepositoryName, key: str) -> Row | None:
        """Read an event that is not yet handed on."""
        return await self._get(repository, key)

    def _partition(self, repository: RepositoryName) -> str:
        return keys.contents_partition(self._generation, repository)

    async def _get(
        self, repository: RepositoryName, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        return await self._rows.get(keys.CONTENTS, self._partition(repository), key, only)

    async def _get_all(
        self, repository: RepositoryName, wanted: Sequence[str], only: Sequence[str] | None = None
    ) -> list[Row | None]:
        some = asyncio.Semaphore(_AT_ONCE)

        async def get(key: str) -> Row | None:
            async with some:
                return await self._get(repository, key, only)

        return await asyncio.gather(*(get(key) for key in wanted))

    async def _scan(
        self, repository: RepositoryName, after: str, before: str, limit: int
    ) -> list[Row]:
        return await self._rows.scan(
            keys.CONTENTS, self._partition(repository), after=after, before=before, limit=limit
        )
