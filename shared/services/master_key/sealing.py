"""Sealing anew: every row that is sealed gets sealed with the current master key.

    registries   keys|GENERATION   KID    a signing key
    webhooks     GENERATION        NAME   where a webhook posts to, and its secrets

Each row is changed by the ETag it was read with, and read again where that fails; what is sealed
with the current key is left alone. So it may be repeated, also by two at once, and it may die
anywhere. Upload sessions and what messages carry are in nobody's rows: they end by themselves.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from shared.model.master_keys import MasterKeys
from shared.model.webhooks.callbacks import CallbackSeal, CallbackUnreadable
from shared.storage import keys
from shared.storage.ports import Conflict, NotFound, NotPrepared, Row, Rows, Unavailable, Update
from shared.storage.rows.signing_keys import SealBroken, sealed_anew

_PAGE = 100
_TRIES = 8

type _Anew = Callable[[Row], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that none of the master keys opens, and the ETag that it had."""

    table: str
    partition: str
    key: str
    etag: str

    @property
    def is_webhook(self) -> bool:
        """Whether it is a webhook's, or else a signing key's."""
        return self.table == keys.WEBHOOKS


@dataclass(slots=True)
class Sealed:
    """How many rows were sealed anew, and which could not be opened: they stay as they are."""

    count: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(slots=True)
class _One:
    """A row that is sealed, and what seals it anew."""

    table: str
    partition: str
    row: Row
    anew: _Anew

    async def sealed_anew(self, done: Sealed) -> bytes | None:
        """Give what the row is to hold; None where it stays as it is, for whichever reason."""
        try:
            return await self.anew(self.row)
        except (SealBroken, CallbackUnreadable):
            row = Unreadable(self.table, self.partition, self.row.key, self.row.etag)
            done.unreadable.append(row)
            return None


class Sealing:
    """Seals all rows anew; `open_seal` gives what seals the webhooks of a registry."""

    def __init__(self, rows: Rows, open_seal: Callable[[MasterKeys, str], CallbackSeal]) -> None:
        self._rows = rows
        self._open_seal = open_seal

    async def run(self, master_keys: MasterKeys) -> Sealed:
        """Do it; raises StorageError."""
        done = Sealed()
        async for one in self._all(master_keys):
            for _ in range(_TRIES):
                if await self._is_done(one, done):
                    break
            else:
                raise Unavailable(f"{one.table} {one.row.key} is being changed too often")
        return done

    async def look(self, master_keys: MasterKeys) -> Sealed:
        """Say what cannot be opened, and change nothing; raises StorageError."""
        done = Sealed()
        async for one in self._all(master_keys):
            await one.sealed_anew(done)
        return done

    async def _is_done(self, one: "_One", done: Sealed) -> bool:
        """Seal a row anew; False where it has changed meanwhile."""
        if not (sealed := await one.sealed_anew(done)):
            return True
        change = Update(one.row.key, {"sealed": sealed}, one.row.etag)
        try:
            await self._rows.commit(one.table, one.partition, [change])
        except (Conflict, NotFound):
            there = await self._rows.get(one.table, one.partition, one.row.key)
            one.row = there or one.row
            return there is None
        done.count += 1
        return True

    async def _all(self, master_keys: MasterKeys) -> AsyncIterator["_One"]:
        anew = _key_with(master_keys)
        async for partition, row in self._signing_keys():
            yield _One(keys.REGISTRIES, partition, row, anew)
        for generation in await self._generations():
            anew = _callback_with(self._open_seal(master_keys, generation))
            for row in await self._webhooks(generation):
                yield _One(keys.WEBHOOKS, generation, row, anew)

    async def _signing_keys(self) -> AsyncIterator[tuple[str, Row]]:
        first, position = keys.signing_keys(""), ""
        while True:
            page = await self._rows.page(
                keys.REGISTRIES,
                first=first,
                before=keys.end_of(first),
                position=position,
                limit=_PAGE,
            )
            for found in page.rows:
                yield found
            if not (position := page.position):
                return

    async def _generations(self) -> Sequence[str]:
        rows = await _all(self._rows, keys.REGISTRIES, keys.REGISTRY_PARTITION)
        return [str(row.values["generation"]) for row in rows]

    async def _webhooks(self, generation: str) -> Sequence[Row]:
        try:
            return await _all(self._rows, keys.WEBHOOKS, generation)
        except NotPrepared:  # apps of before had none
            return []


async def _all(rows: Rows, table: str, partition: str) -> Sequence[Row]:
    found: list[Row] = []
    after = ""
    while page := await rows.scan(
        table, partition, after=after, before=keys.end_of(""), limit=_PAGE
    ):
        found += page
        after = page[-1].key
    return found


def _key_with(master_keys: MasterKeys) -> _Anew:
    async def anew(row: Row) -> bytes | None:
        return await sealed_anew(cast("bytes", row.values["sealed"]), master_keys)

    return anew


def _callback_with(seal: CallbackSeal) -> _Anew:
    async def anew(row: Row) -> bytes | None:
        sealed, webhook = cast("bytes", row.values["sealed"]), str(row.values["id"])
        if seal.is_current(sealed, webhook):
            return None
        return seal.close(seal.open(sealed, webhook), webhook)

    return anew
