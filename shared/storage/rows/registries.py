"""Registries: the row of each, with its generation and its signing key."""

from dataclasses import dataclass
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from shared.storage import keys
from shared.storage.ports import Conflict, Insert, Row, Rows

_KEY_BITS = 2048
_WRONG_KEY = "REGISTRY_MASTER_KEY is not the one that registry {} was made with: put that one back"


@dataclass(frozen=True, slots=True)
class RegistryRecord:
    """A registry that is there: its generation's id, and the key that signs its tokens."""

    name: str
    generation: str
    signing_key: rsa.RSAPrivateKey


class MasterKeyWrong(Exception):
    """A registry's signing key was sealed with another master key."""


class RegistryRecords:
    """The rows of all registries. Their keys are sealed with the master key."""

    def __init__(self, rows: Rows, master_key: str) -> None:
        self._rows = rows
        self._master_key = master_key.encode()

    async def find(self, name: str) -> RegistryRecord | None:
        """Read a registry; raises MasterKeyWrong."""
        row = await self._rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, name)
        return self._read(row) if row else None

    async def create(self, name: str, generation: str) -> None:
        """Make a registry, unless it is there already."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
        sealed = key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._master_key)
        )
        row = Insert(name, {"generation": generation, "signing_key": sealed})
        try:
            await self._rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [row])
        except Conflict:
            return

    def _read(self, row: Row) -> RegistryRecord:
        sealed = cast("bytes", row.values["signing_key"])
        try:
            key = cast("rsa.RSAPrivateKey", load_pem_private_key(sealed, self._master_key))
        except ValueError:
            raise MasterKeyWrong(_WRONG_KEY.format(row.key)) from None
        return RegistryRecord(row.key, str(row.values["generation"]), key)
