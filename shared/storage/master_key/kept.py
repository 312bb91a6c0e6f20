"""Master keys that are kept in storage, in the object `master-key`, wrapped by a vault.

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
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model.master_keys import MasterKeys
from shared.storage import keys
from shared.storage.master_key.document import Document, DocumentUnreadable, KeptKey, State
from shared.storage.once import Once
from shared.storage.ports import (
    Conflict,
    NotFound,
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
_TRIES = 8
_PAGE = 100
_FAILURE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """The document as it is there; `age` is the time since it was last written."""

    document: Document
    etag: str
    age: timedelta


class KeyObject:
    """The object that holds the document."""

    def __init__(self, beside: Objects) -> None:
        self._beside = beside

    async def etag(self) -> str:
        """Give its ETag; empty where it is not there."""
        with suppress(NotPrepared):
            if facts := await self._beside.facts(keys.MASTER_KEY):
                return facts.etag
        return ""

    async def find(self) -> Found | None:
        """Read it; raises StateRefused."""
        for _ in range(_TRIES):
            etag = await self.etag()
            if not etag:
                return None
            with suppress(NotFound):
                body = b"".join([piece async for piece in self._beside.read(keys.MASTER_KEY)])
                facts = await self._beside.facts(keys.MASTER_KEY)
                if facts and facts.etag == etag:
                    return Found(_read(body), etag, facts.age)
        raise Unavailable(f"the object {keys.MASTER_KEY} is being changed too often")

    async def put(self, document: Document) -> None:
        """Make it; raises Conflict where it is there."""
        await self._beside.put(keys.MASTER_KEY, document.text(), {})

    async def replace(self, document: Document, etag: str) -> None:
        """Write it anew; raises Conflict where it has changed."""
        await self._beside.replace(keys.MASTER_KEY, document.text(), etag)


def _read(body: bytes) -> Document:
    try:
        return Document.read(body)
    except DocumentUnreadable as error:
        raise StateRefused(
            f"the object {keys.MASTER_KEY} in the container {keys.REGISTRIES} {error}"
        ) from error


class Opener:
    """Opens the master keys of a document: asks the vault for each key once."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened: dict[str, str] = {}

    async def open(self, document: Document) -> MasterKeys:
        """Give all of them, the current one first; raises StateRefused, VaultRefused."""
        if document.vault_key != self._vault.key:
            raise StateRefused(
                f"the master key is wrapped with {document.vault_key}, and REGISTRY_KEY_VAULT_KEY"
                f" is {self._vault.key}: set it to the former"
            )
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
        vault: Vault,
        now: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ports = ports
        self._vault = vault
        self._now = now
        self._ticks = ticks
        self._object = KeyObject(ports.beside)
        self._opener = Opener(vault)
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
        found = await self._object.find()
        try:
            self._hold_back()
            found = found or await self._first()
            opened = await self._opener.open(found.document)
        except VaultRefused as error:
            self._note(error)
            if found and self._opener.knows(found.document.current):
                return self._opener.known(found.document)
            raise
        self._known, self._failed = (found.etag, opened), None
        return opened

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
        key = await drawn(self._vault, State.CURRENT, self._now())
        with suppress(Conflict):
            await self._object.put(Document(self._vault.key, [key]))
            _log.info("a master key is made, and wrapped with %s", self._vault.key)
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
    while True:
        names, position = await objects.page("", position, _PAGE)
        if any(is_one(name) for name in names):
            return what
        if not position:
            return ""


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
