"""Masking: what of a webhook may be recorded, and shown to who may not read its callback.

Of an address that is scheme, host and port; of headers their names, and the values of those that
the registry makes and that say nothing of a key. A receiver may send back what it was sent: what is
recognised of it in an answer is masked as well, as it was written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from shared.model.outbound.posting import ANSWER_BYTES, Posting, Reply
from shared.model.webhooks.webhook import Callback
from shared.services.webhooks.requests.posting import split_uri
from shared.services.webhooks.requests.signatures import whsec_of

MASK = "***"

_SHOWN = frozenset({"content-type", "user-agent", "webhook-id", "webhook-timestamp"}) | {
    "aeg-event-type"
}
_PLAIN = frozenset({"content-type", "user-agent", "accept"})
_LEAST = 6
"""Shorter texts are no secrets, and part of many words; a part of an address is longer still."""
_LEAST_OF_A_PATH = 16


def origin_of(uri: str) -> str:
    """Give what may be shown of an address to anybody: scheme, host and port."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def masked_headers(posting: Posting, callback: Callback) -> Mapping[str, str]:
    """Give the headers that are sent, with what may be shown of them."""
    shown = _SHOWN - {name.lower() for name in callback.headers}
    return {
        name: value if name.lower() in shown else MASK for name, value in posting.headers.items()
    }


def masked_reply(reply: Reply, callback: Callback) -> Reply:
    """Give an answer without what is recognised in it of the callback."""
    secrets = sorted(set(_secrets(callback)), key=len, reverse=True)
    body = reply.body
    for secret in secrets:
        body = body.replace(secret.encode(), MASK.encode())
    if len(reply.body) >= ANSWER_BYTES:
        body = _without_begun(body, secrets)
    headers = {name: _masked(value, secrets) for name, value in reply.headers.items()}
    return replace(reply, body=body, headers=headers, reason=_masked(reply.reason, secrets))


def _without_begun(body: bytes, secrets: list[str]) -> bytes:
    """Mask the begin of a secret where an answer was cut."""
    for secret in map(str.encode, secrets):
        for length in range(len(secret) - 1, _LEAST - 1, -1):
            if body.endswith(secret[:length]):
                return body[:-length] + MASK.encode()
    return body


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _secrets(callback: Callback) -> Iterator[str]:
    found = [secret.text for secret in callback.secrets]
    found += [whsec_of(text) for text in found]
    found += [callback.uri, *_of_address(callback.uri)]
    for name, value in callback.headers.items():
        if name.lower() not in _PLAIN:
            found += [value, *value.split()]
    yield from (text for text in found if len(text) >= _LEAST)


def _of_address(uri: str) -> Iterator[str]:
    parts = urlsplit(uri)
    yield from split_uri(uri)[1].split()[1:]
    yield from (parts.query, unquote(parts.query))
    user_information = parts.netloc.rpartition("@")[0]
    for pair in (*parts.query.split("&"), user_information.replace(":", "=", 1)):
        value = pair.partition("=")[2]
        yield from (value, unquote(value))
    yield from (part for part in parts.path.split("/") if len(part) >= _LEAST_OF_A_PATH)
