"""The name of an account of Azure Storage, out of the parts of the setting (`Settings.storage`).

An account's address has its name before the first dot; an emulator's, behind the first slash.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

_EMULATOR = "devstoreaccount1"


def account_name(parts: Mapping[str, str]) -> str:
    """Name the account that is reached with these parts; empty where they do not tell."""
    text = parts.get("", "")
    if text == "UseDevelopmentStorage=true":
        return _EMULATOR
    said = dict(part.partition("=")[::2] for part in text.split(";"))
    named = said.get("AccountName") or parts.get("accountName")
    return named or _of(said.get("BlobEndpoint") or parts.get("blobServiceUri", ""))


def _of(address: str) -> str:
    read = urlsplit(address)
    return read.path.strip("/").partition("/")[0] or (read.hostname or "").partition(".")[0]
