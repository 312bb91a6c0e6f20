"""Copies: the body of a manifest that lives in its row is an object as well.

So the objects alone give the manifests back, should the tables be lost: what each says beside its
bytes is in `storage.origins`. The name is the one that a large body's object has. A copy is made
after the push, for which it costs nothing, and goes with the life that it is of:

    C1 read the row: it bears that life      C2 make the object, if there is none

A life that ends between C1 and C2 keeps its copy until the purge; after the purge nothing uses it,
and `leftovers` removes it. A copy that has rotted is removed, as it was found, and made again.
"""

from contextlib import suppress

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import Conflict
from shared.storage.rows.records import ManifestRecord
from shared.storage.stores import Stores


class Copies:
    """Copies the bodies of a registry's manifests."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._objects = stores.objects

    async def make(self, repository: RepositoryName, record: ManifestRecord) -> None:
        """Copy a body that is in its row; may be repeated.

        It says that it was made when its life began, so that a rebuild takes neither for newer.
        """
        if record.body is None:
            return
        by, digest = self._stores.new_id(), record.digest
        about = Origin(MANIFEST, record.pushed, by, repository, digest, record.media_type)
        name = keys.object_name(self._stores.generation, record.life)
        with suppress(Conflict):
            await self._objects.put(name, record.body, about.metadata())

    async def make_anew(
        self, repository: RepositoryName, digest: Digest, life: str, bad: str
    ) -> None:
        """Copy a body again; the copy with the ETag `bad`, if there is one, has rotted."""
        name = keys.object_name(self._stores.generation, life)
        if bad:
            await self._objects.delete(name, bad)
        record = await self._contents.life(repository, digest, life)
        if record:
            await self.make(repository, record)
        await self._stores.scrubs.healed(name, self._stores.clock())
