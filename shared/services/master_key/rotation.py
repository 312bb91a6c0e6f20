"""Rotation: another master key takes the place of the one in storage, while hosts run.

    R1 the object names a key that is `announced`; all keys in it are wrapped with the newest
       version of the vault's key
    R2 wait until every process knows it: who reads a registry anew reads the object, too
    R3 the object says that it is the `current` one, and the one before `sealing`
    R4 every row that is sealed is sealed anew (`sealing`)
    R5 the object says that the one before is `opening`: for uploads under way, and for what a late
       process has sealed with it
    R6 the next rotation, if uploads have ended since: all rows once more, and R1 without it

The object is changed by its ETag alone. Who finds it changed reads it again, and goes on with what
it says: so two may rotate at once, one may die anywhere, and the next one ends what was begun. How
long something has lasted is told by the object's own age, which is storage's clock: a change that
comes in between makes it younger, so a wait longer, and never shorter.

A key that was lost is replaced as a whole: what it has sealed stays closed for ever. Signing keys
go, and new ones are made by the next request; webhooks stay, and wait for their secrets.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from shared.model.master_keys import MasterKeys
from shared.services.master_key.sealing import Sealed, Sealing, Unreadable
from shared.storage import ages
from shared.storage.master_key.document import Document, KeptKey, State
from shared.storage.master_key.kept import Opener, drawn
from shared.storage.master_key.object import Found, KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.ports import Conflict, Delete, NotFound, Ports, VaultRefused
from shared.storage.rows.registries import StateRefused

KNOWN = timedelta(seconds=60)
"""For how long a process goes by what it knows of a registry (`bootstrap`)."""

MOST = 8
"""How many master keys there may be at once."""

_LEAST_OPENING = timedelta(hours=1)


class Step(StrEnum):
    """What is done, one after the other."""

    WAITING = "seconds to wait until all processes know the new key:"
    SEALING = "rows sealed anew:"


type Tell = Callable[[Step, int], None]


class RotationRefused(Exception):
    """Why nothing was done, and what to do."""


@dataclass(slots=True)
class Rotated:
    """What a rotation did: the key that seals now, and the keys that it has removed."""

    current: str = ""
    removed: Sequence[str] = ()
    sealed: int = 0
    unreadable: Sequence[Unreadable] = field(default_factory=list)


class Rotation:
    """Replaces the master key in storage; `lifetime` is how long an upload may take."""

    def __init__(
        self,
        ports: Ports,
        signing: Signing,
        sealing: Sealing,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[object]],
        lifetime: timedelta,
    ) -> None:
        self._rows = ports.rows
        self._object = KeyObject(ports.beside, signing)
        self._account = signing.account
        self._vault = signing.vault
        self._opener = Opener(signing.vault)
        self._sealing = sealing
        self._now = now
        self._sleep = sleep
        self._lifetime = lifetime

    @property
    def vault_key(self) -> str:
        """The vault's key, which wraps and signs."""
        return self._vault.key

    async def found(self) -> Found | None:
        """Read what is kept; raises StateRefused, VaultRefused."""
        return await self._object.find()

    async def foreign(self) -> str | None:
        """Name the storage account that the object was written for, if it is another one."""
        account = (await self._there(is_ours=False)).document.account
        return account if account != self._account else None

    async def adopt(self) -> None:
        """Make an object that was written for another account this one's; raises Conflict."""
        found = await self._there(is_ours=False)
        mine = replace(found.document, account=self._account)
        await self._object.replace(mine.anew(mine.keys, self._now()), found.etag)

    def opens_until(self, found: Found) -> timedelta:
        """Tell for how long from now the keys that only open are still needed."""
        return max(opening(self._lifetime) - found.age, timedelta())

    async def run(self, tell: Tell) -> Rotated:
        """Replace the key, or end a replacement that was begun.

        Raises RotationRefused, StateRefused, StorageError.
        """
        done = Rotated()
        is_begun = False
        while True:
            found = await self._there()
            if found.document.of(State.ANNOUNCED):
                is_begun = True
                changed = await self._announced(found, tell)
            elif found.document.of(State.SEALING):
                is_begun = True
                changed = await self._sealed_anew(found, done, tell)
            elif is_begun:
                done.current = found.document.current.id
                return done
            else:
                changed = await self._with_new(found, done, tell)
            if changed:
                with suppress(Conflict):  # the next look tells what is there instead
                    await self._object.replace(changed, found.etag)

    async def _there(self, *, is_ours: bool = True) -> Found:
        found = await self._object.find(is_ours=is_ours)
        if found is None:
            raise RotationRefused(
                "there is no master key in this storage: the app makes it at its first request"
                " (GET /v2/ will do)"
            )
        return found

    async def _announced(self, found: Found, tell: Tell) -> Document | None:
        """Give the document in which the new key seals, or None after a wait."""
        wait = (KNOWN + 2 * ages.L - found.age).total_seconds()
        if wait > 0:
            tell(Step.WAITING, ceil(wait))
            await self._sleep(wait)
            return None
        next_states = {State.ANNOUNCED: State.CURRENT, State.CURRENT: State.SEALING}
        return self._turned(found.document, next_states)

    async def _sealed_anew(self, found: Found, done: Rotated, tell: Tell) -> Document:
        self._take_in(done, await self._seal(found), tell)
        return self._turned(found.document, {State.SEALING: State.OPENING})

    async def _with_new(self, found: Found, done: Rotated, tell: Tell) -> Document:
        """Give the document with a new key, and without those that nobody needs any more."""
        await self._opener.open(found.document)  # or nothing is begun
        kept = found.document.keys
        over = found.document.of(State.OPENING)
        if over and not self.opens_until(found):
            self._take_in(done, await self._seal(found), tell)
            kept = [found.document.current]
            done.removed = [key.id for key in over]
        if len(kept) >= MOST:
            raise RotationRefused(
                f"there are {MOST} master keys already: uploads may need them for another"
                f" {self.opens_until(found)}; repeat the command then"
            )
        new = await drawn(self._vault, State.ANNOUNCED, self._now())
        anew = [await self._wrapped_anew(key, new) for key in kept]
        return found.document.anew([*anew, new], self._now())

    async def _wrapped_anew(self, key: KeptKey, newest: KeptKey) -> KeptKey:
        if key.wrapped.version == newest.wrapped.version:
            return key
        text = await self._opener.text(key)
        return replace(key, wrapped=await self._vault.wrap(text.encode()))

    async def _seal(self, found: Found) -> Sealed:
        return await self._sealing.run(await self._opener.open(found.document))

    @staticmethod
    def _take_in(done: Rotated, sealed: Sealed, tell: Tell) -> None:
        done.sealed += sealed.count
        done.unreadable = sealed.unreadable
        tell(Step.SEALING, done.sealed)

    def _turned(self, document: Document, states: dict[State, State]) -> Document:
        now = self._now()
        turned = [
            key.turned(states[key.state], now) if key.state in states else key
            for key in document.keys
        ]
        return document.anew(turned, now)

    async def lost(self) -> str:
        """Say why the master key is lost; empty where it is there.

        A vault that does not answer may do so later: that is for operators to know.
        """
        try:
            found = await self._object.find()
            if found is None:
                return "there is no master key in this storage"
            sealed = await self._sealing.look(await self._opener.open(found.document))
        except (StateRefused, VaultRefused) as error:
            return str(error)
        closed = [it for it in sealed.unreadable if not it.is_webhook]
        return f"it does not open {len(closed)} of the signing keys" if closed else ""

    async def replace_lost(self) -> Rotated:
        """Make another master key in the place of one that is lost; raises StorageError.

        What another has put there since is not lost: the ETag is read before it is looked at.
        """
        etag = await self._object.etag()
        master_keys = await self._usable() or await self._made_anew(etag)
        sealed = await self._sealing.look(master_keys)
        for row in sealed.unreadable:
            if not row.is_webhook:
                with suppress(NotFound, Conflict):
                    await self._rows.commit(row.table, row.partition, [Delete(row.key, row.etag)])
        current = (await self._there()).document.current.id
        return Rotated(current, unreadable=sealed.unreadable)

    async def _usable(self) -> MasterKeys | None:
        with suppress(StateRefused, VaultRefused):
            if found := await self._object.find():
                return await self._opener.open(found.document)
        return None

    async def _made_anew(self, etag: str) -> MasterKeys:
        """Put a new key in the place of what was there; raises Conflict where that has changed."""
        now = self._now()
        key = await drawn(self._vault, State.CURRENT, now)
        document = Document(self._account, now, [key])
        if etag:
            await self._object.replace(document, etag)
        else:
            await self._object.put(document)
        return await self._opener.open((await self._there()).document)


def opening(lifetime: timedelta) -> timedelta:
    """Tell how long a key is still needed that seals no more: until uploads have ended."""
    return max(lifetime, _LEAST_OPENING) + KNOWN + 2 * ages.L
