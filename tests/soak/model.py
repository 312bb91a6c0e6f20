"""The model: what each actor has been told, and so what the registry owes it.

An actor has manifests and tags of its own, so that it knows their state after each of its answers.
Blobs are everyone's: some contents, which all actors push to all repositories again and again.
What was answered with an error is unknown, until a later answer tells.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCTETS = "application/octet-stream"
_REMEMBERED = 100

type Place = tuple[str, str]
"""A repository, and a tag or a digest in it."""


class State(Enum):
    """What is known of a manifest; DOOMED is a referrer that goes, since its subject has gone."""

    LIVE = "live"
    GONE = "gone"
    DOOMED = "doomed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes under their digest."""

    content: bytes
    media_type: str = _OCTETS
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the bytes."""
        digest = f"sha256:{hashlib.sha256(self.content).hexdigest()}"
        object.__setattr__(self, "digest", digest)

    def descriptor(self) -> dict[str, object]:
        """Describe them as a manifest does."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(eq=False, slots=True)
class Known:
    """A manifest of one actor in one repository, and what it was last told of it.

    `left` are the tags that its deletion took, `deleted_at` is when that was asked for.
    """

    repository: str
    manifest: Content
    blobs: Sequence[Content] = ()
    children: Sequence["Known"] = ()
    subject: "Known | None" = None
    state: State = State.UNKNOWN
    left: frozenset[str] = frozenset()
    deleted_at: float = 0.0

    @property
    def digest(self) -> str:
        """Name the manifest."""
        return self.manifest.digest

    @property
    def place(self) -> Place:
        """Say where it is."""
        return self.repository, self.digest

    @property
    def has_all(self) -> bool:
        """Tell whether all that it refers to is there."""
        subjects = [self.subject] if self.subject else []
        return all(it.state is State.LIVE for it in (*self.children, *subjects))


@dataclass(slots=True)
class Mine:
    """What one actor knows: its manifests, and where its tags point (None: nowhere).

    `told` counts what was acknowledged, and of which consumers are to hear: by consumer,
    repository, digest and tag.
    """

    manifests: list[Known] = field(default_factory=list)
    tags: dict[Place, Known | None] = field(default_factory=dict)
    unknown_tags: set[Place] = field(default_factory=set)
    told: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def live(self, repository: str | None = None) -> list[Known]:
        """List what must be there."""
        return [known for known in self.of(State.LIVE) if repository in {None, known.repository}]

    def of(self, state: State) -> list[Known]:
        """List what is in a state."""
        return [known for known in self.manifests if known.state is state]

    def gone(self) -> list[Known]:
        """List what was deleted, the latest last."""
        return sorted(self.of(State.GONE), key=lambda known: known.deleted_at)

    def certain_tags(self) -> dict[Place, Known | None]:
        """Give the tags of which we know where they point."""
        return {it: known for it, known in self.tags.items() if it not in self.unknown_tags}

    def pushed(self, known: Known, tag: str | None, *, is_certain: bool = True) -> None:
        """Note that a manifest is there, and that its tag points to it.

        Where it was only found to be there, that may be the work of an earlier push.
        """
        self._returned(known)
        self._tell("AFTER_PUSH", known, tag or "", is_certain=is_certain)
        if tag:
            self.pointed(known.repository, tag, known)

    def restored(self, known: Known, *, is_exact: bool) -> None:
        """Note that a manifest has come back, and its tags as far as they are free.

        Where it is not known which of its lives came back, its tags are not known either.
        """
        self._returned(known)
        for tag in known.left:
            place = (known.repository, tag)
            if not is_exact:
                self.unknown_tags.add(place)
            elif place not in self.unknown_tags and self.tags[place] is None:
                self.pointed(*place, known)

    def deleted(self, known: Known, tags: frozenset[str], *, is_ours: bool) -> None:
        """Note that a manifest is gone, these tags with it, and later what refers to it.

        Where it may have been gone before, `is_ours` is False.
        """
        if is_ours:
            self._tell("AFTER_DELETION", known, "")
        known.state, known.left = State.GONE, tags
        for other in self.manifests:
            if other.subject is known and other.state is State.LIVE:
                self.uncertain(other, State.DOOMED)
        for tag in tags:
            self.pointed(known.repository, tag, None)
        self._forget()

    def uncertain(self, known: Known, state: State = State.UNKNOWN) -> None:
        """Note that a manifest may go at any time; its tags with it."""
        known.state = state
        self.unknown_tags |= {place for place, target in self.tags.items() if target is known}

    def pointed(self, repository: str, tag: str, known: Known | None) -> None:
        """Note where a tag points."""
        self.tags[repository, tag] = known
        self.unknown_tags.discard((repository, tag))

    def is_used(self, known: Known) -> bool:
        """Tell whether a manifest that is there, or may be, needs this one."""
        return any(
            known in other.children for other in self.manifests if other.state is not State.GONE
        )

    def _tell(self, consumer: str, known: Known, tag: str, *, is_certain: bool = True) -> None:
        consumers = [consumer, "KEEP_LIST"] if known.subject else [consumer]
        for one in consumers:
            change = (one, *known.place, tag)
            self.told[change] = self.told[change] + 1 if is_certain else max(self.told[change], 1)

    def _returned(self, known: Known) -> None:
        known.state = State.LIVE
        for other in self.manifests:
            if other.subject is known and other.state is State.DOOMED:
                other.state = State.UNKNOWN

    def _forget(self) -> None:
        """Remember only some of what is gone: a long soak pushes much."""
        needed = {id(it.subject) for it in self.manifests} | {
            id(child) for it in self.manifests for child in it.children
        }
        for known in self.gone()[:-_REMEMBERED]:
            if id(known) not in needed:
                self.manifests.remove(known)


def pool(number: int) -> Sequence[Content]:
    """Make the contents that everyone pushes: each with its number, from 100 bytes to 10 kB."""
    return [Content(f"content {n} ".encode() * (10 + n * 317 % 900)) for n in range(number)]


def own(actor: str, number: int) -> Content:
    """Make a content that nobody else has."""
    return Content(f"{actor} has this alone, as number {number}".encode())


def image(actor: str, number: int, blobs: Sequence[Content], subject: Known | None) -> Content:
    """Make an image that no other actor has: the first blob is its config."""
    fields: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blobs[0].descriptor(),
        "layers": [blob.descriptor() for blob in blobs[1:]],
        "annotations": {"actor": actor, "number": str(number)},
    }
    if subject:
        fields["subject"] = subject.manifest.descriptor()
    return Content(json.dumps(fields).encode(), OCI_MANIFEST)


def index(actor: str, number: int, children: Sequence[Known]) -> Content:
    """Make an index of images."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [child.manifest.descriptor() for child in children],
        "annotations": {"actor": actor, "number": str(number)},
    }
    return Content(json.dumps(fields).encode(), OCI_INDEX)


def places(everyone: Sequence[Mine], state: State) -> Iterator[Place]:
    """Name all manifests in a state."""
    return (known.place for mine in everyone for known in mine.of(state))
