"""Following: what rows that are there imply is there too, where another table was lost.

    blob|                 its repository is a holder, and it names the content
    manifest|, deleted|   its edges and the blobs that it uses, but what it used and was deleted
                          after it; of one that is live also its referrer, and that its repository
                          is listed and takes pushes

Only what is missing is made. Nobody takes edges meanwhile, as removers are halted; what a push or
a deletion changes at the same time it changes in what is there. That a row is young says nothing:
a push changes links that were there before, and none of what they imply. What this rebuild has
brought back itself is complete.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress

from shared.errors import ManifestInvalid, RegistryError
from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.names import RepositoryName
from shared.services.attributes.listing import list_as_said
from shared.services.rebuild.blobs import BlobsBack
from shared.services.rebuild.each import each
from shared.services.rebuild.manifests import Lacks, ManifestsBack
from shared.services.rebuild.report import Report, Step, Tell
from shared.storage import keys
from shared.storage.ports import (
    ANY,
    MOST_CHANGES,
    Change,
    Conflict,
    Insert,
    NotFound,
    Row,
    Unavailable,
    Update,
)
from shared.storage.rows.contents import LINK
from shared.storage.rows.records import ManifestRecord, referrer_values
from shared.storage.stores import Stores

_PAGE = 500


class Following:
    """Goes through all rows of a registry's repositories."""

    def __init__(
        self,
        stores: Stores,
        blobs: BlobsBack,
        manifests: ManifestsBack,
        report: Report,
    ) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._blobs = blobs
        self._manifests = manifests
        self._report = report
        self._open: set[RepositoryName] = set()

    async def run(self, tell: Tell) -> None:
        """Make what is missing."""
        done, position = 0, ""
        while True:
            stretch = await self._stores.walks.contents(position, _PAGE)
            await each(stretch.rows, self._follow)
            done += len(stretch.rows)
            tell(Step.ROWS, done)
            position = stretch.position
            if not position:
                return

    async def _follow(self, found: tuple[RepositoryName, Row]) -> None:
        repository, row = found
        kind, _, rest = row.key.partition("|")
        try:
            if kind == "blob":
                await self._blobs.follow(repository, Digest.parse(rest))
            elif kind in {"manifest", "deleted"}:
                digest, life = Digest.parse(rest.split("|")[0]), str(row.values["life"])
                if (repository, digest) not in self._report.revived:
                    await self._complete(repository, digest, life, is_live=kind == "manifest")
        except (RegistryError, NotFound, Unavailable) as error:
            is_final = isinstance(error, NotFound | ManifestInvalid)
            self._report.fault(row.key, repository, str(error), is_final=is_final)

    async def _complete(
        self, repository: RepositoryName, digest: Digest, life: str, *, is_live: bool
    ) -> None:
        record = await self._contents.life(repository, digest, life)
        if record is None:
            return
        body = await self._stores.body(record)
        manifest = read_manifest(body, record.media_type, digest.algorithm)
        targets = [it.digest for it in (*manifest.blobs, *manifest.children)]
        edges = await self._contents.edges_from(repository, digest, life, dict.fromkeys(targets))
        unheld = _not_held(edges) if is_live else _targets(edges)
        lacks = await self._manifests.provide(repository, manifest, unheld)
        made = await self._edges(repository, manifest, record, edges, lacks)
        if is_live:
            made = await self._referrer(repository, manifest) or made
            made = await self._opened(repository) or made
        self._report.completed += made

    async def _edges(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        record: ManifestRecord,
        there: Sequence[Row],
        lacks: Lacks,
    ) -> bool:
        children = {child.digest for child in manifest.children}
        targets = dict.fromkeys([*(blob.digest for blob in manifest.blobs), *children])
        user, life = manifest.digest, record.life
        known = {row.key for row in there}
        left = [it for it in targets if keys.edge(it, user, life) not in known]
        found = await self._contents.found(repository, {it: it in children for it in left})
        names = {it: LINK if it in lacks.awaited else next(iter(found[it]), "") for it in left}
        return await self._insert(
            repository, [Insert(keys.edge(it, user, life), {"names": names[it]}) for it in left]
        )

    async def _referrer(self, repository: RepositoryName, manifest: Manifest) -> bool:
        """List a manifest with its subject, unless it is deleted meanwhile."""
        if manifest.subject is None:
            return False
        key = keys.referrer(manifest.subject.digest, manifest.digest)
        if await self._contents.rows(repository, [key]):
            return False
        there = Update(keys.manifest(manifest.digest), {}, ANY)
        try:
            await self._contents.commit(repository, [there, Insert(key, referrer_values(manifest))])
        except (Conflict, NotFound):
            return False
        return True

    async def _insert(self, repository: RepositoryName, rows: Sequence[Insert]) -> bool:
        """Add the rows that are not there; tell whether any was."""
        left, is_any = [*rows], False
        while left:
            try:
                await self._contents.commit(repository, left[:MOST_CHANGES])
            except Conflict as error:
                del left[error.index]
            else:
                is_any = True
                del left[:MOST_CHANGES]
        return is_any

    async def _opened(self, repository: RepositoryName) -> bool:
        """List a repository, and let it take pushes, unless its row forbids it."""
        if repository in self._open:
            return False
        self._open.add(repository)
        row = await self._contents.repository(repository)
        allowed = Attributes.read(row.values if row else {})
        is_listed = await self._stores.index.row(repository) is not None
        if not is_listed:
            await self._stores.index.add(repository, is_listed=allowed.list_enabled)
            if not allowed.list_enabled:  # that may have changed since
                await list_as_said(self._stores, repository)
        is_closed = not allowed.write_enabled or bool(row and row.values.get("deletion"))
        if is_closed or await self._contents.writable(repository):
            return not is_listed
        now = self._stores.clock()
        about: Change = (
            Update(keys.REPOSITORY, {}, row.etag)
            if row
            else Insert(keys.REPOSITORY, {"created": now})
        )
        with suppress(Conflict, NotFound):  # a push has opened it
            await self._contents.commit(
                repository, [Insert(keys.WRITABLE, {"updated": now}), about]
            )
        return True


def _not_held(edges: Sequence[Row]) -> Collection[Digest]:
    """Give what a manifest uses and its repository did not hold when it was pushed."""
    return _targets([edge for edge in edges if not edge.values["names"]])


def _targets(edges: Sequence[Row]) -> Collection[Digest]:
    return {Digest.parse(edge.key.split("|")[1]) for edge in edges}
