"""Referrers: the manifests that name another one as their subject."""

from collections.abc import Sequence
from itertools import batched

import orjson

from shared.model.digest import Digest
from shared.model.manifest import read_manifest
from shared.model.names import RepositoryName
from shared.model.page import Page, cut_page
from shared.storage import keys
from shared.storage.ports import NotFound, Row
from shared.storage.rows.records import row_body
from shared.storage.stores import Stores

PAGE_BYTES = 4 * 1024 * 1024 - 1024
"""How large the descriptors of a page are in all; what is around them has room in 4 MiB."""

_AT_ONCE = 16


class Referrers:
    """The referrers of a registry's manifests."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def page(
        self,
        repository: RepositoryName,
        subject: Digest,
        *,
        artifact_type: str,
        after: str,
        limit: int,
    ) -> Page[dict[str, object]]:
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
        shown: list[dict[str, object]] = []
        last = ""
        for row in page.items:
            descriptor = await self._descriptor(repository, row)
            size = len(orjson.dumps(descriptor)) + 1
            if descriptor and size > room and shown:
                return Page(shown, has_more=True, last=last)
            if descriptor:
                shown.append(descriptor)
                room -= size
            last = keys.last_part(row.key)
        return Page(shown, page.has_more, page.last)

    async def descriptors(
        self, repository: RepositoryName, wanted: Sequence[str], room: int
    ) -> list[dict[str, object]]:
        """Read the descriptors in rows, each that finds room in what is left of `room` bytes."""
        found: list[dict[str, object]] = []
        for some in batched(wanted, _AT_ONCE, strict=False):
            for row in await self._stores.contents.rows(repository, some):
                descriptor = await self._descriptor(repository, row)
                size = len(orjson.dumps(descriptor)) + 1
                if descriptor and size <= room:
                    room -= size
                    found.append(descriptor)
        return found

    async def _descriptor(self, repository: RepositoryName, row: Row) -> dict[str, object] | None:
        """Read the descriptor in a row; one that is too large for it is made from the manifest."""
        body = row_body(row)
        if body is not None:
            descriptor: dict[str, object] = orjson.loads(body)
            return descriptor
        digest = Digest.parse(keys.last_part(row.key))
        record = await self._stores.contents.manifest(repository, digest, with_body=True)
        if record is None:
            return None
        try:
            manifest_body = await self._stores.body(record)
        except NotFound:  # deleted since the record was read
            return None
        return read_manifest(manifest_body, record.media_type, digest.algorithm).as_referrer()
