"""Checking: whether a webhook can be as it is asked for, before anything of it is written.

What is refused is named, and what is secret of it is not: neither a path, nor a value.
"""

import re
import ssl
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from cryptography import x509

from shared.model.webhooks.webhook import MOST_SECONDS, Callback, Hmac, Webhook, WebhookInvalid
from shared.services.webhooks.requests.signatures import key_of

URI_LENGTH = 2_048
HEADERS = 30
HEADERS_LENGTH = 8 * 1024
SECRET_LENGTH = 512
CA_LENGTH = 24 * 1024
"""Characters: a row's text takes 32 Ki of them."""

ALGORITHMS = ("sha1", "sha256")

_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
_PRINTED = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_PORTS = 2**16
_CONTROLS = frozenset({*range(0x20), 0x7F})
_BREAK = re.compile(r"[\r\n]")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)

_SIGNATURES = "webhook-"
_OURS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "content-encoding", "expect"),
        *("connection", "keep-alive", "te", "trailer", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection"),
    }
)
_NOT_OF_AN_HMAC = frozenset({"content-type", "user-agent", "authorization", "aeg-event-type"})


def check(webhook: Webhook, callback: Callback) -> None:
    """Refuse a webhook that cannot be; raises WebhookInvalid."""
    check_uri(callback.uri)
    check_headers(callback.headers)
    for secret in callback.secrets:
        check_secret(secret.text)
    _check_hmacs(webhook.hmacs, callback)
    check_seconds(webhook.seconds)
    if webhook.ca:
        check_ca(webhook.ca)


def check_uri(uri: str) -> None:
    """Refuse what is no http or https address; raises WebhookInvalid, which does not show it."""
    if not _VISIBLE.fullmatch(uri) or "\\" in uri or _PERCENT.search(uri):
        raise WebhookInvalid(
            "the URI must be written in visible ASCII characters, without \\: what else there is is"
            " written as % and two hexadecimal digits, in a host's name as xn--"
        )
    if len(uri) > URI_LENGTH:
        raise WebhookInvalid(f"the URI has {len(uri)} characters, and may have {URI_LENGTH}")
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise WebhookInvalid("the URI's host is malformed: brackets are for IPv6") from None
    if parts.scheme not in {"http", "https"}:
        raise WebhookInvalid("the URI must begin with https:// or http://")
    if "#" in uri:
        raise WebhookInvalid(
            "the URI has a fragment, which is never sent: leave out # and the rest"
        )
    _check_host(parts)


def _check_host(parts: SplitResult) -> None:
    user_information, at, address = parts.netloc.rpartition("@")
    found = _ADDRESS.fullmatch(address)
    if not found or not 0 < int(found[1] or 1) < _PORTS:
        raise WebhookInvalid("the URI must name a host, and perhaps a port from 1 to 65535")
    if at:
        _check_user_information(user_information)


def _check_user_information(text: str) -> None:
    user, _, password = text.partition(":")
    decoded = unquote_to_bytes(user), unquote_to_bytes(password)
    if "@" in text:
        raise WebhookInvalid("the URI has more than one @: write the others as %40")
    if b":" in decoded[0]:
        raise WebhookInvalid("the URI's user has a colon in it, which Basic cannot tell")
    if _CONTROLS.intersection(b"".join(decoded)):
        raise WebhookInvalid("the URI's user information has control characters")


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse custom headers that are not to be sent; raises WebhookInvalid, without any value."""
    for name, value in headers.items():
        _check_name(name)
        if _BREAK.search(value):
            raise WebhookInvalid(
                f"the value of the header {name} has a line break in it: a header is one line"
            )
        if not _PRINTED.fullmatch(value):
            raise WebhookInvalid(
                f"the value of the header {name} must be printed ASCII characters, without blanks"
                " around them"
            )
    if again := _again(headers):
        raise WebhookInvalid(f"the header {again} is there twice")
    length = sum(len(name) + len(value) for name, value in headers.items())
    if len(headers) > HEADERS or length > HEADERS_LENGTH:
        raise WebhookInvalid(
            f"{len(headers)} headers of {length} characters; there may be {HEADERS}, of"
            f" {HEADERS_LENGTH} together"
        )


def _check_name(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise WebhookInvalid(
            "what stands before the = is not the name of a header, which has neither blanks, colons"
            " nor line breaks in it: write Authorization=Bearer …, and not Authorization: Bearer …"
        )
    if name.lower() in _OURS or name.lower().startswith(_SIGNATURES):
        raise WebhookInvalid(f"the header {name} is the registry's own to send")


def _again(names: Iterable[str]) -> str:
    """Name a header that is there twice, or give nothing."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return ""


def check_secret(text: str) -> None:
    """Refuse a secret that cannot sign; raises WebhookInvalid, which does not show it."""
    if not text or len(text) > SECRET_LENGTH:
        raise WebhookInvalid(f"a secret has 1 to {SECRET_LENGTH} characters; this has {len(text)}")
    if not text.isprintable():
        raise WebhookInvalid("the secret has line breaks or control characters in it")
    key_of(text)


def parse_hmac(text: str) -> Hmac:
    """Read HEADER=sha1, HEADER=sha256, or either with :bare behind; raises WebhookInvalid."""
    header, _, rest = text.partition("=")
    algorithm, colon, how = rest.partition(":")
    if algorithm not in ALGORITHMS or (colon and how != "bare"):
        raise WebhookInvalid(
            f"{text[:80]!r} is not HEADER=ALG, ALG sha1 or sha256, or sha1:bare or sha256:bare"
        )
    _check_name(header)
    if header.lower() in _NOT_OF_AN_HMAC:
        raise WebhookInvalid(f"the header {header} cannot hold an HMAC")
    return Hmac(header, algorithm, is_bare=bool(colon))


def _check_hmacs(hmacs: Iterable[Hmac], callback: Callback) -> None:
    headers = [one.header for one in hmacs]
    if headers and not callback.secrets:
        raise WebhookInvalid("an HMAC needs a secret: give one (--secret), or no HMAC")
    if again := _again([*callback.headers, *headers]):
        raise WebhookInvalid(f"the header {again} is there twice: once it holds an HMAC")


def check_seconds(seconds: int) -> None:
    """Refuse a time that a receiver may not take; raises WebhookInvalid."""
    if not 1 <= seconds <= MOST_SECONDS:
        raise WebhookInvalid(f"a timeout of {seconds} s: 1 to {MOST_SECONDS} it may be")


def check_ca(text: str) -> None:
    """Refuse certificates that cannot be read; raises WebhookInvalid."""
    if "PRIVATE KEY-----" in text:
        raise WebhookInvalid("there is a private key in the CA file: it needs certificates alone")
    if len(text) > CA_LENGTH:
        raise WebhookInvalid(f"the CA file has {len(text)} characters, and may have {CA_LENGTH}")
    try:
        x509.load_pem_x509_certificates(text.encode())
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ValueError, ssl.SSLError):
        raise WebhookInvalid(
            "the CA file holds no certificates (PEM) that can be read: they begin with"
            " -----BEGIN CERTIFICATE-----"
        ) from None
