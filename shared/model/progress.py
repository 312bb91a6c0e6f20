"""Progress: how far the hash of an object is, sealed into the text that a message carries.

What takes longer than a function may goes on in another message, in whatever process. The text says
which object was hashed, by name and ETag, how far, and the state of the hash. Nobody but the
registry can make or read it: who could would let bad bytes pass for good ones, or good for bad.
"""

import base64
import binascii
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.model.hashing import STATE_BYTES, Hasher

_VERSION = 1
_NONCE_BYTES = 12
_HEAD = struct.Struct(">B??QHH")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an object is hashed; `is_second` says that its bytes seemed bad once already."""

    object: str
    etag: str
    algorithm: str
    state: bytes
    offset: int = 0
    is_second: bool = False

    @classmethod
    def start(cls, name: str, etag: str, algorithm: str, *, is_second: bool = False) -> Self:
        """Begin with an object."""
        return cls(name, etag, algorithm, Hasher(algorithm).state(), is_second=is_second)


class ProgressSeal:
    """Turns progress into text and back.

    `key` is a secret of the registry, of 32 bytes; `older` are those that it replaces: they open as
    well.
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._ciphers = [AESGCM(one) for one in (key, *older)]

    def close(self, progress: Progress) -> str:
        """Give the text: URL-safe, at most 900 characters for names as ours are."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, _pack(progress), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, text: str) -> Progress | None:
        """Read a text that this seal closed; None for any other."""
        try:
            sealed = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            with suppress(InvalidTag, ValueError):
                return _unpack(cipher.decrypt(nonce, rest, None))
        return None


def _pack(progress: Progress) -> bytes:
    name, etag = progress.object.encode(), progress.etag.encode()
    is_sha512 = progress.algorithm == "sha512"
    head = (_VERSION, is_sha512, progress.is_second, progress.offset, len(name), len(etag))
    return b"".join((_HEAD.pack(*head), name, etag, progress.state))


def _unpack(packed: bytes) -> Progress | None:
    version, is_sha512, is_second, offset, name_bytes, etag_bytes = _HEAD.unpack_from(packed)
    algorithm = "sha512" if is_sha512 else "sha256"
    etag_at = _HEAD.size + name_bytes
    state_at = etag_at + etag_bytes
    state = packed[state_at:]
    if version != _VERSION or len(state) != STATE_BYTES[algorithm]:
        return None
    name, etag = packed[_HEAD.size : etag_at].decode(), packed[etag_at:state_at].decode()
    return Progress(name, etag, algorithm, state, offset, is_second)
