"""Signing keys: what a registry's tokens are signed with, each sealed in a row of its own.

    registries   keys|GENERATION   KID    sealed, made

A new key is one insert. Every process sees it within the time for which it knows a registry
(`bootstrap`), signs with it a little later, and accepts the older ones until their tokens have
ended (`auth.tokens`). So nobody is logged out, unless the older rows are removed at once.
"""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from shared.model.master_keys import MasterKeys
from shared.storage import keys
from shared.storage.master_key.source import MasterKeySource
from shared.storage.once import Once
from shared.storage.ports import Change, Delete, Insert, Row, Rows

_KEY_BITS = 2048
_MOST = 100


class SealBroken(Exception):
    """A key was sealed with none of the master keys."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair: its id, which tokens bear, when it was made, and its private half."""

    kid: str
    made: datetime
    private: rsa.RSAPrivateKey


class SigningKeys:
    """The signing keys of all registries.

    The master keys are asked for when one is to be opened or sealed. To open one takes some 60 ms.
    So an opened key is kept while its row's ETag is the same.
    """

    def __init__(self, rows: Rows, master_keys: MasterKeySource) -> None:
        self._rows = rows
        self._master_keys = master_keys
        self._opened: dict[str, tuple[str, SigningKey]] = {}
        self._once: Once[tuple[str, str], SigningKey] = Once()

    async def of(self, generation: str) -> Sequence[SigningKey]:
        """Give a registry's keys, the oldest first; raises SealBroken."""
        found = [await self._open(row) for row in await self._read(generation)]
        return sorted(found, key=lambda key: (key.made, key.kid))

    async def make(self, generation: str, now: datetime, retired: Sequence[str] = ()) -> str:
        """Add a key, and remove the ones that are `retired`; give the id of the new one."""
        key = await asyncio.to_thread(
            rsa.generate_private_key, public_exponent=65_537, key_size=_KEY_BITS
        )
        kid = key_id(key.public_key())
        sealed = await asyncio.to_thread(_sealed, key, (await self._master_keys.read()).current)
        changes: list[Change] = [Insert(kid, {"sealed": sealed, "made": now})]
        changes += [Delete(old) for old in retired]
        await self._rows.commit(keys.REGISTRIES, keys.signing_keys(generation), changes)
        return kid

    async def _read(self, generation: str) -> Sequence[Row]:
        return await self._rows.scan(
            keys.REGISTRIES, keys.signing_keys(generation), after="", before="~", limit=_MOST
        )

    async def _open(self, row: Row) -> SigningKey:
        etag, opened = self._opened.get(row.key, ("", None))
        if opened is None or etag != row.etag:
            opened = await self._once.do((row.key, row.etag), lambda: self._unsealed(row))
            self._opened[row.key] = row.etag, opened
        return opened

    async def _unsealed(self, row: Row) -> SigningKey:
        sealed = cast("bytes", row.values["sealed"])
        for master_key in (await self._master_keys.read()).all:
            key = await asyncio.to_thread(_opened, sealed, master_key)
            if key:
                return SigningKey(row.key, cast("datetime", row.values["made"]), key)
        raise SealBroken


def _sealed(key: rsa.RSAPrivateKey, master_key: str) -> bytes:
    encryption = BestAvailableEncryption(master_key.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _opened(sealed: bytes, master_key: str) -> rsa.RSAPrivateKey | None:
    """Open a key; None where it was sealed with another master key."""
    try:
        return cast("rsa.RSAPrivateKey", load_pem_private_key(sealed, master_key.encode()))
    except ValueError:
        return None


async def sealed_anew(sealed: bytes, master_keys: MasterKeys) -> bytes | None:
    """Seal a key with the current master key; None where it is so already; raises SealBroken."""
    if await asyncio.to_thread(_opened, sealed, master_keys.current):
        return None
    for older in master_keys.others:
        if key := await asyncio.to_thread(_opened, sealed, older):
            return await asyncio.to_thread(_sealed, key, master_keys.current)
    raise SealBroken


def key_id(public_key: rsa.RSAPublicKey) -> str:
    """Name a key as libtrust does: twelve groups of four base32 characters."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))
