"""Resumable hashing: SHA-256 and SHA-512 whose state travels as plain bytes between requests.

libcrypto's `SHA256_CTX` and `SHA512_CTX` are flat structs of 112 and 216 bytes without pointers,
so a copy of the bytes is the state. The functions below release the interpreter lock while they
hash.
"""

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from typing import Self

from shared.model.digest import Digest

STATE_BYTES = {"sha256": 112, "sha512": 216}
"""The size of each algorithm's state."""

_DIGEST_BYTES = {"sha256": 32, "sha512": 64}
_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.dylib")


class Hasher:
    """A hash under way. Not for use by two threads at once."""

    def __init__(self, algorithm: str, state: bytes | None = None) -> None:
        """Start anew, or go on from what `state()` gave; ValueError where its size is wrong."""
        self.algorithm = algorithm
        self._state = ctypes.create_string_buffer(STATE_BYTES[algorithm])
        if state is None:
            _function(algorithm, "Init")(self._state)
        elif len(state) != len(self._state):
            raise ValueError(f"a {algorithm} state has {len(self._state)} bytes")
        else:
            self._state.raw = state

    def update(self, data: bytearray | memoryview) -> None:
        """Take in more bytes, which must be writable memory, without copying them."""
        if data:
            view = (ctypes.c_char * len(data)).from_buffer(data)
            _function(self.algorithm, "Update")(self._state, view, ctypes.c_size_t(len(data)))

    def state(self) -> bytes:
        """Give the state as bytes of a fixed length."""
        return self._state.raw

    def digest(self) -> Digest:
        """Give the digest of all bytes so far; more may follow."""
        result = ctypes.create_string_buffer(_DIGEST_BYTES[self.algorithm])
        final = self.copy()
        _function(self.algorithm, "Final")(result, final._state)  # noqa: SLF001 - our own
        return Digest(self.algorithm, result.raw.hex())

    def copy(self) -> Self:
        """Branch off a hash that goes on by itself."""
        return type(self)(self.algorithm, self.state())


@cache
def _function(algorithm: str, step: str) -> Callable[..., int]:
    return getattr(_library(), f"{algorithm.upper()}_{step}")  # type: ignore[no-any-return]


@cache
def _library() -> ctypes.CDLL:
    found = ctypes.util.find_library("crypto")
    for name in (*_LIBRARIES, *([found] if found else [])):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise RuntimeError("libcrypto (OpenSSL 1.1 or 3) is missing: install the package libssl3")
