"""Manifests that come back: each of which no row speaks lives again, as it was pushed last.

    M1 look for rows: the manifest, or a life that is over. Where there is one, the rows say what
       is so
    M2 read and hash the body, of the life that began last; of one before it, where that is bad
    M3 show the blobs that it uses
    M4 see that the object is still there: a purge takes it before the row of its life
    M5 store it as a push does (`Pushes.bring_back`), children first, and tell nobody

    a push of the same digest   one insert fails, and meets the other's rows: a push of what is
                                there already
    a DELETE                    finds nothing before M5. After it M1 finds the life that is over
    a DELETE of a blob          after M3, when nothing seems to use it: M5 fails, and M3 is repeated
    a crash                     leaves a push that is abandoned, or a repository listed for nothing,
                                for which there is upkeep. The next rebuild begins at M1; where a
                                push of the life is under way, or looks so, it makes another life

That a manifest was accepted says that its repository held the blobs which it names: so they are
shown to whoever may read it. It does not say so of what an index names, which may be a list of
referrers that are gone, of layers that are fetched from elsewhere, or where manifests are sparse:
there a blob is shown only if an object was made by an upload to this very repository, or nobody
could be kept from reading another's content by naming it.

A body is an object only once its manifest was accepted, or, of a large one, once all that it names
was found: so an object of a push that then failed says the same.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched

from shared.errors import ManifestBlobUnknown, ManifestInvalid, RegistryError, Unavailable
from shared.model.digest import Digest
from shared.model.manifests import media_types
from shared.model.manifests.manifest import Manifest, read_manifest
from shared.model.names import RepositoryName
from shared.services.content.pushes import Pushes
from shared.services.rebuild.blobs import BlobsBack
from shared.services.rebuild.each import each
from shared.services.rebuild.report import Place, Report, Revived, Step, Tell
from shared.services.rebuild.survey import Lives
from shared.services.verification.copies import Copies
from shared.storage import keys, ports
from shared.storage.origins import Origin
from shared.storage.ports import MOST_CHANGES, Facts, NotFound, Update
from shared.storage.rows.contents import LINK
from shared.storage.rows.records import INLINE_BYTES
from shared.storage.stores import Stores

_TRIES = 8
_NAMED = 10
"""How much of what a manifest lacks is named: it may name ten thousand blobs."""


@dataclass(frozen=True, slots=True)
class _Body:
    """A sound body, and the object that it was read from."""

    manifest: Manifest
    name: str
    etag: str
    origin: Origin


@dataclass(slots=True)
class Lacks:
    """What a manifest uses and has not got; `awaited` is that of which there are bad bytes."""

    missing: list[Digest] = field(default_factory=list)
    awaited: list[Digest] = field(default_factory=list)


class ManifestsBack:
    """Brings manifests back. `is_sparse_allowed` says that they may name what is not there."""

    def __init__(
        self,
        stores: Stores,
        pushes: Pushes,
        blobs: BlobsBack,
        report: Report,
        *,
        is_sparse_allowed: bool,
    ) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._objects = stores.objects
        self._pushes = pushes
        self._blobs = blobs
        self._report = report
        self._copies = Copies(stores)
        self._is_sparse_allowed = is_sparse_allowed
        self._left: Lives = {}
        self._tell: Tell = lambda *_: None

    async def run(self, lives: Lives, tell: Tell) -> None:
        """Bring back all of which objects were found; `lives` is empty in the end."""
        self._left, self._tell = lives, tell
        indexes: list[Place] = []

        async def bring(place: Place) -> None:
            if await self._bring(place):
                indexes.append(place)

        await each([*lives], bring)
        for place in indexes:
            await self._bring_with_children(place)

    async def _bring_with_children(self, place: Place) -> None:
        """Go down to the children, however deep they are, and up again."""
        way = [place]
        while way:
            before = await self._bring(way[-1]) if way[-1] in self._left else ()
            if before:
                way += before
            else:
                way.pop()

    async def _bring(self, place: Place) -> Sequence[Place]:
        """Bring a manifest back; or give the children that are to come before it."""
        body = await self._look_at(place)
        if body:
            repository, _ = place
            children = {(repository, child.digest) for child in body.manifest.children}
            if before := [child for child in children if child in self._left]:
                return before
            await self._store(repository, body, len(self._left[place]))
        del self._left[place]
        self._tell(Step.MANIFESTS, self._report.known + len(self._report.revived))
        return ()

    async def _look_at(self, place: Place) -> _Body | None:
        """Read a manifest, unless rows speak of it."""
        repository, digest = place
        try:
            return None if await self._is_known(place) else await self._read(place)
        except ports.Unavailable as error:
            self._report.fault(digest, repository, str(error), is_final=False)
            return None

    async def _is_known(self, place: Place) -> bool:
        """Tell whether a row speaks of it: of a life that is there, or of one that is over."""
        repository, digest = place
        if await self._contents.manifest(repository, digest, with_body=False):
            self._report.known += 1
            return True
        return bool(await self._stores.deleted.page(repository, "", 1, digest))

    async def _read(self, place: Place) -> _Body | None:
        repository, digest = place
        for _, life in sorted(self._left[place], reverse=True):
            name = keys.object_name(self._stores.generation, life)
            facts = await self._objects.facts(name)
            body = await self._sound(name, digest) if facts else None
            if facts is None or body is None:
                self._report.fault(name, f"{repository}@{digest}", "its bytes are bad, or are gone")
                continue
            try:
                return _understood(body, digest, name, facts)
            except ManifestInvalid as error:
                self._report.fault(name, f"{repository}@{digest}", str(error))
        return None

    async def _sound(self, name: str, digest: Digest) -> bytes | None:
        """Read a body; what seems bad is read once more, to be sure."""
        for _ in range(2):
            with suppress(NotFound):
                body = b"".join([piece async for piece in self._objects.read(name)])
                if Digest.of(body, digest.algorithm) == digest:
                    return body
        return None

    async def _store(self, repository: RepositoryName, body: _Body, lives: int) -> None:
        try:
            lacks = await self._try(repository, body)
        except (RegistryError, ports.Unavailable) as error:
            where = f"{repository}@{body.manifest.digest}"
            why = (error.detail if isinstance(error, RegistryError) else None) or error
            self._report.fault(body.name, where, str(why), is_final=False)
        else:
            if lacks:
                self._note(repository, body, lives, lacks)

    async def _try(self, repository: RepositoryName, body: _Body) -> Lacks | None:
        """Store a manifest, and give what it lacks; None where its object is gone."""
        manifest, life = body.manifest, keys.drawn(body.name)
        if await self._contents.build(repository, manifest.digest, life):
            life = self._stores.new_id()
        for _ in range(_TRIES):
            lacks = await self.provide(repository, manifest)
            facts = await self._objects.facts(body.name)
            if facts is None or facts.etag != body.etag:
                return None
            with suppress(ManifestBlobUnknown):  # somebody has deleted a blob since
                await self._put(repository, body, life, lacks)
                return lacks
        raise Unavailable(f"blobs of {manifest.digest} keep being deleted: rebuild it later")

    async def _put(self, repository: RepositoryName, body: _Body, life: str, lacks: Lacks) -> None:
        manifest = body.manifest
        is_own = life == keys.drawn(body.name)
        is_object = is_own and len(manifest.body) > INLINE_BYTES
        await self._pushes.bring_back(
            repository,
            manifest,
            life=life,
            body_object=body.name if is_object else "",
            lacking=frozenset(lacks.missing),
        )
        await self.expect(repository, manifest.digest, life, lacks.awaited)
        if is_own:
            return
        if record := await self._contents.life(repository, manifest.digest, life):
            await self._copies.make(repository, record)

    async def provide(
        self, repository: RepositoryName, manifest: Manifest, unheld: Collection[Digest] = ()
    ) -> Lacks:
        """Show the blobs that a manifest uses, but for those `unheld`; give what is not there."""
        children = {child.digest for child in manifest.children}
        needed = {blob.digest for blob in manifest.blobs if not blob.is_foreign}
        wanted = {digest: digest in children for digest in (*needed, *children)}
        found = await self._contents.found(repository, wanted)
        is_exempt = self._is_sparse_allowed or manifest.media_type in media_types.INDEXES
        lacks = Lacks()

        async def show(digest: Digest) -> None:
            may_be_shown = digest in needed and digest not in unheld and not is_exempt
            if may_be_shown and await self._blobs.show(repository, digest):
                return
            is_awaited = may_be_shown and await self._blobs.await_sound(repository, digest)
            if is_awaited and await self._blobs.show(repository, digest):
                return  # sound bytes have come in between, and show it nowhere else
            lacks.missing.append(digest)
            if is_awaited:
                lacks.awaited.append(digest)

        await each(
            (
                it
                for it, names in found.items()
                if LINK not in names and (it in needed or not names)
            ),
            show,
        )
        return lacks

    async def expect(
        self, repository: RepositoryName, user: Digest, life: str, awaited: Collection[Digest]
    ) -> None:
        """Let a manifest's edges say that it uses by a link what is to be healed."""
        for some in batched(awaited, MOST_CHANGES, strict=False):
            edges = [Update(keys.edge(it, user, life), {"names": LINK}) for it in some]
            with suppress(NotFound):  # a push has made another life of it, with all its contents
                await self._contents.commit(repository, edges)

    def _note(self, repository: RepositoryName, body: _Body, lives: int, lacks: Lacks) -> None:
        manifest, revived = body.manifest, self._report.revived
        for child in manifest.children:
            if there := revived.get((repository, child.digest)):
                there.used_by = str(manifest.digest)
        revived[repository, manifest.digest] = Revived(
            repository=repository,
            digest=str(manifest.digest),
            media_type=manifest.media_type,
            size=len(manifest.body),
            made=body.origin.made,
            lives=lives,
            subject=str(manifest.subject.digest) if manifest.subject else "",
            lacks=len(lacks.missing),
            missing=tuple(map(str, lacks.missing[:_NAMED])),
        )


def _understood(body: bytes, digest: Digest, name: str, facts: Facts) -> _Body:
    origin = Origin.read(facts)
    manifest = read_manifest(body, origin.media_type, digest.algorithm)
    return _Body(manifest, name, facts.etag, origin)
