"""Passwords: kept as a salted scrypt hash, compared in constant time.

scrypt is slow on purpose (some 50 ms), and clients that send Basic credentials send them with
every request. So the process remembers that a password fitted a hash, under a key of its own that
dies with it; the hash itself is read from storage each time, so a changed password ends at once.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets

from shared.storage.hints import Hints

_COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024, "dklen": 32}
_LONGEST = 1_024


def hash_password(password: str) -> str:
    """Give `scrypt$SALT$HASH` for a password."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_text(salt)}${_text(_scrypt(password, salt))}"


class Passwords:
    """Compares passwords with their hashes."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._fits = Hints(1_000)

    async def fits(self, password: str, hashed: str) -> bool:
        """Tell whether a password is the one that was hashed."""
        if len(password) > _LONGEST:
            return False
        seen = hmac.digest(self._key, f"{hashed}\0{password}".encode(), "sha256")
        if seen in self._fits:
            return True
        _, salt, wanted = hashed.split("$")
        actual = await asyncio.to_thread(_scrypt, password, base64.b64decode(salt))
        is_same = hmac.compare_digest(_text(actual), wanted)
        if is_same:
            self._fits.add(seen)
        return is_same


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **_COST)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
