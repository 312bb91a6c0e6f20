"""Master keys that are kept in storage in memory, as whoever has the vault finds them."""

from shared.storage.master_key.object import KeyObject
from shared.storage.master_key.signing import Signing
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Objects, Vault

ACCOUNT = ""
"""The storage account that the settings of tests name."""


def key_object(beside: Objects, vault: Vault | None = None) -> KeyObject:
    """Give the object; without a vault its ETag alone can be told."""
    return KeyObject(beside, Signing(vault or MemoryVault(), ACCOUNT))
