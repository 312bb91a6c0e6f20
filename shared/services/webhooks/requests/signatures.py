"""Signatures: how a receiver knows that the registry told it, and that nothing was changed.

Standard Webhooks: `webhook-id.webhook-timestamp.body`, HMAC with SHA-256. A secret that begins with
`whsec_` is Base64 of the key; the bytes of any other text are the key. While a secret is replaced
there are two, and two signatures: a receiver needs to know one of them.

Besides, on demand, an HMAC of the body alone, in hexadecimal, keyed with the secret's text as it
was typed. There is room for one, and a receiver that checks it knows one secret: while a secret is
replaced it is the old one's, until that ends.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from datetime import datetime

from standardwebhooks import Webhook as StandardWebhook

from shared.model.webhooks.webhook import Hmac, Secret, WebhookInvalid

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 64 + 1)


def key_of(text: str) -> bytes:
    """Give the key that a secret stands for; raises WebhookInvalid, without the secret."""
    if not text.startswith(_PREFIX):
        return text.encode()
    encoded = text.removeprefix(_PREFIX)
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (Error, ValueError):
        raise WebhookInvalid(f"the secret begins with {_PREFIX}, and is not Base64") from None
    if len(key) not in _KEY_BYTES:
        raise WebhookInvalid(
            f"the secret begins with {_PREFIX}, and holds {len(key)} bytes:"
            f" {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} it must be"
        )
    return key


def whsec_of(text: str) -> str:
    """Give the form of a secret that the libraries of receivers read."""
    return _PREFIX + b64encode(key_of(text)).decode()


def signing(secrets: Sequence[Secret], now: datetime) -> Sequence[Secret]:
    """Give the secrets that sign now, the newest first."""
    return [secret for secret in secrets if secret.until is None or now < secret.until]


def signatures(
    secrets: Sequence[Secret], event_id: str, body: bytes, now: datetime
) -> Mapping[str, str]:
    """Give the headers of Standard Webhooks; none where nothing signs."""
    keys = [key_of(secret.text) for secret in signing(secrets, now)]
    signed = [StandardWebhook(key).sign(event_id, now, body.decode()) for key in keys]
    if not signed:
        return {}
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }


def hmacs(
    asked: Sequence[Hmac], secrets: Sequence[Secret], body: bytes, now: datetime
) -> Mapping[str, str]:
    """Give the headers with an HMAC of the body alone; none where nothing signs."""
    valid = signing(secrets, now)
    return {one.header: _hmac(one, valid[-1], body) for one in asked} if valid else {}


def _hmac(asked: Hmac, secret: Secret, body: bytes) -> str:
    digest = hmac.new(secret.text.encode(), body, asked.algorithm).hexdigest()
    return digest if asked.is_bare else f"{asked.algorithm}={digest}"


def fingerprint(webhook_id: str, secret: Secret) -> str:
    """Tell secrets of a webhook apart; too short to try guesses by."""
    return hashlib.sha256(f"{webhook_id}|{secret.text}".encode()).hexdigest()[:4]
