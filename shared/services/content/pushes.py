"""Pushing a manifest: one transaction with all that it changes.

The transaction changes the link of each blob and the row of each child (so the collector's
conditional delete of one of them fails, or ours does), and adds the edges, the manifest, its tags,
its row among the subject's referrers and the outbox rows. With over 100 rows the links go first,
each with its edge, and the manifest comes last: until then nothing refers to it.

Nothing is read first. Which rows are there already is expected (`Hints`) and tried; the store's
answer tells which expectation was wrong, and the next try knows. So a new tag of a new manifest
costs one transaction, and whatever happens at the same time, what is written is what the
conditions saw.

A repository is listed (`Index`) after its first manifest is in, and before that is acknowledged.
It is struck off by `repositories.retire`, with these steps in either order:

    push                                 retire
    P1 transaction: marker, manifest     R1 read the index row, the marker, then: no manifest?
    P2 list in the index                 R2 delete the marker, if unchanged
                                         R3 strike off the index row, if unchanged

P1 before R1: there is a manifest, nothing is retired. P1 between R1 and R2: the marker has
changed, R2 fails. P1 after R2: P1 made a new marker (an expected one is not there: `Update` fails,
and the next try goes through P2); P2 before R3 changes the index row, so R3 fails; P2 after R3
lists it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from shared.errors import ManifestBlobUnknown, PreconditionFailed, Unavailable
from shared.events import ManifestPushed
from shared.model import media_types
from shared.model.digest import Digest
from shared.model.manifest import Manifest
from shared.model.names import RepositoryName, Tag, is_referrers_tag
from shared.storage import keys
from shared.storage.hints import Hints
from shared.storage.origins import MANIFEST, Origin
from shared.storage.ports import (
    MOST_CHANGES,
    Change,
    Conflict,
    Insert,
    NotFound,
    Put,
    Update,
    Upsert,
    Value,
)
from shared.storage.rows.records import INLINE_BYTES, TagRecord, body_values, referrer_values
from shared.storage.stores import Stores

_TRIES = 12


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest that is stored, with the tags that point to it now."""

    digest: Digest
    tags: tuple[Tag, ...]
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the tags before the push (RFC 9110, 13.1).

    `digests` are those of which a tag must have one (`If-Match`; None asks nothing); `is_new` says
    that there must be no such tag (`If-None-Match: *`).
    """

    digests: frozenset[str] | None = None
    is_new: bool = False

    def check(self, tag: TagRecord | None) -> None:
        """Raise PreconditionFailed where the tag is not as asked."""
        if self.is_new and tag is not None:
            raise PreconditionFailed
        if self.digests is None or (tag and "*" in self.digests):
            return
        if tag is None or str(tag.digest) not in self.digests:
            raise PreconditionFailed


class _Row(Enum):
    """Rows that a push meets once, whatever it is called and refers to."""

    REPOSITORY = auto()
    MANIFEST = auto()
    EVENT = auto()


@dataclass(frozen=True, slots=True)
class _Step:
    """A change, and what it expects: a digest or a tag that is there (or not), one of the rows."""

    change: Change
    expects: Digest | Tag | _Row | None = None


@dataclass(slots=True)
class _Attempt:
    """A push under way: what is known, and what is only expected, of the rows that it meets."""

    repository: RepositoryName
    manifest: Manifest
    tags: dict[Tag, TagRecord | None]
    by: str
    now: datetime
    condition: Condition
    is_repository_there: bool = False
    is_manifest_there: bool = False
    absent: set[Digest] = field(default_factory=set)
    body_object: str = ""

    def references(self) -> Iterator[list[_Step]]:
        """Give the steps for each reference, which belong into one transaction."""
        wanted: dict[Digest, set[str]] = {}
        for blob in self.manifest.blobs:
            rows = () if blob.is_foreign else (keys.blob(blob.digest),)
            wanted.setdefault(blob.digest, set()).update(rows)
        for child in self.manifest.children:
            wanted.setdefault(child.digest, set()).add(keys.manifest(child.digest))
        for target, keys_of_target in wanted.items():
            there = () if target in self.absent else sorted(keys_of_target)
            uses = [_Step(Update(key, {"seen": self.now}), target) for key in there]
            yield [*uses, _Step(Put(keys.edge(target, self.manifest.digest), {"seen": self.now}))]

    def final(self) -> list[_Step]:
        """Give the steps that make the manifest visible."""
        marker = Update if self.is_repository_there else Upsert
        steps = [_Step(marker(keys.REPOSITORY, {"updated": self.now}), _Row.REPOSITORY)]
        steps.append(_Step(self._manifest_row(), _Row.MANIFEST))
        steps += [_Step(self._tag_row(tag, there), tag) for tag, there in self.tags.items()]
        return [*steps, *(_Step(row) for row in self._referrer_rows())]

    def _manifest_row(self) -> Change:
        key = keys.manifest(self.manifest.digest)
        if self.is_manifest_there:
            return Update(key, {"seen": self.now})
        body: Mapping[str, Value] = (
            {"object": self.body_object} if self.body_object else body_values(self.manifest.body)
        )
        values: dict[str, Value] = {
            "media_type": self.manifest.media_type,
            "size": len(self.manifest.body),
            "created": self.now,
            "seen": self.now,
            **body,
        }
        return Insert(key, values)

    def _tag_row(self, tag: Tag, there: TagRecord | None) -> Change:
        values = TagRecord(
            name=tag,
            digest=self.manifest.digest,
            media_type=self.manifest.media_type,
            size=len(self.manifest.body),
            created=there.created if there else self.now,
            updated=self.now,
        ).values()
        return Update(keys.tag(tag), values, there.etag) if there else Insert(keys.tag(tag), values)

    def _referrer_rows(self) -> Iterator[Put]:
        if self.manifest.subject:
            key = keys.referrer(self.manifest.subject.digest, self.manifest.digest)
            yield Put(key, referrer_values(self.manifest))

    def is_list_of_referrers(self) -> bool:
        """Tell a list that a client keeps itself: it may name referrers that are gone meanwhile."""
        is_index = self.manifest.media_type in media_types.INDEXES
        return is_index and bool(self.tags) and all(map(is_referrers_tag, self.tags))

    def events(self) -> list[ManifestPushed]:
        """Give an event for each tag, or one without a tag."""
        return [
            ManifestPushed(
                digest=str(self.manifest.digest),
                tag=tag,
                media_type=self.manifest.media_type,
                size=len(self.manifest.body),
                by=self.by,
                at=self.now,
                subject=str(self.manifest.subject.digest) if self.manifest.subject else "",
            )
            for tag in (self.tags or [""])
        ]


class Pushes:
    """Stores manifests. `is_sparse_allowed` lets a manifest refer to content that is not there."""

    def __init__(self, stores: Stores, *, is_sparse_allowed: bool) -> None:
        self._stores = stores
        self._contents = stores.contents
        self._index = stores.index
        self._outbox = stores.outbox
        self._bodies = stores.bodies
        self._clock = stores.clock
        self._is_sparse_allowed = is_sparse_allowed
        self._hints = Hints()

    async def put(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        tags: Sequence[Tag],
        *,
        by: str,
        condition: Condition | None = None,
    ) -> Pushed:
        """Store a manifest and point the tags to it (end-7).

        Raises:
            ManifestBlobUnknown: it refers to content that the repository does not hold.
            PreconditionFailed: `condition` does not hold of a tag.
        """
        attempt = _Attempt(
            repository=repository,
            manifest=manifest,
            tags=dict.fromkeys(tags),
            by=by,
            now=self._clock(),
            condition=condition or Condition(),
        )
        await self._expect(attempt)
        outbox = self._outbox.rows(attempt.events())
        await self._write(attempt, outbox)
        await self._settle(attempt)
        await self._outbox.announce(repository, outbox)
        subject = manifest.subject.digest if manifest.subject else None
        return Pushed(manifest.digest, tuple(attempt.tags), subject)

    async def _expect(self, attempt: _Attempt) -> None:
        repository = attempt.repository
        attempt.is_repository_there = repository in self._hints
        attempt.is_manifest_there = (repository, attempt.manifest.digest) in self._hints
        for tag in attempt.tags:
            if attempt.condition.digests is not None or (repository, tag) in self._hints:
                await self._look_up(attempt, tag)

    async def _write(self, attempt: _Attempt, outbox: Sequence[Insert]) -> None:
        for _ in range(_TRIES):
            surprise = await self._try(attempt, outbox)
            if surprise is None:
                return
            await self._learn(attempt, surprise)
        raise Unavailable(f"{attempt.repository} is being changed too often: repeat the push")

    async def _look_up(self, attempt: _Attempt, tag: Tag) -> None:
        there = await self._contents.tag(attempt.repository, tag)
        attempt.condition.check(there)
        attempt.tags[tag] = there

    async def _try(self, attempt: _Attempt, outbox: Sequence[Insert]) -> _Step | None:
        """Write; give the step whose expectation was wrong, or None."""
        if len(attempt.manifest.body) > INLINE_BYTES and not attempt.is_manifest_there:
            await self._keep_body(attempt)
        events = [_Step(row, _Row.EVENT) for row in outbox]
        for steps in _transactions(attempt.references(), events, attempt.final()):
            try:
                await self._contents.commit(attempt.repository, [step.change for step in steps])
            except (NotFound, Conflict) as error:
                surprise = steps[error.index]
                # Ids of events never repeat: this try went through, and its answer was lost.
                return None if surprise.expects is _Row.EVENT else surprise
        return None

    async def _keep_body(self, attempt: _Attempt) -> None:
        if not attempt.body_object:
            name, manifest = self._stores.new_object(), attempt.manifest
            about = Origin(
                MANIFEST,
                attempt.now,
                self._stores.new_id(),
                attempt.repository,
                manifest.digest,
                manifest.media_type,
            )
            # The name is new: where it is taken, our own first try took it (its answer was lost).
            with suppress(Conflict):
                await self._stores.objects.put(name, manifest.body, about.metadata())
            attempt.body_object = name

    async def _learn(self, attempt: _Attempt, surprise: _Step) -> None:
        match surprise.expects:
            case Digest():
                await self._learn_missing(attempt)
            case _Row.REPOSITORY:
                attempt.is_repository_there = False
            case _Row.MANIFEST:
                attempt.is_manifest_there = not attempt.is_manifest_there
            case tag:
                await self._look_up(attempt, Tag(str(tag)))

    async def _learn_missing(self, attempt: _Attempt) -> None:
        manifest = attempt.manifest
        missing = await self._contents.missing(
            attempt.repository,
            {blob.digest for blob in manifest.blobs if not blob.is_foreign},
            {child.digest for child in manifest.children},
        )
        if missing and not self._is_sparse_allowed and not attempt.is_list_of_referrers():
            raise ManifestBlobUnknown([str(digest) for digest in missing])
        attempt.absent = set(missing)

    async def _settle(self, attempt: _Attempt) -> None:
        repository, manifest = attempt.repository, attempt.manifest
        if not attempt.is_repository_there:
            await self._index.add(repository)
        if attempt.body_object and attempt.is_manifest_there:
            await self._stores.discard(attempt.body_object)
        self._hints.add(repository)
        self._hints.add((repository, manifest.digest))
        for tag in attempt.tags:
            self._hints.add((repository, tag))
        self._bodies.keep(manifest.digest, manifest.body)


def _transactions(
    references: Iterator[list[_Step]], events: list[_Step], final: list[_Step]
) -> Iterator[list[_Step]]:
    """Cut the steps into transactions; the last has the events first, and all of `final`.

    The first row that is not as expected is the one we hear of. When an earlier try went through
    and its answer was lost, that must be the event, not a reference, the manifest or a tag.
    """
    steps: list[_Step] = []
    for reference in references:
        if len(steps) + len(reference) > MOST_CHANGES:
            yield steps
            steps = []
        steps += reference
    if len(events) + len(steps) + len(final) > MOST_CHANGES:
        yield steps
        steps = []
    yield [*events, *steps, *final]
