import pytest

from shared.errors import ManifestInvalid
from shared.model.digest import Digest
from shared.model.manifests.descriptor import Descriptor

DIGEST = Digest.of(b"content")
GOOD: dict[str, object] = {"mediaType": "a/b", "digest": str(DIGEST), "size": 7}

REFUSED: list[tuple[object, str]] = [
    (None, "config must be a descriptor"),
    ([], "config must be a descriptor"),
    ("sha256:0", "config must be a descriptor"),
    ({}, "config.mediaType must be a string"),
    ({**GOOD, "mediaType": 1}, "config.mediaType must be a string"),
    ({**GOOD, "size": -1}, "config.size must be a whole number"),
    ({**GOOD, "size": 1.0}, "config.size must be a whole number"),
    ({**GOOD, "size": True}, "config.size must be a whole number"),
    ({**GOOD, "size": "7"}, "config.size must be a whole number"),
    ({**GOOD, "size": None}, "config.size must be a whole number"),
    ({**GOOD, "size": 2**63}, "config.size must be a whole number"),
    ({**GOOD, "digest": None}, "config.digest must be a string"),
    ({**GOOD, "digest": "sha256:0"}, "config.digest: a sha256 digest has 64 digits"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_what_is_not_a_descriptor_is_refused_by_its_place(value: object, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        Descriptor.read(value, "config")


@pytest.mark.parametrize("size", [0, 7, 2**63 - 1])
def test_a_descriptor_is_read(size: int) -> None:
    read = Descriptor.read({**GOOD, "size": size, "urls": ["x"], "else": 1}, "config")
    assert read == Descriptor("a/b", DIGEST, size)


@pytest.mark.parametrize(
    ("media_type", "is_foreign"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", True),
        ("Application/Vnd.OCI.Image.Layer.NonDistributable.v1.tar+zstd", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
    ],
)
def test_foreign_layers_are_told_by_their_type(media_type: str, is_foreign: bool) -> None:
    assert Descriptor(media_type, DIGEST, 7).is_foreign is is_foreign
