"""Masking: what of a webhook may be recorded, and shown to who may not read its callback.

Of an address that is scheme, host and port; of headers their names, and the values of those that
the registry makes and that say nothing of a key.

A receiver may send back what it was sent. Of its answer, names of headers too, these are masked in
each of their spellings (`spellings`), and every eight characters in a row that are part of one:

    the address's user and password, its path with its query, and each value (or bare word) of that
    the values of headers that are masked, Basic ones decoded as well, so signatures too
    signing secrets: as typed, as `whsec_`, and their keys in Base64, in hexadecimal and as bytes

What has less than four characters is not known for a secret, and of an address's path what has less
than eight: `/hook` is part of many answers. Where an answer ends, and may have been cut, what one
of them begins with is masked from six characters on, also before a spelling that is cut itself.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from shared.model.outbound.posting import Posting, Reply
from shared.model.webhooks.webhook import Callback
from shared.services.webhooks.requests.posting import split_uri
from shared.services.webhooks.requests.signatures import key_of, whsec_of
from shared.services.webhooks.requests.spellings import readings, whole

MASK = "***"

_SHOWN = frozenset({"content-type", "user-agent", "webhook-id", "webhook-timestamp"}) | {
    "aeg-event-type"
}
_PLAIN = frozenset({"content-type", "user-agent", "accept"})
_LEAST = 4
_LEAST_BEGUN = 6
_RUN = 8


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


def masked_reply(reply: Reply, callback: Callback, posting: Posting) -> Reply:
    """Give an answer without what is recognised in it of the callback and of what was sent."""
    secrets = _Secrets.of(_secrets(callback, posting))
    headers: dict[str, str] = {}
    for name, value in reply.headers.items():
        word, text = secrets.masked_text(name), secrets.masked_text(value)
        headers[word] = f"{headers[word]}, {text}" if word in headers else text
    return replace(
        reply,
        reason=secrets.masked_text(reply.reason),
        headers=headers,
        body=secrets.masked(reply.body),
    )


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What is masked: each run of a secret, a shorter one whole; `begun` at the end alone."""

    runs: frozenset[bytes]
    begun: frozenset[bytes]

    @classmethod
    def of(cls, secrets: Iterator[bytes]) -> Self:
        """Know these, in each of their own readings."""
        runs: set[bytes] = set()
        begun: set[bytes] = set()
        for secret in dict.fromkeys(read for each in secrets for read, _ in readings(each)):
            if len(secret) >= _LEAST:
                runs.update(secret[at : at + _RUN] for at in range(max(1, len(secret) - _RUN + 1)))
                begun.update(secret[:length] for length in range(_LEAST_BEGUN, _RUN))
        return cls(frozenset(runs), frozenset(begun))

    def masked_text(self, text: str) -> str:
        """Mask a text of which each character is a byte, as those of an answer's head are."""
        return self.masked(text.encode("latin-1", "replace")).decode("latin-1")

    def masked(self, data: bytes) -> bytes:
        """Mask what is recognised; a stretch of it becomes one mask."""
        is_secret = bytearray(len(data))
        for read, spans in readings(data):
            for begin, end in self._found(read):
                first, last = spans[begin][0], spans[end - 1][1]
                is_secret[first:last] = b"\1" * (last - first)
        return _covered(data, is_secret)

    def _found(self, read: bytes) -> Iterator[tuple[int, int]]:
        for length in {len(run) for run in self.runs}:
            for begin in range(len(read) - length + 1):
                if read[begin : begin + length] in self.runs:
                    yield begin, begin + length
        for end in {len(read), whole(read)}:
            for begin in range(max(0, end - _RUN), end):
                if read[begin:end] in self.begun:
                    yield begin, len(read)


def _covered(data: bytes, is_secret: bytearray) -> bytes:
    shown, end = b"", 0
    while (begin := is_secret.find(1, end)) >= 0:
        shown += data[end:begin] + MASK.encode()
        end = is_secret.find(0, begin)
        if end < 0:
            return shown
    return shown + data[end:]


def _secrets(callback: Callback, posting: Posting) -> Iterator[bytes]:
    for secret in callback.secrets:
        key = key_of(secret.text)
        yield from (secret.text.encode(), whsec_of(secret.text).encode())
        yield from (key, b64encode(key), key.hex().encode())
    yield from _of_address(callback.uri)
    yield from _of_header("authorization", split_uri(callback.uri)[1])
    for headers in (callback.headers, posting.headers):
        for name, value in headers.items():
            if name.lower() not in _SHOWN | _PLAIN:
                yield from _of_header(name.lower(), value)


def _of_address(uri: str) -> Iterator[bytes]:
    parts = urlsplit(uri)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if len(target) >= _RUN:
        yield target.encode()
    for pair in parts.query.split("&"):
        name, is_named, value = pair.partition("=")
        yield (value if is_named else name).encode()
    yield from _of_pair(parts.netloc.rpartition("@")[0].encode())


def _of_header(name: str, value: str) -> Iterator[bytes]:
    """Give a value and its words; how an Authorization is meant is said by its first one."""
    words = value.encode().split()
    is_authorization = name.endswith("authorization") and len(words) > 1
    yield b" ".join(words[is_authorization:])
    yield from words[is_authorization:]
    if is_authorization and words[0].lower() == b"basic":
        try:
            yield from _of_pair(b64decode(words[1]))
        except Error:
            return


def _of_pair(pair: bytes) -> Iterator[bytes]:
    user, _, password = pair.partition(b":")
    yield from (pair, user, password)
