"""Builders of real images, indexes and artifacts, which engines accept and unpack."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EPOCH = 1_700_000_000
EMPTY_CONFIG = b"{}"

type Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, with the name and the type under which a registry knows them."""

    content: bytes
    media_type: str
    digest: str

    @property
    def size(self) -> int:
        """Count the bytes."""
        return len(self.content)

    def descriptor(self, **more: object) -> Json:
        """Describe the blob as a manifest does."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as it travels, and the digest of its unpacked archive."""

    blob: Blob
    diff_id: str
    urls: tuple[str, ...] = ()

    def descriptor(self) -> Json:
        """Describe the layer, with the addresses a foreign one is fetched from."""
        return self.blob.descriptor(**({"urls": list(self.urls)} if self.urls else {}))


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on."""

    architecture: str = "amd64"
    os: str = "linux"

    def fields(self) -> Json:
        """Give the platform as the fields of a config or a descriptor."""
        return {"architecture": self.architecture, "os": self.os}


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest with all it refers to, down to the last byte."""

    manifest: Blob
    config: Blob
    layers: tuple[Layer, ...]
    platform: Platform = Platform()

    @property
    def digest(self) -> str:
        """Name the image as a registry does."""
        return self.manifest.digest

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """List what is to be uploaded before the manifest: a foreign layer is not."""
        return (self.config, *(layer.blob for layer in self.layers if not layer.urls))

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """List the digests of the unpacked layers."""
        return tuple(layer.diff_id for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """An image index (or manifest list) and the images it lists."""

    manifest: Blob
    images: tuple[Image, ...]

    @property
    def digest(self) -> str:
        """Name the index as a registry does."""
        return self.manifest.digest


@dataclass(frozen=True, slots=True)
class Flavour:
    """The media types of one family of manifests."""

    manifest: str
    index: str
    config: str
    layer: str
    tar: str
    foreign: str


OCI = Flavour(
    manifest="application/vnd.oci.image.manifest.v1+json",
    index="application/vnd.oci.image.index.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
    tar="application/vnd.oci.image.layer.v1.tar",
    foreign="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
)
DOCKER = Flavour(
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    index="application/vnd.docker.distribution.manifest.list.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
    tar="application/vnd.docker.image.rootfs.diff.tar",
    foreign="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
)
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


def digest_of(content: bytes) -> str:
    """Name bytes by their SHA-256."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def blob(content: bytes, media_type: str = "application/octet-stream") -> Blob:
    """Make a blob of bytes."""
    return Blob(content, media_type, digest_of(content))


def document(fields: Mapping[str, object], media_type: str) -> Blob:
    """Make a blob of a JSON document."""
    return blob(json.dumps(fields, separators=(",", ":")).encode(), media_type)


def random_bytes(size: int, seed: int) -> bytes:
    """Make bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def archive(files: Mapping[str, bytes]) -> bytes:
    """Pack files into a tar archive, the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), EPOCH, 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def layer(files: Mapping[str, bytes], flavour: Flavour = OCI, *, gzipped: bool = True) -> Layer:
    """Make a layer of files, gzipped where asked."""
    tar = archive(files)
    if not gzipped:
        return Layer(blob(tar, flavour.tar), digest_of(tar))
    return Layer(blob(gzip.compress(tar, mtime=0), flavour.layer), digest_of(tar))


def foreign(of: Layer, flavour: Flavour, url: str) -> Layer:
    """Make of a layer one that registries do not store but point to, as of a Windows base image."""
    return Layer(blob(of.blob.content, flavour.foreign), of.diff_id, (url,))


def image_of(
    layers: Sequence[Layer], flavour: Flavour = OCI, platform: Platform = Platform()
) -> Image:
    """Put layers together to an image."""
    config = document(
        {
            **platform.fields(),
            "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
            "history": [
                {"created": "2024-01-01T00:00:00Z", "created_by": f"layer {number}"}
                for number, _ in enumerate(layers)
            ],
        },
        flavour.config,
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": flavour.manifest,
        "config": config.descriptor(),
        "layers": [each.descriptor() for each in layers],
    }
    return Image(document(manifest, flavour.manifest), config, tuple(layers), platform)


def image(
    seed: int,
    *,
    layers: int = 2,
    size: int = 4096,
    flavour: Flavour = OCI,
    platform: Platform = Platform(),
) -> Image:
    """Make an image of random layers: another seed, another image down to the last layer."""
    parts = [
        layer({f"data/{seed}-{number}": random_bytes(size, seed * 1000 + number)}, flavour)
        for number in range(layers)
    ]
    return image_of(parts, flavour, platform)


def index_of(images: Sequence[Image], flavour: Flavour = OCI) -> Index:
    """List images of several platforms under one digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": flavour.index,
        "manifests": [each.manifest.descriptor(platform=each.platform.fields()) for each in images],
    }
    return Index(document(manifest, flavour.index), tuple(images))


def multi_platform(seed: int, flavour: Flavour = OCI) -> Index:
    """Make an index of an image for amd64 and one for arm64."""
    platforms = (Platform("amd64"), Platform("arm64"))
    return index_of(
        [
            image(seed * 10 + number, flavour=flavour, platform=each)
            for number, each in enumerate(platforms)
        ],
        flavour,
    )


def artifact(artifact_type: str, content: bytes, subject: Blob | None = None) -> Image:
    """Make an artifact, which refers to its subject where it has one."""
    config = blob(EMPTY_CONFIG, EMPTY_TYPE)
    part = blob(content, artifact_type)
    manifest: Json = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "artifactType": artifact_type,
        "config": config.descriptor(),
        "layers": [part.descriptor()],
    }
    if subject is not None:
        manifest["subject"] = subject.descriptor()
    return Image(document(manifest, OCI.manifest), config, (Layer(part, part.digest),))
