"""Fallback lists: what clients that do not know the referrers API list under a subject's tag.

Such a client keeps an index of a subject's referrers itself, under a tag like `sha256-…`
(distribution specification, referrers tag schema). Where there is one, it is kept in step with what
clients that know the API push and delete; where there is none, none is made. This comes after the
change, behind the queue: a push pays nothing for it.

    client                                  here
    C1 push or delete a referrer            F1 read the list and the referrers
    C2 read the list, push it changed       F2 push it changed, if its tag is as it was read

C1 after F1: its own event starts us again. The push of C2 between F1 and F2: F2 fails, and we go
back to F1. F2 in the midst of C2: a client with a condition is refused and reads again; one without
undoes F2, and its own event starts us again. A message that comes twice finds nothing to do.

Only what we are told is deleted is struck off, if it is not there again: a client may list what it
has yet to push, or what names no subject. An index that gave way to another stays, untagged.
"""

from collections.abc import Mapping, Sequence

import orjson

from shared.errors import ManifestUnknown, PreconditionFailed, Unavailable
from shared.events import Event, ManifestDeleted, ManifestPushed, TagDeleted
from shared.model.digest import Digest
from shared.model.manifest import MANIFEST_BYTES, REFERENCES, read_manifest
from shared.model.media_types import OCI_INDEX
from shared.model.names import RepositoryName, Tag, is_referrers_tag, referrers_tag
from shared.services.manifests import Manifests
from shared.services.pushes import Condition, Pushes
from shared.services.referrers import Referrers
from shared.storage.stores import Stores

_TRIES = 4

type _Descriptors = Sequence[Mapping[str, object]]


class FallbackLists:
    """The lists of referrers that clients keep themselves."""

    def __init__(self, stores: Stores) -> None:
        self._contents = stores.contents
        self._manifests = Manifests(stores)
        self._referrers = Referrers(stores)
        self._pushes = Pushes(stores, is_sparse_allowed=False)

    async def follow(self, repository: RepositoryName, event: Event) -> None:
        """Bring the list that an event concerns in step; raises Unavailable if it never rests."""
        for subject in await self._subjects(repository, event):
            for _ in range(_TRIES):
                try:
                    await self._bring_in_step(repository, subject, event)
                except PreconditionFailed:
                    continue
                break
            else:
                tag = referrers_tag(subject)
                raise Unavailable(f"{repository}:{tag} is being changed too often")

    async def _subjects(self, repository: RepositoryName, event: Event) -> list[Digest]:
        if isinstance(event, TagDeleted):
            return []
        subjects = [Digest.parse(event.subject)] if event.subject else []
        if isinstance(event, ManifestPushed) and is_referrers_tag(tag := Tag(event.tag)):
            subject = await self._contents.subject_under(repository, tag)
            subjects += [subject] if subject else []
        return subjects

    async def _bring_in_step(
        self, repository: RepositoryName, subject: Digest, event: Event
    ) -> None:
        tag = referrers_tag(subject)
        try:
            found, body = await self._manifests.read(repository, tag)
        except ManifestUnknown:
            return
        if found.media_type != OCI_INDEX:
            return
        index = orjson.loads(body)
        listed = index["manifests"]
        kept = await self._without_deleted(repository, listed, event)
        others = await self._referrers.others(
            repository, subject, {str(one["digest"]) for one in kept}, MANIFEST_BYTES - len(body)
        )
        added = others[: REFERENCES - len(kept)]
        if not added and kept == listed:
            return
        anew = orjson.dumps({**index, "manifests": [*kept, *added]})
        manifest = read_manifest(anew, OCI_INDEX, found.digest.algorithm)
        condition = Condition(digests=frozenset({str(found.digest)}))
        await self._pushes.put(repository, manifest, [tag], by=event.by, condition=condition)

    async def _without_deleted(
        self, repository: RepositoryName, listed: _Descriptors, event: Event
    ) -> _Descriptors:
        if not isinstance(event, ManifestDeleted):
            return listed
        digest = Digest.parse(event.digest)
        if await self._contents.manifest(repository, digest, with_body=False):
            return listed
        return [one for one in listed if one["digest"] != event.digest]
