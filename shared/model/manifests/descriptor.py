"""Descriptors: how a manifest names content (OCI image specification, descriptor.md)."""

from dataclasses import dataclass
from typing import Self

from shared.errors import DigestInvalid, ManifestInvalid
from shared.model.digest import Digest
from shared.model.manifests import media_types

_LARGEST_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Content by media type, digest and size in bytes."""

    media_type: str
    digest: Digest
    size: int

    @classmethod
    def read(cls, value: object, place: str) -> Self:
        """Read the descriptor that stands at `place` in a manifest; raises ManifestInvalid."""
        if not isinstance(value, dict):
            raise ManifestInvalid(f"{place} must be a descriptor (an object)")
        media_type, digest, size = (value.get(key) for key in ("mediaType", "digest", "size"))
        if not isinstance(media_type, str):
            raise ManifestInvalid(f"{place}.mediaType must be a string")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_SIZE:
            raise ManifestInvalid(f"{place}.size must be a whole number of 0 or more")
        if not isinstance(digest, str):
            raise ManifestInvalid(f"{place}.digest must be a string")
        try:
            return cls(media_type, Digest.parse(digest), size)
        except DigestInvalid as error:
            raise ManifestInvalid(f"{place}.digest: {error}") from None

    @property
    def is_foreign(self) -> bool:
        """Whether clients fetch it from elsewhere, so that it need not be here."""
        return media_types.is_foreign(self.media_type)
