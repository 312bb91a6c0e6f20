"""A vault in memory."""

import hashlib
import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.storage.ports import Signature, VaultRefused, Wrapped

_NONCE_BYTES = 12
_SECRET_BYTES = 32


@dataclass(slots=True)
class MemoryVault:
    """A key with versions; `trouble` is what the vault says instead of doing what it is asked."""

    key: str = "https://vault.test/keys/master"
    trouble: str = ""
    calls: list[str] = field(default_factory=list)
    _versions: dict[str, bytes] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the first version."""
        if not self._versions:
            self.renew()

    def renew(self) -> str:
        """Make a new version, which wraps from now on; give its name."""
        version = os.urandom(16).hex()
        self._versions[version] = os.urandom(_SECRET_BYTES)
        return version

    async def wrap(self, secret: bytes) -> Wrapped:
        """Wrap a short secret with the newest version."""
        self._note("wrap")
        version = [*self._versions][-1]
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(self._versions[version])
        return Wrapped(version, nonce + cipher.encrypt(nonce, secret, None))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        """Give back what was wrapped."""
        self._note("unwrap")
        nonce, rest = wrapped.data[:_NONCE_BYTES], wrapped.data[_NONCE_BYTES:]
        try:
            return AESGCM(self._versions[wrapped.version]).decrypt(nonce, rest, None)
        except (LookupError, InvalidTag, ValueError):
            raise VaultRefused(f"{self.key}/{wrapped.version} has not wrapped this") from None

    async def sign(self, message: bytes) -> Signature:
        """Sign a message with the newest version."""
        self._note("sign")
        version = [*self._versions][-1]
        self._known.add(version)
        return Signature(version, hmac.digest(self._versions[version], message, hashlib.sha256))

    async def verify(self, message: bytes, signature: Signature) -> bool:
        """Tell whether a version has signed this; each is asked for once."""
        version = signature.version
        if version not in self._known:
            self._note("get")
        if version not in self._versions:
            raise VaultRefused(f"{self.key}/{version} is not there")
        self._known.add(version)
        signed = hmac.digest(self._versions[version], message, hashlib.sha256)
        return hmac.compare_digest(signed, signature.data)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.trouble:
            raise VaultRefused(self.trouble)
