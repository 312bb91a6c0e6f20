"""Accounts: who may log in by name and password."""

from shared.auth.callers import Caller
from shared.auth.passwords import Passwords, hash_password
from shared.auth.scopes import EVERYTHING
from shared.storage import keys
from shared.storage.ports import Put, Rows

_NAME_LENGTH = 64
_NOBODY = f"scrypt${'A' * 22}==${'A' * 43}="
"""A hash to compare with where there is no account. It is nobody's; none is made to load this."""


class Accounts:
    """The accounts of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation
        self._passwords = Passwords()

    async def log_in(self, name: str, password: str) -> Caller | None:
        """Give the caller whose name and password these are, or None.

        An unknown name takes as long as a wrong password.
        """
        hashed = await self._hash(name)
        is_right = await self._passwords.fits(password, hashed or _NOBODY)
        return _caller(name, hashed) if hashed and is_right else None

    async def get(self, name: str) -> Caller | None:
        """Give the caller of this name."""
        hashed = await self._hash(name)
        return _caller(name, hashed) if hashed else None

    async def find(self, name: str, stamp: str) -> Caller | None:
        """Give the caller of this name while the credentials are still those of the stamp."""
        caller = await self.get(name)
        return caller if caller and caller.stamp == stamp else None

    async def set_password(self, name: str, password: str) -> None:
        """Make an account, or change its password; does nothing where the password is the same."""
        hashed = await self._hash(name)
        if hashed and await self._passwords.fits(password, hashed):
            return
        values = {"password": hash_password(password)}
        await self._rows.commit(keys.ACCOUNTS, self._generation, [Put(name, values)])

    async def _hash(self, name: str) -> str | None:
        if not name.isalnum() or not name.isascii() or len(name) > _NAME_LENGTH:
            return None
        row = await self._rows.get(keys.ACCOUNTS, self._generation, name)
        return str(row.values["password"]) if row else None


def _caller(name: str, hashed: str) -> Caller:
    return Caller(name, EVERYTHING, stamp=hashed.rpartition("$")[2][:16])
