"""Passwords: kept as a salted scrypt hash, compared in constant time.

scrypt is slow on purpose (some 50 ms and 16 MiB), and clients that send Basic credentials send them
with every request. So

- the process remembers that a password fitted a hash, and for some seconds that one did not, under
  a key of its own that dies with it. The hash itself is read from storage each time, and is part of
  that key: a changed password is right, and the old one wrong, at once;
- who asks for the same at the same time waits for one hash;
- hashes are made by a few threads of their own, and at most WAITING of them wait or run: one more
  is told to come back. So a flood of wrong passwords costs those alone who log in meanwhile.

The name belongs to what is remembered: otherwise two names that do not exist would be told apart
from one that does, by the time that the same wrong password takes with each.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from shared.auth.remembered import Remembered
from shared.errors import TooManyRequests
from shared.storage.once import Once

PASSWORD_LENGTH = 1_024
"""A longer password is never right."""

THREADS = 2
WAITING = 32
"""Hashes that wait or run at once: the last of them has waited for about a second."""

MISFIT_SECONDS = 10.0

_COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024, "dklen": 32}
_FITS, _MISFITS = 1_000, 10_000
_FOR_EVER = float("inf")


def hash_password(password: str) -> str:
    """Give `scrypt$SALT$HASH` for a password."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_text(salt)}${_text(_scrypt(password, salt))}"


class Passwords:
    """Compares passwords with their hashes; one for all registries of a process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._threads = ThreadPoolExecutor(THREADS, "passwords")
        self._once: Once[bytes, bool] = Once()
        self._fits: Remembered[bytes, bool] = Remembered(_FITS, time.monotonic)
        self._misfits: Remembered[bytes, bool] = Remembered(_MISFITS, time.monotonic)

    async def fits(self, name: str, password: str, hashed: str) -> bool:
        """Tell whether a password is the one that was hashed; raises TooManyRequests.

        `name` is whose password it is said to be.
        """
        if len(password) > PASSWORD_LENGTH:
            return False
        said = f"{hashed}\0{name}\0{password}".encode()
        seen = hmac.digest(self._key, said, "sha256")
        if self._fits.get(seen):
            return True
        if self._misfits.get(seen):
            return False
        if len(self._once) >= WAITING and seen not in self._once:
            raise TooManyRequests("too many logins are under way: wait and repeat", seconds=2)
        return await self._once.do(seen, lambda: self._compare(seen, password, hashed))

    async def hash(self, password: str) -> str:
        """Give the hash of a new password."""
        return await self._run(hash_password, password)

    async def _compare(self, seen: bytes, password: str, hashed: str) -> bool:
        _, salt, wanted = hashed.split("$")
        actual = await self._run(_scrypt, password, base64.b64decode(salt))
        is_same = hmac.compare_digest(_text(actual), wanted)
        if is_same:
            self._fits.keep(seen, value=True, end=_FOR_EVER)
        else:
            self._misfits.keep(seen, value=True, end=time.monotonic() + MISFIT_SECONDS)
        return is_same

    async def _run[*Args, R](self, work: Callable[[*Args], R], *args: *Args) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **_COST)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
