"""What a repository holds, read from its partition, and the one way to change it."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.ports import Change, Row, Rows, Unavailable
from shared.storage.rows.records import Link, ManifestRecord, TagRecord

_AT_ONCE = 16
_PAGE = 1_000

LINK = "link"
"""What an edge `names` that its manifest uses by the link to it."""

OURS = "ours"
"""What marks an edge that the registry made by itself: nobody relies by it on what it leads to."""


def _names_link(edge: Row) -> bool:
    return edge.values.get("names", LINK) == LINK


class Contents:
    """The contents of the repositories of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def exists(self, repository: RepositoryName) -> bool:
        """Tell whether the repository has a manifest, or is locked."""
        row = await self._get(repository, keys.WRITABLE)
        if row is not None:
            return True
        row = await self._get(repository, keys.REPOSITORY)
        return row is not None and not Attributes.read(row.values).write_enabled

    async def repository(self, repository: RepositoryName) -> Row | None:
        """Read what is kept of a repository from its first manifest on."""
        return await self._get(repository, keys.REPOSITORY)

    async def writable(self, repository: RepositoryName) -> Row | None:
        """Read the row that is there while pushes may come."""
        return await self._get(repository, keys.WRITABLE)

    async def build(self, repository: RepositoryName, digest: Digest, life: str) -> Row | None:
        """Read a push of several transactions that is under way."""
        return await self._get(repository, keys.build(digest, life))

    async def has_builds(self, repository: RepositoryName) -> bool:
        """Tell whether a push of several transactions is under way."""
        return bool(await self._scan(repository, "build|", keys.end_of("build"), 1))

    async def builds_of(self, repository: RepositoryName, digest: Digest, limit: int) -> list[Row]:
        """List up to `limit` pushes of a manifest that take several transactions."""
        prefix = f"build|{digest}"
        return await self._scan(repository, f"{prefix}|", keys.end_of(prefix), limit)

    async def is_empty(self, repository: RepositoryName) -> bool:
        """Tell whether a repository has no row at all."""
        return not await self._scan(repository, "", "~", 1)

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

    async def manifest_row(self, repository: RepositoryName, digest: Digest) -> Row | None:
        """Read all that a manifest's row holds."""
        return await self._get(repository, keys.manifest(digest))

    async def link(self, repository: RepositoryName, digest: Digest) -> Link | None:
        """Read the link to a blob."""
        row = await self._get(repository, keys.blob(digest))
        return Link.read(row) if row else None

    async def tags(self, repository: RepositoryName, after: str, limit: int) -> list[TagRecord]:
        """List up to `limit` tags whose names follow `after`, in order."""
        rows = await self._scan(repository, keys.tag(after), keys.end_of("tag"), limit)
        return [TagRecord.read(row) for row in rows]

    async def some_tags(
        self, repository: RepositoryName, names: Sequence[Tag]
    ) -> Mapping[Tag, TagRecord]:
        """Read tags at one time, as far as they are there."""
        rows = await self.rows(repository, [keys.tag(name) for name in names])
        return {record.name: record for record in map(TagRecord.read, rows)}

    async def tags_of(
        self,
        repository: RepositoryName,
        digest: Digest,
        limit: int,
        life: str = "",
        *,
        after: str = "",
    ) -> list[TagRecord]:
        """List up to `limit` tags of a manifest, or of a life of it that is over."""
        rows = await self._rows.scan(
            keys.CONTENTS,
            self._partition(repository),
            after=keys.tagged(digest, after),
            before=keys.end_of(f"tagged|{digest}"),
            limit=limit,
            where={"life": life},
        )
        return [TagRecord.read(row) for row in rows]

    async def moved(self, repository: RepositoryName, name: Tag, moment: datetime) -> Digest | None:
        """Tell what a tag pointed to before it was moved at that time."""
        row = await self._get(repository, keys.moved(name, moment))
        return Digest.parse(str(row.values["digest"])) if row else None

    async def life(
        self, repository: RepositoryName, digest: Digest, life: str
    ) -> ManifestRecord | None:
        """Read a life that is there, or over and kept, with its body; it goes that way alone."""
        record = await self.manifest(repository, digest, with_body=True)
        if record and record.life == life:
            return record
        row = await self._get(repository, keys.deleted(digest, life))
        return ManifestRecord.read(row) if row else None

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

    async def user(
        self, repository: RepositoryName, target: Digest, span: Span | None = None
    ) -> Digest | None:
        """Name a manifest that uses a blob or a manifest, or None: one whose edge counts.

        Raises Unavailable where there are more edges than can be looked at in the span.
        """
        edge = await self._first(repository, target, lambda _: True, span)
        return keys.user_of(edge.key)[0] if edge else None

    async def is_linked(self, repository: RepositoryName, target: Digest) -> bool:
        """Tell whether a manifest, whose edge counts, uses a blob by its link."""
        return await self._first(repository, target, _names_link) is not None

    async def edges(
        self, repository: RepositoryName, target: Digest, limit: int, after: str = ""
    ) -> list[Row]:
        """List up to `limit` edges that lead to a blob or a manifest, whether they count or not."""
        prefix = keys.edges_of(target)
        return await self._scan(repository, after or f"{prefix}|", keys.end_of(prefix), limit)

    async def counts(self, repository: RepositoryName, edge: Row) -> bool:
        """Tell whether an edge comes from what is there: a push under way, or a live manifest.

        The push is looked for first: it ends by making the manifest.
        """
        user, life = keys.user_of(edge.key)
        if await self.build(repository, user, life):
            return True
        record = await self.manifest(repository, user, with_body=False)
        return record is not None and record.life == life

    async def has_life(self, repository: RepositoryName, digest: Digest, life: str) -> bool:
        """Tell whether a life of a manifest is to come, or is there, or is over and kept.

        It goes that way alone, and is looked for in that order.
        """
        if await self.build(repository, digest, life):
            return True
        record = await self.manifest(repository, digest, with_body=False)
        if record and record.life == life:
            return True
        return await self._get(repository, keys.deleted(digest, life), ("life",)) is not None

    async def found(
        self, repository: RepositoryName, wanted: Mapping[Digest, bool]
    ) -> Mapping[Digest, Collection[str]]:
        """Tell of each digest whether it is there as a blob ("link"), and as a manifest ("child").

        Manifests are looked for only where `wanted` says so.
        """
        places = [(digest, "link", keys.blob(digest)) for digest in wanted]
        places += [(it, "child", keys.manifest(it)) for it, is_child in wanted.items() if is_child]
        rows = await self._get_all(repository, [key for *_, key in places], ("size",))
        there: dict[Digest, list[str]] = {digest: [] for digest in wanted}
        for (digest, name, _), row in zip(places, rows, strict=True):
            if row is not None:
                there[digest].append(name)
        return there

    async def _first(
        self,
        repository: RepositoryName,
        target: Digest,
        is_wanted: Callable[[Row], bool],
        span: Span | None = None,
    ) -> Row | None:
        """Find an edge that is wanted and counts."""
        after = ""
        while rows := await self.edges(repository, target, _AT_ONCE, after):
            if span and span.is_over:
                raise Unavailable(f"{target} is named by too many manifests that are deleted")
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
        self, repository: RepositoryName, manifests: Iterable[Digest]
    ) -> list[Digest]:
        """Tell which of these the repository holds neither as a manifest nor as a blob."""
        found = await self.found(repository, dict.fromkeys(manifests, True))
        return [digest for digest, names in found.items() if not names]

    async def edges_from(
        self, repository: RepositoryName, manifest: Digest, life: str, targets: Iterable[Digest]
    ) -> list[Row]:
        """Read the edges from a life of a manifest to these targets, as far as they are there."""
        return await self.rows(repository, [keys.edge(it, manifest, life) for it in targets])

    async def targets(
        self, repository: RepositoryName, manifest: Digest, life: str
    ) -> list[Digest]:
        """Find what a life of a manifest uses where its body cannot tell: among all edges."""
        ending, after = f"|{manifest}|{life}", "edge|"
        found: list[Digest] = []
        while rows := await self._scan(repository, after, keys.end_of("edge"), _PAGE):
            found += [Digest.parse(it.key.split("|")[1]) for it in rows if it.key.endswith(ending)]
            after = rows[-1].key
        return found

    async def commit(self, repository: RepositoryName, changes: Sequence[Change]) -> list[str]:
        """Make all changes or none, and give the new ETags.

        Raises NotFound or Conflict with the place of the change.
        """
        return await self._rows.commit(keys.CONTENTS, self._partition(repository), changes)

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
        """Read rows, a few at once: a task for each of some thousand keys would take megabytes."""
        found: list[Row | None] = [None] * len(wanted)
        left = deque(enumerate(wanted))

        async def get_some() -> None:
            while left:
                place, key = left.popleft()
                found[place] = await self._get(repository, key, only)

        try:
            await asyncio.gather(*(get_some() for _ in range(min(_AT_ONCE, len(wanted)))))
        finally:
            left.clear()  # where one failed, the others need not go on
        return found

    async def _scan(
        self, repository: RepositoryName, after: str, before: str, limit: int
    ) -> list[Row]:
        return await self._rows.scan(
            keys.CONTENTS, self._partition(repository), after=after, before=before, limit=limit
        )
