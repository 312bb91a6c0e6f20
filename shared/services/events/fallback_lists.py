"""Fallback lists: what clients that do not know the referrers API list under a subject's tag.

Such a client keeps an index of a subject's referrers itself, under a tag like `sha256-…`
(distribution specification, referrers tag schema). Where there is one, it is kept in step with the
API: it gains the referrers that it lacks, and loses what the repository does not hold. Where there
is none, none is made. This comes after the push or deletion of a referrer or of the list, behind
the queue: a push pays nothing for it.

    client                                  here
    C1 push or delete a referrer            F1 read the list, the referrers, what else it lists
    C2 read the list, push it changed       F2 push it changed, if its tag is as it was read

What F2 writes follows from what F1 reads; a list in step is left as it is. Each of C1, C2 and F2
has an event of its own, which comes after it and leads to an F1: whatever meets, the last one is
followed by an F1 that sees them all. So a tag that has changed at F2 is nothing to us, and a
message that comes twice finds nothing to do. Nobody relies on what F2 names: a referrer that the
client's list named before goes with its subject all the same (`upkeep.purge`).

An index that gave way to another stays, untagged: a client may be about to read it, or to delete
it. What a client lists before it pushes it is struck off, and comes back as a referrer or not at
all. A tag that is the digest of its own index is a tag of that image; a list with a subject would
be a referrer, and list itself: both are left alone, as is what would be no manifest any more, and
what has more than LISTED referrers: each that comes would write all of them again.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from shared.errors import ManifestInvalid, ManifestUnknown, PreconditionFailed
from shared.events import Cause, Event
from shared.model.digest import Digest
from shared.model.manifests.manifest import MANIFEST_BYTES, Manifest
from shared.model.manifests.media_types import OCI_INDEX
from shared.model.names import RepositoryName, Tag, referrers_tag
from shared.services.content.manifests import Found, Manifests
from shared.services.content.plans import LISTED
from shared.services.content.pushes import Condition, Pushes
from shared.services.content.referrers import Referrers
from shared.services.events.fan_out import tags_of_lists
from shared.services.turns.reading import understood
from shared.storage import keys
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)

type _Index = Mapping[str, Any]
type _Descriptors = Sequence[Mapping[str, object]]
type _Shown = Sequence[Mapping[str, object] | orjson.Fragment]


class FallbackLists:
    """The lists of referrers that clients keep themselves."""

    def __init__(self, stores: Stores) -> None:
        self._contents = stores.contents
        self._manifests = Manifests(stores)
        self._referrers = Referrers(stores)
        self._pushes = Pushes(stores, is_sparse_allowed=False, is_ours=True)

    async def follow(self, repository: RepositoryName, event: Event) -> None:
        """Bring the lists that an event concerns in step."""
        for tag in tags_of_lists(event):
            with suppress(ManifestUnknown, PreconditionFailed):
                await self._bring_in_step(repository, tag, event.cause)

    async def _bring_in_step(self, repository: RepositoryName, tag: Tag, by: Cause) -> None:
        found, body = await self._manifests.read(repository, tag)
        index = _read_list(found, body, tag)
        if index is None:
            return
        try:
            manifest = await self._in_step(repository, tag, index, found.digest.algorithm)
        except (ManifestInvalid, orjson.JSONEncodeError) as error:
            _log.warning("list %s:%s cannot be kept in step: %s", repository, tag, error)
            return
        if manifest is None:
            return
        as_read = Condition(digests=frozenset({str(found.digest)}))
        await self._pushes.put(repository, manifest, [tag], by=by, condition=as_read)

    async def _in_step(
        self, repository: RepositoryName, tag: Tag, index: _Index, algorithm: str
    ) -> Manifest | None:
        """Make the list that there should be; None where there is."""
        listed: _Descriptors = index.get("manifests") or []
        rows = await self._contents.referrers_under(repository, tag, LISTED + 1)
        if max(len(listed), len(rows)) > LISTED:
            return None
        referrers = {keys.last_part(row): row for row in rows}
        kept = await self._without_missing(repository, listed, referrers)
        known = {one["digest"] for one in kept}
        room = MANIFEST_BYTES - len(_list(index, kept))
        if room < 0:
            raise ManifestInvalid("written anew, it is too large")
        lacking = [row for digest, row in referrers.items() if digest not in known]
        added = await self._referrers.descriptors(repository, lacking[: LISTED - len(kept)], room)
        if not added and len(kept) == len(listed):
            return None
        return await understood(_list(index, [*kept, *added]), OCI_INDEX, algorithm)

    async def _without_missing(
        self, repository: RepositoryName, listed: _Descriptors, referrers: Collection[str]
    ) -> _Descriptors:
        others = {str(one["digest"]) for one in listed} - set(referrers)
        missing = await self._contents.missing(repository, map(Digest.parse, others))
        gone = set(map(str, missing))
        return [one for one in listed if one["digest"] not in gone]


def _read_list(found: Found, body: bytes, tag: Tag) -> _Index | None:
    if found.media_type != OCI_INDEX or referrers_tag(found.digest) == tag:
        return None
    index: _Index = orjson.loads(body)
    return None if index.get("subject") else index


def _list(index: _Index, descriptors: _Shown) -> bytes:
    return orjson.dumps({**index, "manifests": descriptors})
