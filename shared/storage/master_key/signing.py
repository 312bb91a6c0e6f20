"""Signing: the object `master-key` is signed by the vault's key, as a JWS (RFC 7515, flattened).

    protected   alg PS256; typ, which says what is signed
    payload     the document
    header      kid: the vault's key, and which version of it has signed
    signature

The vault wraps with a half that is public: whoever can write storage can wrap a key of his own, but
cannot sign it. The document is read after its signature is found to be the vault's.

    N1 one that another has written                     refused
    N2 one of another account, which has the same key   refused, unless an operator adopts it
    N3 an older one, while a process runs               refused by this process (`kept`)
    N4 an older one, in a new process                   opens no signing key, so it is refused
    N5 an older one of the last rotation, the same      taken: it has the keys that the last one has
    N6 an older one, and rows that were sealed then     taken

N4 is as each rotation brings a key that all rows are sealed with, and removes old ones as it brings
it. N5 brings back no key that was removed, but what is sealed next is sealed with the one that was
replaced: after a leak, rotate twice. N6 is for who can write rows as well, and holds a key that was
removed. An older document is signed and wrapped by the version of the vault's key that was the
newest then: once that version is disabled, the document is worth nothing.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from shared.storage.master_key.document import Document, DocumentUnreadable
from shared.storage.ports import Signature, Vault, VaultRefused

_TOLD = 200
_BRING_BACK = "bring the last one that the app has written back (soft delete, versions of the blob)"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


_PROTECTED = _encoded(json.dumps({"alg": "PS256", "typ": "registry-master-key"}).encode())


class Signing:
    """Signs documents for one storage account, and reads what this vault has signed."""

    def __init__(self, vault: Vault, account: str) -> None:
        self.vault = vault
        self.account = account

    async def signed(self, document: Document) -> bytes:
        """Give the form that the object holds; raises VaultRefused."""
        payload = _encoded(document.text())
        message = _message(payload)
        signature = await self.vault.sign(message)
        if not await self.vault.verify(message, signature):
            raise VaultRefused(f"{self.vault.key} does not know what it has signed")
        said = {
            "protected": _PROTECTED,
            "payload": payload,
            "header": {"kid": f"{self.vault.key}/{signature.version}"},
            "signature": _encoded(signature.data),
        }
        return json.dumps(said, indent=2).encode()

    async def read(self, body: bytes) -> Document:
        """Read an object; raises DocumentUnreadable, VaultRefused."""
        said = _said(body)
        try:
            payload = str(said["payload"])
            message = _message(payload)
            key, _, version = str(said["header"]["kid"]).rpartition("/")
            signature = Signature(version, _decoded(str(said["signature"])))
            is_ours = said["protected"] == _PROTECTED
        except (LookupError, TypeError, ValueError) as error:
            raise DocumentUnreadable(
                f"is not signed, so anybody may have written it: {_BRING_BACK}"
            ) from error
        if key != self.vault.key:
            raise DocumentUnreadable(
                f"is signed with {_short(key)}, and REGISTRY_KEY_VAULT_KEY is {self.vault.key}:"
                " set it to the former, if that is your vault's"
            )
        if not (is_ours and await self.vault.verify(message, signature)):
            raise DocumentUnreadable(
                f"is not what {key}/{version} has signed, so somebody else has written it:"
                f" {_BRING_BACK}, and see who can write there"
            )
        return Document.read(_decoded(payload))


def _said(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DocumentUnreadable(f"cannot be read ({_short(str(error))}): {_BRING_BACK}") from error


def _short(told: str) -> str:
    text = " ".join(told.split())[:_TOLD]
    return text if text.isprintable() else ascii(text)[1:-1]


def _message(payload: str) -> bytes:
    return f"{_PROTECTED}.{payload}".encode()
