"""Listing: an attempt in the shape in which ACR lists a webhook's events (ACR 4.2).

Of the request there are custom headers first, then the type and length of the body; that the
registry says by itself who it is, ACR does not list. A status is a text there.
"""

import json
from collections.abc import Mapping
from typing import Any

from shared.model.outbound.posting import Reply
from shared.services.webhooks.requests.posting import USER_AGENT

_VERSION = "1.1"
_LAST = ("Content-Type", "Content-Length")


def listed(
    event_id: str, request: Mapping[str, Any], response: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Give an event of the list: what was sent in one attempt, and what came back."""
    return {"eventRequestMessage": request, "eventResponseMessage": response, "id": event_id}


def request_message(uri: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    """Say what was sent: masked as it was recorded, or as it is posted for who may read that."""
    said = {
        name: value
        for name, value in headers.items()
        if (name, value) != ("User-Agent", USER_AGENT)
    }
    said["Content-Length"] = str(len(body))
    last = {name: said.pop(name) for name in _LAST if name in said}
    return {
        "content": json.loads(body),
        "headers": said | last,
        "method": "POST",
        "requestUri": uri,
        "version": _VERSION,
    }


def response_message(reply: Reply) -> Mapping[str, Any]:
    """Say what was answered."""
    return {
        "content": reply.body.decode(errors="replace"),
        "headers": dict(reply.headers),
        "reasonPhrase": reply.reason,
        "statusCode": str(reply.status),
        "version": reply.version.removeprefix("HTTP/"),
    }


def no_response_message(why: str = "Operation timed out.") -> Mapping[str, Any]:
    """Say that nothing was answered, and why: ACR says so of a receiver that takes too long."""
    return {"content": why, "reasonPhrase": "GatewayTimeout", "statusCode": "504"}
