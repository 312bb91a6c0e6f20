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
    """Turns callbacks into bytes and back; `key` is a secret of the registry, of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, callback: Callback, webhook: str) -> bytes:
        """Seal the callback of the webhook with this id.

        A webhook is sealed a few times in its life, so nonces that are drawn never meet.
        """
        packed = orjson.dumps(callback)
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, packed, _bound(webhook))

    def open(self, sealed: bytes, webhook: str) -> Callback:
        """Open what was sealed for the webhook with this id; raises CallbackUnreadable."""
        nonce = sealed[1 : 1 + _NONCE_BYTES]
        try:
            packed = self._cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], _bound(webhook))
        except (InvalidTag, ValueError):
            raise CallbackUnreadable(
                f"the secrets of the webhook {webhook} were sealed with another master key: put"
                " that one back, or give the webhook its URI, headers and secret anew"
            ) from None
        return _read(orjson.loads(packed))


def _bound(webhook: str) -> bytes:
    return _VERSION + webhook.encode()


def _read(said: Any) -> Callback:
    secrets = [
        Secret(one["text"], datetime.fromisoformat(one["until"]) if one["until"] else None)
        for one in said["secrets"]
    ]
    return Callback(said["uri"], said["headers"], secrets)
