"""Digests: what names content (OCI image specification, descriptor.md)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from shared.errors import DigestInvalid

ENCODED_LENGTHS = {"sha256": 64, "sha512": 128}
"""The algorithms we accept, and how many hexadecimal digits each has."""

_SHAPE = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and what it made of the content: `sha256:…` or `sha512:…`."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a digest; raises DigestInvalid."""
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            raise DigestInvalid(f"{text[:200]!r} is not a digest (algorithm:hex)")
        algorithm, encoded = shape.groups()
        length = ENCODED_LENGTHS.get(algorithm)
        if length is None:
            known = " or ".join(ENCODED_LENGTHS)
            raise DigestInvalid(
                f"digest algorithm {algorithm[:50]!r} is not supported: use {known}"
            )
        if not re.fullmatch(rf"[0-9a-f]{{{length}}}", encoded):
            raise DigestInvalid(f"a {algorithm} digest has {length} digits of lower-case hex")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Compute the digest of content that is in memory."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"
