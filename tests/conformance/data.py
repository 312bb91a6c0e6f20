"""What is pushed and pulled: one data set for each kind of content a registry has to take."""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.images import DOCKER, EMPTY_TYPE, OCI, Blob, Flavour, Json, document

SBOM = "application/vnd.example.sbom.v1"
SIGNATURE = "application/vnd.example.signature.v1"
NOTE = {"org.example.note": "hello"}
PLATFORMS: tuple[Json, ...] = (
    {"os": "linux", "architecture": "amd64"},
    {"os": "linux", "architecture": "arm64"},
)


@dataclass(slots=True)
class DataSet:
    """Content that belongs together, in the order in which it is pushed.

    `referrers` are the descriptors that a registry is to list for each subject.
    """

    algorithm: str = "sha256"
    flavour: Flavour = OCI
    blobs: list[Blob] = field(default_factory=list)
    manifests: list[Blob] = field(default_factory=list)
    tags: dict[str, Blob] = field(default_factory=dict)
    referrers: dict[str, list[Json]] = field(default_factory=dict)

    def named(self, content: bytes, media_type: str) -> Blob:
        """Name content by this set's algorithm."""
        return Blob(content, media_type, digest_of(content, self.algorithm))

    def blob(self, content: bytes, media_type: str = "application/octet-stream") -> Blob:
        """Add a blob."""
        made = self.named(content, media_type)
        self.blobs.append(made)
        return made

    def manifest(self, fields: Mapping[str, object], media_type: str, tag: str = "") -> Blob:
        """Add a manifest of this media type, and a tag where one is given."""
        body = {"schemaVersion": 2, "mediaType": media_type, **fields}
        made = self.named(document(body, media_type).content, media_type)
        self.manifests.append(made)
        if tag:
            self.tags[tag] = made
        return made

    def layers(self, count: int = 2, media_type: str = "") -> list[Blob]:
        """Add layers of random bytes."""
        kind = media_type or self.flavour.layer
        return [self.blob(secrets.token_bytes(1024), kind) for _ in range(count)]

    def image(
        self, tag: str = "", *, layers: Sequence[Json] | None = None, **fields: object
    ) -> Blob:
        """Add an image of random layers, or of these."""
        own = self.layers() if layers is None else []
        config = document(
            {**PLATFORMS[0], "rootfs": {"type": "layers", "diff_ids": [secrets.token_hex(16)]}},
            self.flavour.config,
        )
        content = {
            "config": self.blob(config.content, config.media_type).descriptor(),
            "layers": [each.descriptor() for each in own] if layers is None else list(layers),
        }
        return self.manifest({**content, **fields}, self.flavour.manifest, tag)

    def index(self, children: Sequence[Blob], tag: str = "", **fields: object) -> Blob:
        """Add an index of these manifests, one for each platform."""
        manifests = [
            child.descriptor(platform=PLATFORMS[place % 2]) for place, child in enumerate(children)
        ]
        return self.manifest({"manifests": manifests, **fields}, self.flavour.index, tag)

    def artifact(self, artifact_type: str = SBOM, tag: str = "", **fields: object) -> Blob:
        """Add an artifact with one layer of its type."""
        content = {
            "artifactType": artifact_type,
            "config": self.blob(b"{}", EMPTY_TYPE).descriptor(),
            "layers": [each.descriptor() for each in self.layers(1, artifact_type)],
        }
        return self.manifest({**content, **fields}, OCI.manifest, tag)

    def refers(self, subject: str, referrer: Blob, **shown: object) -> None:
        """Expect a referrer to be listed under its subject, with these fields."""
        self.referrers.setdefault(subject, []).append(referrer.descriptor(**shown))


def digest_of(content: bytes, algorithm: str) -> str:
    """Name bytes by an algorithm."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


UNKNOWN = ("sha256:" + "1" * 64, "sha512:" + "1" * 128)
"""Digests of nothing that was ever pushed."""


def unknown_digest(algorithm: str = "sha256") -> str:
    """Name content that nobody has, each time another."""
    return digest_of(secrets.token_bytes(16), algorithm)


def image() -> DataSet:
    """Make an image."""
    data = DataSet()
    data.image("image")
    return data


def image_uncompressed() -> DataSet:
    """Make an image of layers that are plain archives."""
    data = DataSet()
    data.image("image", layers=[each.descriptor() for each in data.layers(2, OCI.tar)])
    return data


def docker_image() -> DataSet:
    """Make an image and a list with docker's own media types."""
    data = DataSet(flavour=DOCKER)
    data.index([data.image("v1"), data.image()], "latest")
    return data


def large_manifest() -> DataSet:
    """Make an image whose manifest has 3.9 MB."""
    data = DataSet()
    data.image("large", annotations={f"large-{n}": "A" * 10_000 for n in range(390)})
    return data


