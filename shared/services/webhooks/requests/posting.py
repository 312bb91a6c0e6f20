"""Posting: the request that one attempt sends, put together of a webhook and an event."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

from shared.model.outbound.posting import Posting
from shared.model.webhooks.webhook import Callback, Form, Webhook
from shared.services.webhooks.requests.bodies import Notice, body_of
from shared.services.webhooks.requests.signatures import hmacs, signatures

USER_AGENT = "AzureContainerRegistry/1.0"
"""Receivers know ACR by how it begins."""

OF_FORM: Mapping[Form, Mapping[str, str]] = {
    Form.ACR: {"Content-Type": "application/json; charset=utf-8"},
    Form.CLOUDEVENTS: {
        "aeg-event-type": "Notification",  # the Event Grid trigger of Functions insists on it
        "Content-Type": "application/cloudevents+json",
    },
}


def posting_of(webhook: Webhook, callback: Callback, notice: Notice, now: datetime) -> Posting:
    """Give what is sent at this attempt; the same but for what is signed at each."""
    body = body_of(notice, webhook.form)
    url, authorization = split_uri(callback.uri)
    usual = {"User-Agent": USER_AGENT}
    if authorization:
        usual["Authorization"] = authorization
    signed = {
        **signatures(callback.secrets, notice.id, body, now),
        **hmacs(webhook.hmacs, callback.secrets, body, now),
    }
    headers = _first_of_each(callback.headers, usual, signed, OF_FORM[webhook.form])
    return Posting(url, headers, body, webhook.seconds, webhook.ca)


def split_uri(uri: str) -> tuple[str, str]:
    """Give the address without user information, and that as an Authorization, or nothing."""
    parts = urlsplit(uri)
    user_information, at, host = parts.netloc.rpartition("@")
    url = urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, ""))
    if not at:
        return url, ""
    user, _, password = user_information.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return url, f"Basic {b64encode(pair).decode()}"


def _first_of_each(*parts: Mapping[str, str]) -> Mapping[str, str]:
    """Put headers one after the other; of a name that comes again, in any case, the first wins."""
    headers: dict[str, str] = {}
    names: set[str] = set()
    for name, value in (header for part in parts for header in part.items()):
        if name.lower() not in names:
            headers[name] = value
            names.add(name.lower())
    return headers
