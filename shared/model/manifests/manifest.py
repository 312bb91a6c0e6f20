"""Manifests: what the registry reads in one, and what it refuses. The bytes are kept untouched.

Understood are OCI image manifests and indexes and docker's schema 2 and lists. Every other media
type is an artifact: the descriptors it has under the usual names are honoured, the rest is its own
affair. What is null is absent, and an absent list is empty: that is how Go writes empty lists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from shared.errors import ManifestInvalid
from shared.model.digest import Digest
from shared.model.manifests import media_types
from shared.model.manifests.descriptor import Descriptor
from shared.model.manifests.spelling import ambiguous_key

MANIFEST_BYTES = 4 * 1024 * 1024
"""The largest manifest accepted (ACR 1.4; the specification asks for at least 4 megabytes)."""

REFERENCES = 10_000
"""How many descriptors a manifest may hold."""

NESTED, VALUES = 100_000, 250_000
"""How many objects and lists, and how many values, a manifest may hold at the most.

Four MiB of `{}` take thirty times as much when they are parsed. Manifests are parsed one after the
other, so what a process needs for it is what one takes. Brackets and commas inside of strings count
as well: no manifest comes near.
"""

ARTIFACT_TYPE_LENGTH = 255
"""Characters of the longest artifact type of a referrer, which lists are filtered by."""

_MEDIA_TYPE_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest read once: its bytes, and what they refer to.

    `is_typed` says that the media type follows from the bytes: else it is what the push said.
    """

    body: bytes
    digest: Digest
    media_type: str
    blobs: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] | None = None
    is_typed: bool = True

    def as_referrer(self) -> dict[str, object]:
        """Give the descriptor that a list of referrers shows (end-12)."""
        shown: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": len(self.body),
        }
        if self.artifact_type:
            shown["artifactType"] = self.artifact_type
        if self.annotations:
            shown["annotations"] = dict(self.annotations)
        return shown


def read_manifest(body: bytes, media_type: str, algorithm: str = "sha256") -> Manifest:
    """Understand a manifest pushed with this Content-Type, which may be empty.

    Raises ManifestInvalid.
    """
    document = _document(body, media_type)
    own = _own_type(document)
    announced = media_type
    media_type = _media_type(own, announced)
    _refuse_schema_1(document, media_type)
    manifest = Manifest(
        body=body,
        digest=Digest.of(body, algorithm),
        media_type=media_type,
        blobs=tuple(_blobs(document, media_type)),
        children=tuple(_descriptors(document, "manifests")),
        subject=_subject(document),
        artifact_type=_artifact_type(document, media_type),
        annotations=_annotations(document),
        is_typed=bool(own),
    )
    if manifest.subject and len(manifest.artifact_type or "") > ARTIFACT_TYPE_LENGTH:
        raise ManifestInvalid(f"an artifact type has at most {ARTIFACT_TYPE_LENGTH} characters")
    if len(manifest.blobs) + len(manifest.children) > REFERENCES:
        raise ManifestInvalid(f"a manifest may hold at most {REFERENCES} descriptors")
    return manifest


def _document(body: bytes, media_type: str) -> dict[str, object]:
    if body.count(b"{") + body.count(b"[") > NESTED or body.count(b",") > VALUES:
        raise ManifestInvalid(
            f"a manifest may hold at most {NESTED} objects and lists, and {VALUES} values"
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if media_type and not media_type.lower().endswith("json"):
            return {}
        raise ManifestInvalid(f"the manifest is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest must be a JSON object")
    if key := ambiguous_key(body):
        raise ManifestInvalid(f"the key {key!r} stands twice, or is written in another case")
    return document


def _own_type(document: dict[str, object]) -> str:
    """Give the media type that the document says; else that of which it has the fields."""
    own = document.get("mediaType")
    if own is not None and not isinstance(own, str):
        raise ManifestInvalid("mediaType must be a string")
    given = {key for key, value in document.items() if value is not None}
    is_index, is_image = "manifests" in given, not given.isdisjoint({"config", "layers"})
    if is_index and is_image:
        raise ManifestInvalid("a manifest cannot be both an index and an image (CVE-2021-41190)")
    if own:
        return own
    if is_index:
        return media_types.OCI_INDEX
    return media_types.OCI_MANIFEST if is_image else ""


def _media_type(own: str, announced: str) -> str:
    if not own and not announced:
        raise ManifestInvalid("the request has no Content-Type and the manifest no mediaType")
    if own and announced and own.lower() != announced.lower():
        raise ManifestInvalid(f"Content-Type is {announced!r}, but the manifest is {own!r}")
    media_type = media_types.canonical(own or announced)
    if len(media_type) > _MEDIA_TYPE_LENGTH or not _is_printable(media_type):
        raise ManifestInvalid("the media type is too long, or not ASCII, or not printable")
    return media_type


def _is_printable(text: str) -> bool:
    """Tell what may stand in a header: a line break there would begin another one."""
    return text.isascii() and text.isprintable()


def _refuse_schema_1(document: dict[str, object], media_type: str) -> None:
    is_known = media_type in media_types.IMAGES | media_types.INDEXES
    if media_types.is_schema_1(media_type) or document.get("schemaVersion") == 1:
        raise ManifestInvalid(
            "docker schema 1 manifests are not supported: push with docker 1.10 or later,"
            " or with any OCI client"
        )
    if is_known and document.get("schemaVersion") != 2:  # noqa: PLR2004 - docker's own number
        raise ManifestInvalid("schemaVersion must be 2")


def _blobs(document: dict[str, object], media_type: str) -> Iterable[Descriptor]:
    if media_type in media_types.IMAGES or isinstance(document.get("config"), dict):
        yield Descriptor.read(document.get("config"), "config")
    for key in ("layers", "blobs"):
        yield from _descriptors(document, key)


def _descriptors(document: dict[str, object], key: str) -> Iterable[Descriptor]:
    values = document.get(key)
    if values is None:
        return []
    if not isinstance(values, list):
        raise ManifestInvalid(f"{key} must be a list of descriptors")
    return [Descriptor.read(value, f"{key}[{place}]") for place, value in enumerate(values)]


def _subject(document: dict[str, object]) -> Descriptor | None:
    value = document.get("subject")
    return None if value is None else Descriptor.read(value, "subject")


def _artifact_type(document: dict[str, object], media_type: str) -> str | None:
    own = document.get("artifactType")
    if own is not None and not isinstance(own, str):
        raise ManifestInvalid("artifactType must be a string")
    config = document.get("config")
    if own or media_type in media_types.INDEXES or not isinstance(config, dict):
        return own or None
    return str(config["mediaType"])


def _annotations(document: dict[str, object]) -> Mapping[str, str] | None:
    value = document.get("annotations")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ManifestInvalid("annotations must be an object of strings")
    annotations = {name: text for name, text in value.items() if text is not None}
    if not all(isinstance(text, str) for text in annotations.values()):
        raise ManifestInvalid("annotations must be an object of strings")
    return annotations
