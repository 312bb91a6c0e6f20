"""Bodies of uploads: of any size, never whole in memory, and like no other."""

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator
from functools import cached_property

PIECE = 256 * 1024
"""How much of a body is held at a time."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

_NUMBER = 8


class Body:
    """Bytes that no registry has yet: a random piece, again and again, each with its number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._random = secrets.token_bytes(min(PIECE, max(size, 1)))

    def __iter__(self) -> Iterator[bytes]:
        """Give the body, piece by piece; each time the same."""
        for start in range(0, self.size, PIECE):
            number = (start // PIECE).to_bytes(_NUMBER)
            piece = number + self._random[_NUMBER:] if start else self._random
            yield piece[: self.size - start]

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the body as a request takes it that says no length."""
        for piece in self:
            yield piece

    @property
    def whole(self) -> bytes:
        """Give all of a small body."""
        return b"".join(self)

    @cached_property
    def digest(self) -> str:
        """Give the digest of the body."""
        hashed = hashlib.sha256()
        for piece in self:
            hashed.update(piece)
        return f"sha256:{hashed.hexdigest()}"


def digest_of(content: bytes) -> str:
    """Give the digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def size_text(size: int) -> str:
    """Write a number of bytes for people, exact where it is no round one."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size and not size % unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"
