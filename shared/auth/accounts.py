"""Accounts: who may log in by name and password.

    accounts   GENERATION   NAME    password (hashed), stamp, state

The stamp is drawn anew whenever a password is set or an account disabled, and every token bears the
one of its time. Logging in and redeeming a refresh token read the row each time. Access tokens are
held to a row that was read at most KNOWN_SECONDS ago: that is how long they outlive a change.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from shared.auth.callers import Caller
from shared.auth.passwords import Passwords
from shared.auth.remembered import Remembered
from shared.auth.scopes import EVERYTHING
from shared.storage import keys
from shared.storage.once import Once
from shared.storage.ports import Conflict, Insert, NotFound, Put, Rows, Update

KNOWN_SECONDS = 60.0

_KNOWN = 10_000
_NAME_LENGTH = 64
_NOBODY = f"scrypt${'A' * 22}==${'A' * 43}="
"""A hash to compare with where there is no account. It is nobody's; none is made to load this."""


class State(StrEnum):
    """Whether an account is let in."""

    ENABLED = "enabled"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class _Account:
    hashed: str
    stamp: str
    state: str

    @property
    def is_enabled(self) -> bool:
        return self.state == State.ENABLED


class Accounts:
    """The accounts of one registry generation."""

    def __init__(
        self, rows: Rows, generation: str, passwords: Passwords, new_id: Callable[[], str]
    ) -> None:
        self._rows = rows
        self._generation = generation
        self._passwords = passwords
        self._new_id = new_id
        self._known: Remembered[str, _Account] = Remembered(_KNOWN, time.monotonic)
        self._once: Once[str, _Account | None] = Once()

    async def log_in(self, name: str, password: str) -> Caller | None:
        """Give the caller whose name and password these are, or None; raises TooManyRequests.

        An unknown or disabled name takes as long as a wrong password.
        """
        account = await self._read(name)
        hashed = account.hashed if account else _NOBODY
        is_right = await self._passwords.fits(name, password, hashed)
        return _caller(name, account) if is_right else None

    async def get(self, name: str) -> Caller | None:
        """Give the caller of this name."""
        return _caller(name, await self._read(name))

    async def find(self, name: str, stamp: str) -> Caller | None:
        """Give the caller of this name while the credentials are still those of the stamp."""
        caller = await self.get(name)
        return caller if caller and caller.stamp == stamp else None

    async def stands(self, name: str, stamp: str) -> bool:
        """Tell whether the credentials were still those of the stamp, a minute ago at the most."""
        account = self._known.get(name)
        if account is None:
            account = await self._once.do(name, lambda: self._read(name))
        return account is not None and account.is_enabled and account.stamp == stamp

    async def has_password(self, name: str, password: str) -> bool | None:
        """Tell whether a password logs this account in; None where there is no such account."""
        account = await self._read(name)
        if account is None:
            return None
        return account.is_enabled and await self._passwords.fits(name, password, account.hashed)

    async def create(self, name: str, password: str) -> None:
        """Make an account, unless there is one of its name, whatever its password and state."""
        if await self._read(name):
            return
        row = Insert(name, await self._values(password))
        with suppress(Conflict):
            await self._rows.commit(keys.ACCOUNTS, self._generation, [row])

    async def set_password(self, name: str, password: str) -> None:
        """Make an account, or change its password and enable it; what its tokens allow ends."""
        row = Put(name, await self._values(password))
        await self._rows.commit(keys.ACCOUNTS, self._generation, [row])
        self._known.forget(name)

    async def disable(self, name: str) -> bool:
        """Let nobody in by an account; False where there is none."""
        change = Update(name, {"state": State.DISABLED, "stamp": self._new_id()})
        try:
            await self._rows.commit(keys.ACCOUNTS, self._generation, [change])
        except NotFound:
            return False
        self._known.forget(name)
        return True

    async def _values(self, password: str) -> dict[str, str]:
        return {
            "password": await self._passwords.hash(password),
            "stamp": self._new_id(),
            "state": State.ENABLED,
        }

    async def _read(self, name: str) -> _Account | None:
        if not name.isalnum() or not name.isascii() or len(name) > _NAME_LENGTH:
            return None
        asked = time.monotonic()
        row = await self._rows.get(keys.ACCOUNTS, self._generation, name)
        if row is None:
            self._known.forget(name)
            return None
        hashed, stamp, state = (str(row.values[it]) for it in ("password", "stamp", "state"))
        account = _Account(hashed, stamp, state)
        self._known.keep(name, account, asked + KNOWN_SECONDS)
        return account


def _caller(name: str, account: _Account | None) -> Caller | None:
    if account is None or not account.is_enabled:
        return None
    return Caller(name, EVERYTHING, stamp=account.stamp)
