"""Media types that mean something to a registry."""

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})

_KNOWN = IMAGES | INDEXES

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.",
    "application/vnd.oci.image.layer.nondistributable.",
)


def canonical(media_type: str) -> str:
    """Give the usual spelling of a type of the above, and any other as it is.

    Media types compare without regard to case (RFC 9110, 8.3.1).
    """
    lower = media_type.lower()
    return lower if lower in _KNOWN else media_type


def is_manifest(media_type: str) -> bool:
    """Tell what is likely to be a manifest where an index names it; others are blobs there."""
    return media_type in IMAGES | INDEXES or "manifest" in media_type


def is_schema_1(media_type: str) -> bool:
    """Tell the manifests of docker's first format, which no client writes any more."""
    return media_type.lower().startswith(_SCHEMA_1)


def is_foreign(media_type: str) -> bool:
    """Tell layers that clients fetch from elsewhere, such as Windows base layers."""
    return media_type.lower().startswith(_FOREIGN)
