"""Callbacks: what is secret of a webhook, sealed into the bytes that its row holds.

Nobody reads them without the registry's master key, and what is sealed for one webhook opens for no
other: who can write rows cannot have the secrets of one sent to the receiver of another.
"""

import os
from datetime import datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.model.webhooks.webhook import Callback, Secret

_VERSION = b"\x01"
_NONCE_BYTES = 12


class CallbackUnreadable(Exception):
    """What a webhook's row holds was not sealed for it, or with another master key."""


class CallbackSeal:
    """Turns callbacks into bytes and back.

    `key` is a secret of the registry, of 32 bytes; `older` are those that it replaces: they open as
    well.
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._ciphers = [AESGCM(one) for one in (key, *older)]

    def close(self, callback: Callback, webhook: str) -> bytes:
        """Seal the callback of the webhook with this id.

        A webhook is sealed a few times in its life, so nonces that are drawn never meet.
        """
        packed = orjson.dumps(callback)
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, packed, _bound(webhook))

    def open(self, sealed: bytes, webhook: str) -> Callback:
        """Open what was sealed for the webhook with this id; raises CallbackUnreadable."""
        for cipher in self._ciphers:
            if packed := _decrypted(cipher, sealed, webhook):
                return _read(orjson.loads(packed))
        raise CallbackUnreadable(
            f"the secrets of the webhook {webhook} were sealed with another master key: put"
            " that one back, or give the webhook its URI, headers and secret anew"
        )

    def is_current(self, sealed: bytes, webhook: str) -> bool:
        """Tell whether it is sealed with `key`, and with none of the older ones."""
        return bool(_decrypted(self._ciphers[0], sealed, webhook))


def _decrypted(cipher: AESGCM, sealed: bytes, webhook: str) -> bytes:
    """Give what is sealed, or nothing where that was done with another key."""
    nonce = sealed[1 : 1 + _NONCE_BYTES]
    try:
        return cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], _bound(webhook))
    except (InvalidTag, ValueError):
        return b""


def _bound(webhook: str) -> bytes:
    return _VERSION + webhook.encode()


def _read(said: Any) -> Callback:
    secrets = [
        Secret(one["text"], datetime.fromisoformat(one["until"]) if one["until"] else None)
        for one in said["secrets"]
    ]
    return Callback(said["uri"], said["headers"], secrets)
