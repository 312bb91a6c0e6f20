"""Referrers: the manifests that name another one as their subject.

A descriptor that its row has no room for is made of the manifest, which takes up to a second. So
it is made in a thread, once for all who ask at the same time, and kept as bytes. Of those a list is
put together; nothing in it is read.
"""

from collections.abc import Sequence
from itertools import batched

import orjson

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.page import Page, cut_page
from shared.services.turns.reading import understood
from shared.storage import keys
from shared.storage.bodies import Bodies
from shared.storage.once import Once
from shared.storage.ports import NotFound, Row
from shared.storage.rows.records import ManifestRecord, row_body
from shared.storage.stores import Stores

PAGE_BYTES = 4 * 1024 * 1024 - 1024
"""How large the descriptors of a page are in all; what is around them has room in 4 MiB."""

_AT_ONCE = 16
_LARGE_BYTES = 16 * 1024 * 1024


class Referrers:
    """The referrers of a registry's manifests."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._large: Bodies[tuple[Digest, str]] = Bodies(_LARGE_BYTES)
        self._once: Once[tuple[RepositoryName, Digest, str], bytes] = Once()

    async def page(
        self,
        repository: RepositoryName,
        subject: Digest,
        *,
        artifact_type: str,
        after: str,
        limit: int,
    ) -> Page[orjson.Fragment]:
        """List descriptors of up to `limit` referrers whose digests follow `after` (end-12).

        Only those of `artifact_type`, unless that is empty; nothing is of a type that cannot be
        printed. A subject never seen has none. A page ends with PAGE_BYTES; one that is larger by
        itself is a page of its own.
        """
        if artifact_type and not artifact_type.isprintable():
            return Page([], has_more=False, last="")
        rows = await self._stores.contents.referrers(
            repository, subject, artifact_type=artifact_type, after=after, limit=limit + 1
        )
        page = cut_page(rows, limit, lambda row: keys.last_part(row.key))
        room = PAGE_BYTES
        shown: list[orjson.Fragment] = []
        last = ""
        for row in page.items:
            descriptor = await self._descriptor(repository, row)
            size = len(descriptor or b"") + 1
            if descriptor and size > room and shown:
                return Page(shown, has_more=True, last=last)
            if descriptor:
                shown.append(orjson.Fragment(descriptor))
                room -= size
            last = keys.last_part(row.key)
        return Page(shown, page.has_more, page.last)

    async def descriptors(
        self, repository: RepositoryName, wanted: Sequence[str], room: int
    ) -> list[orjson.Fragment]:
        """Read the descriptors in rows, each that finds room in what is left of `room` bytes."""
        found: list[orjson.Fragment] = []
        for some in batched(wanted, _AT_ONCE, strict=False):
            for row in await self._stores.contents.rows(repository, some):
                descriptor = await self._descriptor(repository, row)
                size = len(descriptor or b"") + 1
                if descriptor and size <= room:
                    room -= size
                    found.append(orjson.Fragment(descriptor))
        return found

    async def _descriptor(self, repository: RepositoryName, row: Row) -> bytes | None:
        """Read the descriptor in a row; one that is too large for it is made from the manifest."""
        body = row_body(row)
        if body is not None:
            return body
        digest = Digest.parse(keys.last_part(row.key))
        record = await self._stores.contents.manifest(repository, digest, with_body=True)
        if record is None:
            return None
        kept = self._large.get((digest, record.media_type))
        if kept is not None:
            return kept
        place = repository, digest, record.media_type
        try:
            made = await self._once.do(place, lambda: self._made(record))
        except NotFound:  # deleted since the record was read
            return None
        self._large.keep((digest, record.media_type), made)
        return made

    async def _made(self, record: ManifestRecord) -> bytes:
        body = await self._stores.body(record)
        manifest = await understood(body, record.media_type, record.digest.algorithm)
        return orjson.dumps(manifest.as_referrer())
