"""The model: what each actor has been told, and so what the registry owes it.

An actor has manifests and tags of its own, so that it knows their state after each of its answers.
Blobs are everyone's: a few contents, which all actors push to all repositories again and again.
What was answered with an error is unknown, until a later answer tells.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCTETS = "application/octet-stream"


class State(Enum):
    """What is known of a manifest."""

    LIVE = "live"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes under their digest."""

    content: bytes
    media_type: str = _OCTETS

    @property
    def digest(self) -> str:
        """Name the bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def descriptor(self) -> dict[str, object]:
        """Describe them as a manifest does."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(eq=False, slots=True)
class Known:
    """A manifest of one actor in one repository, and what it was last told of it."""

    repository: str
    manifest: Content
    blobs: Sequence[Content] = ()
    children: Sequence["Known"] = ()
    subject: "Known | None" = None
    state: State = State.UNKNOWN

    @property
    def digest(self) -> str:
        """Name the manifest."""
        return self.manifest.digest


@dataclass(slots=True)
class Mine:
    """What one actor knows: its manifests, and where its tags point (None: nowhere)."""

    manifests: list[Known] = field(default_factory=list)
    tags: dict[tuple[str, str], Known | None] = field(default_factory=dict)
    unknown_tags: set[tuple[str, str]] = field(default_factory=set)

    def live(self, repository: str | None = None) -> list[Known]:
        """List what must be there."""
        return [
            known
            for known in self.manifests
            if known.state is State.LIVE and repository in {None, known.repository}
        ]

    def deleted(self, known: Known) -> None:
        """Note that a manifest is gone, its tags with it, and later what refers to it."""
        known.state = State.GONE
        for other in self.manifests:
            if other.subject is known and other.state is State.LIVE:
                self.doomed(other)
        for place, target in self.tags.items():
            if target is known:
                self.tags[place] = None

    def doomed(self, known: Known) -> None:
        """Note that a manifest will go some time; its tags with it."""
        known.state = State.UNKNOWN
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


def pool(number: int) -> Sequence[Content]:
    """Make the contents that everyone pushes: each with its number, from 100 bytes to 50 kB."""
    return [Content(f"content {n} ".encode() * (10 + n * 317 % 5_000)) for n in range(number)]


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


def needed(everyone: Sequence[Mine]) -> Iterator[tuple[str, bool]]:
    """Name the digests that something may need, and whether it must be there."""
    for mine in everyone:
        for known in mine.manifests:
            if known.state is not State.GONE:
                for content in (known.manifest, *known.blobs):
                    yield content.digest, known.state is State.LIVE
