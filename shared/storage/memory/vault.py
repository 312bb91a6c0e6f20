"""A vault in memory."""

import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.storage.ports import VaultRefused, Wrapped

_NONCE_BYTES = 12


@dataclass(slots=True)
class MemoryVault:
    """A key with versions; `trouble` is what the vault says instead of doing what it is asked."""

    key: str = "https://vault.test/keys/master"
    trouble: str = ""
    calls: list[str] = field(default_factory=list)
    _versions: dict[str, AESGCM] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the first version."""
        self.renew()

    def renew(self) -> str:
        """Make a new version, which wraps from now on; give its name."""
        version = os.urandom(16).hex()
        self._versions[version] = AESGCM(os.urandom(32))
        return version

    async def wrap(self, secret: bytes) -> Wrapped:
        """Wrap a short secret with the newest version."""
        self._note("wrap")
        version = [*self._versions][-1]
        nonce = os.urandom(_NONCE_BYTES)
        return Wrapped(version, nonce + self._versions[version].encrypt(nonce, secret, None))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        """Give back what was wrapped."""
        self._note("unwrap")
        nonce, rest = wrapped.data[:_NONCE_BYTES], wrapped.data[_NONCE_BYTES:]
        try:
            return self._versions[wrapped.version].decrypt(nonce, rest, None)
        except (LookupError, InvalidTag, ValueError):
            raise VaultRefused(f"{self.key}/{wrapped.version} has not wrapped this") from None

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.trouble:
            raise VaultRefused(self.trouble)
