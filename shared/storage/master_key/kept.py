"""Master keys that are kept in storage, in the object `master-key`, wrapped and signed by a vault.

    K1 there is no object                    K4 the vault wraps a key that was drawn
    K2 there is content, or a registry       K5 the object is put, if there is none
    K3 there is still no object: refused     K6 the object is read, whoever has put it

It is in a container and in no row, for it must outlive lost tables. Of several first starts one
wins K5, and all use its key. Whoever finds content at K2 that has come since K1 finds the object of
who brought it at K3: nobody makes a registry before K6. A key that was lost is never replaced by
another on the quiet: every registry would be unreadable, and nobody would know why.

A process asks the vault once for each key, and whether the object has changed each time that it is
asked for the keys: so when it reads a registry anew, within 60 seconds. A failure is kept for some
seconds: a crowd that waits does not become one that asks the vault. Who knows the current key goes
on where the vault would not open another one: that one is not needed yet, as a rule.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from shared.model.master_keys import MasterKeys
from shared.storage import keys
from shared.storage.master_key.document import Document, KeptKey, State
from shared.storage.master_key.object import Found, KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.once import Once
from shared.storage.ports import (
    Conflict,
    NotPrepared,
    Objects,
    Ports,
    Unavailable,
    Vault,
    VaultRefused,
)
from shared.storage.rows.registries import StateRefused

_log = logging.getLogger(__name__)

_KEY_BYTES = 48
_PAGE = 100
_MOST_PAGES = 100
_FAILURE_SECONDS = 5


class Opener:
    """Opens the master keys of a document: asks the vault for each key once."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened: dict[str, str] = {}

    async def open(self, document: Document) -> MasterKeys:
        """Give all of them, the current one first; raises VaultRefused."""
        for key in document.keys:
            await self.text(key)
        return self.known(document)

    async def text(self, key: KeptKey) -> str:
        """Give one; raises VaultRefused."""
        if key.id not in self._opened:
            self._opened[key.id] = (await self._vault.unwrap(key.wrapped)).decode()
        return self._opened[key.id]

    def knows(self, key: KeptKey) -> bool:
        """Tell whether the vault need not be asked for one."""
        return key.id in self._opened

    def known(self, document: Document) -> MasterKeys:
        """Give those that the vault need not be asked for; the current one is to be among them."""
        current = document.current
        others = [key for key in document.keys if key is not current and self.knows(key)]
        return MasterKeys(self._opened[current.id], tuple(self._opened[key.id] for key in others))


async def drawn(vault: Vault, state: State, now: datetime) -> KeptKey:
    """Draw a key and wrap it; raises VaultRefused, also where the vault would not give it back."""
    text = secrets.token_urlsafe(_KEY_BYTES)
    wrapped = await vault.wrap(text.encode())
    if await vault.unwrap(wrapped) != text.encode():
        raise VaultRefused(f"{vault.key} gives back something else than it has wrapped")
    return KeptKey(secrets.token_hex(8), state, now, now, wrapped)


