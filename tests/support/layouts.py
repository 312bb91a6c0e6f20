"""Images on disk, in the forms that clients read and write."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.images import (
    DOCKER,
    EPOCH,
    Blob,
    Image,
    Index,
    Layer,
    document,
)

PIECE = 1 << 20
VERSION = "Directory Transport Version: 1.1\n"
REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a client holds of an image: digests of manifest, config and unpacked layers."""

    manifest: str
    config: str
    diff_ids: tuple[str, ...]


def stored(image: Image, manifest: str | None = None) -> Stored:
    """Say what a client holds that has the image, under another manifest where it made its own."""
    return Stored(manifest or image.digest, image.config.digest, image.diff_ids)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(content), EPOCH, 0o644
    tar.addfile(entry, io.BytesIO(content))


def unpacked(layer: Layer) -> bytes:
    """Give a layer's archive as `docker save` stores it."""
    packed = layer.blob.media_type.endswith("gzip")
    return gzip.decompress(layer.blob.content) if packed else layer.blob.content


def write_docker_archive(image: Image, path: Path, name: str) -> Path:
    """Write what `docker save` writes."""
    with tarfile.open(path, "w") as tar:
        config = image.config.digest.removeprefix("sha256:") + ".json"
        names = [f"{number}/layer.tar" for number, _ in enumerate(image.layers)]
        add(tar, config, image.config.content)
        for member, layer in zip(names, image.layers, strict=True):
            add(tar, member, unpacked(layer))
        entry = {"Config": config, "RepoTags": [name], "Layers": names}
        add(tar, "manifest.json", json.dumps([entry]).encode())
    return path


def layout_files(root: Image | Index, name: str) -> Iterator[tuple[str, bytes]]:
    """List the files of an OCI image layout."""
    yield "oci-layout", b'{"imageLayoutVersion":"1.0.0"}'
    for blob in blobs_of(root):
        yield "blobs/" + blob.digest.replace(":", "/"), blob.content
    entry = root.manifest.descriptor(annotations={REF_NAME: name})
    yield "index.json", document({"schemaVersion": 2, "manifests": [entry]}, "").content


def blobs_of(root: Image | Index) -> dict[Blob, None]:
    """List every blob once, the manifests among them."""
    images = root.images if isinstance(root, Index) else (root,)
    found = [blob for image in images for blob in (*image.blobs, image.manifest)]
    return dict.fromkeys([*found, root.manifest])


def write_layout(root: Image | Index, folder: Path, name: str) -> Path:
    """Write an OCI image layout as a folder."""
    for member, content in layout_files(root, name):
        path = folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_layout_archive(root: Image | Index, path: Path, name: str) -> Path:
    """Write an OCI image layout as an archive."""
    with tarfile.open(path, "w") as tar:
        for member, content in layout_files(root, name):
            add(tar, member, content)
    return path


def write_directory(image: Image, folder: Path) -> Path:
    """Write skopeo's `dir:` form, without the layers that are foreign."""
    folder.mkdir()
    (folder / "version").write_text(VERSION)
    (folder / "manifest.json").write_bytes(image.manifest.content)
    for blob in image.blobs:
        (folder / blob.digest.removeprefix("sha256:")).write_bytes(blob.content)
    return folder


def read_directory(folder: Path) -> Stored:
    """Read skopeo's `dir:` form, each blob hashed."""
    content = (folder / "manifest.json").read_bytes()
    manifest = json.loads(content)
    for part in manifest["layers"]:
        if not part.get("urls"):
            assert hash_of(folder / part["digest"].removeprefix("sha256:")) == part["digest"]
    config = (folder / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes()
    return Stored(
        "sha256:" + hashlib.sha256(content).hexdigest(),
        "sha256:" + hashlib.sha256(config).hexdigest(),
        tuple(json.loads(config)["rootfs"]["diff_ids"]),
    )


def read_layout(folder: Path) -> Stored:
    """Read an OCI image layout of one image, each blob hashed."""

    def read(digest: str) -> bytes:
        path = folder / "blobs" / digest.replace(":", "/")
        assert hash_of(path) == digest
        return path.read_bytes()

    (root,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    manifest = json.loads(read(root["digest"]))
    config, *_ = [read(part["digest"]) for part in (manifest["config"], *manifest["layers"])]
    diff_ids = tuple(json.loads(config)["rootfs"]["diff_ids"])
    return Stored(root["digest"], manifest["config"]["digest"], diff_ids)


def hash_of(path: Path) -> str:
    """Name a file by its SHA-256, a piece at a time."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def tar_pieces(size: int) -> Iterator[bytes]:
    """Stream an archive of one random file."""
    entry = tarfile.TarInfo("data/large")
    entry.size, entry.mtime, entry.mode = size, EPOCH, 0o644
    yield entry.tobuf(tarfile.USTAR_FORMAT)
    for start in range(0, size, PIECE):
        yield os.urandom(min(PIECE, size - start))
    yield bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def write_large_layer(folder: Path, size: int) -> Layer:
    """Write a layer of random bytes into a folder, and give the layer without its bytes."""
    tar_hash, part = hashlib.sha256(), folder / "part"
    # Stored, not squeezed: the bytes are random, and clients take a gzipped layer as it is.
    squeeze = zlib.compressobj(level=0, wbits=31)
    with part.open("wb") as file:
        for piece in tar_pieces(size):
            tar_hash.update(piece)
            file.write(squeeze.compress(piece))
        file.write(squeeze.flush())
    digest = hash_of(part)
    part.rename(folder / digest.removeprefix("sha256:"))
    return Layer(Blob(b"", DOCKER.layer, digest), "sha256:" + tar_hash.hexdigest())


def write_large_directory(folder: Path, size: int) -> Path:
    """Write skopeo's `dir:` form of an image with one large layer, a piece at a time."""
    folder.mkdir()
    layer = write_large_layer(folder, size)
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id]}
    config = document({"architecture": "amd64", "os": "linux", "rootfs": rootfs}, DOCKER.config)
    length = (folder / layer.blob.digest.removeprefix("sha256:")).stat().st_size
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER.manifest,
        "config": config.descriptor(),
        "layers": [layer.blob.descriptor(size=length)],
    }
    (folder / "version").write_text(VERSION)
    (folder / "manifest.json").write_bytes(document(manifest, DOCKER.manifest).content)
    (folder / config.digest.removeprefix("sha256:")).write_bytes(config.content)
    return folder