def index() -> DataSet:
    """Make an image for two platforms."""
    data = DataSet()
    data.index([data.image(), data.image()], "index")
    return data


def nested_index() -> DataSet:
    """Make an index of indexes."""
    data = DataSet()
    inner = [data.index([data.image(), data.image()]) for _ in range(2)]
    data.index(inner, "nested")
    return data


def empty_index() -> DataSet:
    """Make an index of nothing."""
    data = DataSet()
    data.index([], "empty")
    return data


def artifact() -> DataSet:
    """Make an artifact, and one that is nothing but its manifest."""
    data = DataSet()
    data.artifact(tag="artifact")
    empty = data.blob(b"{}", EMPTY_TYPE).descriptor()
    fields = {"artifactType": SBOM, "config": empty, "layers": [empty]}
    data.manifest({**fields, "annotations": {"id": secrets.token_hex(8)}}, OCI.manifest, "bare")
    return data


def artifact_index() -> DataSet:
    """Make an index of artifacts."""
    data = DataSet()
    data.index([data.artifact(), data.artifact()], "artifacts", artifactType=SBOM)
    return data


def subject() -> DataSet:
    """Make an image, and an image and two artifacts that refer to it."""
    data = DataSet()
    image = data.image("image")
    link: dict[str, Any] = {"subject": image.descriptor()}
    other = data.image(**link)
    data.refers(image.digest, other, artifactType=OCI.config)
    for kind, tag in ((SBOM, "sbom"), (SIGNATURE, "signature")):
        notes = {**NOTE, "org.example.kind": kind}
        made = data.artifact(kind, tag, annotations=notes, **link)
        data.refers(image.digest, made, artifactType=kind, annotations=notes)
    return data


def index_with_subject() -> DataSet:
    """Make an index, and two that refer to it: one with a type of artifact, and one without."""
    data = DataSet()
    target = data.index([data.image()], "index")
    link: dict[str, Any] = {"subject": target.descriptor()}
    typed = data.index([data.artifact()], "typed", artifactType=SBOM, annotations=NOTE, **link)
    data.refers(target.digest, typed, artifactType=SBOM, annotations=NOTE)
    plain = data.index([data.artifact()], **link)
    data.refers(target.digest, plain)
    return data


def missing_subject() -> DataSet:
    """Make an artifact that refers to what was never pushed."""
    data = DataSet()
    absent = data.named(secrets.token_bytes(123), OCI.manifest)
    made = data.artifact(tag="orphan", subject=absent.descriptor())
    data.refers(absent.digest, made, artifactType=SBOM)
    return data


def data_field() -> DataSet:
    """Make an image whose descriptors carry the content as well."""
    data = DataSet()
    layers = [
        each.descriptor(data=secrets.token_urlsafe(8) + "==") for each in data.layers(1, OCI.layer)
    ]
    data.image("data", layers=layers)
    return data


def non_distributable() -> DataSet:
    """Make an image of which some layers are to be fetched from elsewhere."""
    data = DataSet()
    foreign = [
        data.named(secrets.token_bytes(64), OCI.foreign.removesuffix(ending)).descriptor(
            urls=["https://store.example.com/layer"]
        )
        for ending in ("", "+gzip")
    ]
    data.image("foreign", layers=[*foreign, *(each.descriptor() for each in data.layers(1))])
    return data


def custom_fields() -> DataSet:
    """Make an index of images with fields that no specification knows."""
    data = DataSet()
    custom: dict[str, Any] = {"org.example.field": {"deep": [1, "two", None]}, "zebra": "stripes"}
    children = [data.image(**custom), data.image(**custom)]
    data.index(children, "custom", **custom)
    return data


def no_layers() -> DataSet:
    """Make an image without a layer."""
    data = DataSet()
    data.image("bare", layers=[])
    return data


def sparse() -> DataSet:
    """Make an image and an index that refer to content which is never pushed."""
    data = DataSet()
    absent = data.named(secrets.token_bytes(64), OCI.layer)
    data.image("image", layers=[absent.descriptor(), *(one.descriptor() for one in data.layers(1))])
    child = data.named(secrets.token_bytes(64), OCI.manifest)
    data.index([data.image(), child], "index")
    return data


def sha512() -> DataSet:
    """Make an index whose content is named by SHA-512 throughout."""
    data = DataSet(algorithm="sha512")
    data.index([data.image(), data.image()])
    return data


DATA: dict[str, Callable[[], DataSet]] = {
    make.__name__: make
    for make in (
        image,
        image_uncompressed,
        docker_image,
        large_manifest,
        index,
        nested_index,
        empty_index,
        artifact,
        artifact_index,
        subject,
        index_with_subject,
        missing_subject,
        data_field,
        non_distributable,
        custom_fields,
        no_layers,
        sparse,
        sha512,
    )
}
"""Every data set, by name."""