class KeptKeys:
    """The master keys in storage; whoever asks first makes them, in storage that is new."""

    def __init__(
        self,
        ports: Ports,
        signing: Signing,
        now: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ports = ports
        self._signing = signing
        self._now = now
        self._ticks = ticks
        self._object = KeyObject(ports.beside, signing)
        self._opener = Opener(signing.vault)
        self._found: Found | None = None
        self._known: tuple[str, MasterKeys] | None = None
        self._failed: tuple[float, str] | None = None
        self._once: Once[str, MasterKeys] = Once()

    async def read(self) -> MasterKeys:
        """Give them as they are now; raises StateRefused, Unavailable."""
        return await self._once.do("", self._read)

    def wrong(self, name: str) -> str:
        """Say that the right ones are no longer there."""
        return (
            f"the signing keys of registry {name} were sealed with none of the master keys in the"
            f" object {keys.MASTER_KEY} (container {keys.REGISTRIES}): bring back the version of"
            " this object in which that key was; if it is lost for good,"
            " python -m infra.admin master-key replace makes another"
        )

    async def _read(self) -> MasterKeys:
        etag = await self._object.etag()
        if self._known and etag == self._known[0]:
            return self._known[1]
        found = self._found if self._found and self._found.etag == etag else None
        try:
            self._hold_back()
            found = found or await self._read_anew()
            opened = await self._opener.open(found.document)
        except VaultRefused as error:
            self._note(error)
            if found and self._opener.knows(found.document.current):
                return self._opener.known(found.document)
            raise
        self._known, self._failed = (found.etag, opened), None
        return opened

    async def _read_anew(self) -> Found:
        """Read the object, or make it; raises StateRefused, VaultRefused."""
        found = await self._object.find() or await self._first()
        written, known = found.document.written, self._found
        if known and written < known.document.written:
            raise StateRefused(
                f"the object {keys.MASTER_KEY} (container {keys.REGISTRIES}) is of {written}, and"
                f" the one before it was of {known.document.written}: bring that one back; if the"
                " older one is meant, restart this app"
            )
        self._found = found
        return found

    def _hold_back(self) -> None:
        """Raise VaultRefused where the vault has just failed."""
        if self._failed and self._ticks() < self._failed[0]:
            raise VaultRefused(self._failed[1], _FAILURE_SECONDS)

    def _note(self, error: VaultRefused) -> None:
        if self._failed is None or self._ticks() >= self._failed[0]:
            _log.error("the master key cannot be had from its vault: %s", error)
            self._failed = self._ticks() + _FAILURE_SECONDS, str(error)

    async def _first(self) -> Found:
        """Make the first key, unless another process has; raises StateRefused, VaultRefused."""
        if used := await self._used():
            if found := await self._object.find():
                return found
            raise StateRefused(_lost(used))
        vault, now = self._signing.vault, self._now()
        key = await drawn(vault, State.CURRENT, now)
        with suppress(Conflict):
            await self._object.put(Document(self._signing.account, now, [key]))
            _log.info("a master key is made, wrapped and signed with %s", vault.key)
        found = await self._object.find()
        if found is None:
            raise Unavailable(f"the object {keys.MASTER_KEY} was removed as it was made")
        return found

    async def _used(self) -> str:
        """Say what there is in storage that a master key was made for; empty where it is new."""
        checks = await asyncio.gather(
            _missing_is_none(self._has_content()),
            _missing_is_none(self._has_record()),
            _missing_is_none(self._has_row()),
        )
        return next(filter(None, checks), "")

    async def _has_content(self) -> str:
        return await _any(self._ports.objects, "content", lambda _: True)

    async def _has_record(self) -> str:
        return await _any(self._ports.beside, "a registry's record", keys.is_of_registry)

    async def _has_row(self) -> str:
        rows = await self._ports.rows.scan(
            keys.REGISTRIES, keys.REGISTRY_PARTITION, after="", before=keys.end_of(""), limit=1
        )
        return f"registry {rows[0].key}" if rows else ""


async def _any(objects: Objects, what: str, is_one: Callable[[str], bool]) -> str:
    position = ""
    for _ in range(_MOST_PAGES):
        names, position = await objects.page("", position, _PAGE)
        if any(is_one(name) for name in names):
            return what
        if not position:
            return ""
    return f"so much that it was not looked through for {what}"


async def _missing_is_none(check: Awaitable[str]) -> str:
    try:
        return await check
    except NotPrepared:
        return ""


def _lost(used: str) -> str:
    return (
        f"there is {used} in this storage, and no master key: the object {keys.MASTER_KEY} is not"
        f" in the container {keys.REGISTRIES}. Bring it back (soft delete, versions of the blob);"
        " or, if this registry was made with REGISTRY_MASTER_KEY, set that again in the place of"
        " REGISTRY_KEY_VAULT_KEY; or, if it is lost for good, make another with"
        " python -m infra.admin master-key replace"
    )
