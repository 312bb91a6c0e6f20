"""What a push writes: every row that it changes, by what is known or expected of those there.

    writable            merged; where it is missing, inserted with a new or a changed `repository`
    blob|, manifest|    of each reference, merged: whoever takes one meanwhile fails, or the push
    edge|               of each reference, with what it names, and whether it is `ours`
    manifest|           inserted, or merged where it is there
    tag|, tagged| …     as `rows/tags.py` has it; a new one's `used|`, where no name is used again
    referrer|           where the manifest has a subject
    outbox|             an event for each tag, first: an id that is taken tells of an answer lost

That is one transaction. Where it would have over 100 rows there is a `build|`: inserted with the
first edges, changed with the others by the ETag that the write before left, and taken by the
transaction that makes the manifest. Where the manifest is there, and lacks parts that this push
finds, it takes the place of `build|`: each transaction merges it by the ETag that the one before
left, the last says that it is complete. It has all its edges, so nobody takes what they lead to.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from shared.events import Cause, ManifestPushed, values
from shared.model.attributes import FREE
from shared.model.digest import Digest
from shared.model.manifests import media_types
from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName, Tag, is_referrers_tag
from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.ports import (
    ANY,
    MOST_CHANGES,
    Change,
    Delete,
    Insert,
    Put,
    Update,
    Upsert,
    Value,
)
from shared.storage.rows import tags
from shared.storage.rows.contents import OURS
from shared.storage.rows.records import (
    ManifestRecord,
    TagRecord,
    body_values,
    referrer_values,
)
from shared.storage.rows.registries import USUAL, Policies
from shared.storage.transactions import Transaction


class Names(Enum):
    """What an edge leads to: a blob, or a manifest; neither, where that may be missing."""

    LINK = "link"
    CHILD = "child"


LISTED = 100
"""How long a list of referrers is that is kept in step, and may name what is gone."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a push found of a repository that takes none yet: its row's ETag, if there is one.

    `span` began when the name was sent to the catalog.
    """

    etag: str
    span: Span


@dataclass(slots=True)
class Build:
    """A push of several transactions under way: how many there were, and what the last one left."""

    steps: int = 0
    etag: str = ""
    placed: set[Digest] = field(default_factory=set)


@dataclass(slots=True)
class Plan:
    """A push under way: what is known, and what is only expected, of the rows that it meets.

    `kept` are values that an earlier life had, `linked` what it used as blobs. `may_miss` says
    which content may be missing, `may_lack` which of it by name, `policies` whether tags move and
    names are used again. One that `is_ours` is the registry's own. Tags that are `returning` went
    when the bytes of this manifest had rotted: their names are its own. `told` began when the
    message of its events was sent.
    """

    repository: RepositoryName
    manifest: Manifest
    tags: dict[Tag, TagRecord | None]
    cause: Cause
    now: datetime
    life: str
    outbox: Mapping[Tag, str]
    kept: Mapping[str, Value] = field(default_factory=dict)
    linked: frozenset[Digest] = frozenset()
    policies: Policies = USUAL
    may_miss: frozenset[Names] = frozenset()
    may_lack: frozenset[Digest] = frozenset()
    body_object: str = ""
    is_ours: bool = False
    returning: set[Tag] = field(default_factory=set)
    is_live: bool = False
    record: ManifestRecord | None = None
    opening: Opening | None = None
    build: Build | None = None
    told: Span = field(init=False)
    targets: dict[Digest, frozenset[Names]] = field(init=False)

    def __post_init__(self) -> None:
        """Expect each reference to be there, as what its descriptor says."""
        self.targets = {}
        for blob in self.manifest.blobs:
            self._expect(blob.digest, [] if blob.is_foreign else [Names.LINK])
        for child in self.manifest.children:
            is_manifest = media_types.is_manifest(child.media_type)
            self._expect(child.digest, [Names.CHILD if is_manifest else Names.LINK])

    def _expect(self, target: Digest, names: Iterable[Names]) -> None:
        self.targets[target] = self.targets.get(target, frozenset()) | frozenset(names)

    @property
    def digest(self) -> Digest:
        """Name what is pushed."""
        return self.manifest.digest

    @property
    def is_completing(self) -> bool:
        """Whether the manifest is there without all its content, which this push must find."""
        return bool(self.is_live and self.record and self.record.is_incomplete) and not bool(
            self.may_miss
        )

    @property
    def has_references(self) -> bool:
        """Whether this push looks after content: a tag of what is there already need not."""
        return not self.is_live or self.is_completing

    @property
    def is_large(self) -> bool:
        """Whether there are more references still to be written than one transaction takes."""
        if not self.has_references or not any(True for _ in self._targets_left()):
            return False
        some = Transaction()
        for change in self._all():
            some.add(change)
            if len(some) > MOST_CHANGES:
                return True
        return False

    def whole(self) -> Transaction:
        """Give all that is still to be written."""
        return Transaction(self._all())

    def _all(self) -> Iterator[Change]:
        yield from self._events()
        yield from self._build_end()
        yield from self._rows()

    def part(self) -> tuple[Transaction, set[Digest]]:
        """Give as much of the references as one transaction takes, and which these are."""
        opening = [*self._opening()]
        changes = Transaction([self._build_row()])
        placed: set[Digest] = set()
        for target in self._targets_left():
            more = changes.with_all(self._reference(target))
            if len(more.with_all(opening)) > MOST_CHANGES:
                break
            changes = more
            placed.add(target)
        return changes.with_all(opening), placed

    def wanted(self) -> Mapping[Digest, bool]:
        """Name the references that are to be looked for; and whether each may be a manifest."""
        children = {child.digest for child in self.manifest.children}
        return {target: target in children for target in self._targets_left()}

    def found(self, there: Mapping[Digest, frozenset[Names]]) -> list[Digest]:
        """Expect each reference to be what was found; give what is missing, and must not be."""
        needed = {blob.digest for blob in self.manifest.blobs if not blob.is_foreign} | self.linked
        children = {child.digest for child in self.manifest.children}
        missing: list[Digest] = []
        for target, names in there.items():
            self.targets[target] = names if target in needed or target in children else frozenset()
            lacks_link = target in needed and Names.LINK not in names
            lacks_child = target in children and not names
            is_needed = (lacks_link and Names.LINK not in self.may_miss) or (
                lacks_child and Names.CHILD not in self.may_miss
            )
            if is_needed and target not in self.may_lack:
                missing.append(target)
        return missing

    def is_fixed(self, tag: Tag) -> bool:
        """Tell whether a tag, once it is there, points to the same for good.

        A list of referrers does not: it changes with them, and its tag names their subject.
        """
        return self.policies.is_write_once and not is_referrers_tag(tag)

    def _is_claimed(self, tag: Tag) -> bool:
        is_kept = self.is_fixed(tag) and self.policies.keeps_names
        return is_kept and tag not in self.returning

    def is_list_of_referrers(self) -> bool:
        """Tell a list that a client keeps itself: it may name referrers that are gone meanwhile.

        One with more than LISTED may not: each name that is missing costs reads, and an edge.
        """
        is_short = len(self.manifest.children) <= LISTED
        is_index = self.manifest.media_type in media_types.INDEXES
        return is_short and is_index and bool(self.tags) and all(map(is_referrers_tag, self.tags))

    def _rows(self) -> Iterator[Change]:
        if self.has_references:
            for target in self._targets_left():
                yield from self._reference(target)
        yield from self._opening()  # after the references: what lacks some, lists no repository
        yield self._manifest_row()
        for tag, there in self.tags.items():
            if there is None and self._is_claimed(tag):
                yield tags.claim(tag, self.now)
            yield from tags.point(self._tag(tag, there), there, self.cause.by)
        if self.manifest.subject:
            key = keys.referrer(self.manifest.subject.digest, self.digest)
            yield Upsert(key, referrer_values(self.manifest))

    def _opening(self) -> Iterator[Change]:
        if self.opening is None:
            yield Update(keys.WRITABLE, {"updated": self.now})
            return
        yield Insert(keys.WRITABLE, {"updated": self.now})
        if self.opening.etag:
            yield Update(keys.REPOSITORY, {}, self.opening.etag)
        else:
            yield Insert(keys.REPOSITORY, {"created": self.now})

    def _targets_left(self) -> Iterator[Digest]:
        placed = self.build.placed if self.build else ()
        return (target for target in self.targets if target not in placed)

    def _reference(self, target: Digest) -> Iterator[Change]:
        names = self.targets[target]
        if Names.LINK in names:
            yield Update(keys.blob(target), {"seen": self.now})
        if Names.CHILD in names:
            yield Update(keys.manifest(target), {"seen": self.now, "deletion": ""})
        named = next((name.value for name in Names if name in names), "")
        ours: Mapping[str, Value] = {OURS: True} if self.is_ours else {}
        yield Put(keys.edge(target, self.digest, self._life), {"names": named, **ours})

    @property
    def _life(self) -> str:
        return self.record.life if self.is_live and self.record else self.life

    def _manifest_row(self) -> Change:
        key = keys.manifest(self.digest)
        if not self.is_live:
            return Insert(key, {**self._values(), "is_incomplete": self._misses()})
        values: dict[str, Value] = {"seen": self.now, "deletion": ""}
        if self.is_completing:
            values["is_incomplete"] = False
        # Here it matters which life it is: another may lack content, or be of another media type.
        is_exact = self.is_completing or self.manifest.children or not self.manifest.is_typed
        return Update(key, values, self._read_as if is_exact else ANY)

    @property
    def _read_as(self) -> str:
        """Give the ETag that the manifest had when it was read, or that our last part left."""
        if self.build:
            return self.build.etag
        return self.record.etag if self.record else ANY

    def _values(self) -> Mapping[str, Value]:
        body = {"object": self.body_object} if self.body_object else body_values(self.manifest.body)
        return {
            **self.kept,
            "life": self.life,
            "media_type": self.manifest.media_type,
            "size": len(self.manifest.body),
            "pushed": self.now,
            "seen": self.now,
            "subject": str(self.manifest.subject.digest) if self.manifest.subject else "",
            "deletion": "",
            **body,
        }

    def _misses(self) -> bool:
        foreign = {blob.digest for blob in self.manifest.blobs if blob.is_foreign}
        return any(not names for target, names in self.targets.items() if target not in foreign)

    def _tag(self, tag: Tag, there: TagRecord | None) -> TagRecord:
        return TagRecord(
            name=tag,
            digest=self.digest,
            media_type=self._media_type,
            size=len(self.manifest.body),
            created=there.created if there else self.now,
            updated=tags.after(self.now, there),
            attributes=there.attributes if there else FREE,
        )

    @property
    def _media_type(self) -> str:
        """Give the media type as it is written there, if it is: types compare without case."""
        return self.record.media_type if self.record else self.manifest.media_type

    def _build_row(self) -> Change:
        if self.is_completing:
            merged: dict[str, Value] = {"seen": self.now, "deletion": ""}
            return Update(keys.manifest(self.digest), merged, self._read_as)
        steps = self.build.steps + 1 if self.build else 1
        key = keys.build(self.digest, self._life)
        if self.build:
            return Update(key, {"steps": steps}, self.build.etag)
        return Insert(key, {**self._values(), "life": self._life, "steps": steps})

    def _build_end(self) -> Iterator[Change]:
        if self.build and not self.is_live:
            yield Delete(keys.build(self.digest, self._life), self.build.etag)

    def _events(self) -> Iterator[Insert]:
        for tag, key in self.outbox.items():
            there = self.tags.get(tag)
            event = ManifestPushed(
                digest=str(self.digest),
                tag=tag,
                media_type=self.manifest.media_type,
                size=len(self.manifest.body),
                cause=self.cause,
                at=self.now,
                subject=str(self.manifest.subject.digest) if self.manifest.subject else "",
                previous=str(there.digest) if there else "",
            )
            yield Insert(key, values(event))
