"""Created: what Event Grid tells the queue `blob-events` of objects that have been made.

    {"eventType": "Microsoft.Storage.BlobCreated", "subject": …}    in Event Grid's own schema
    {"type": "Microsoft.Storage.BlobCreated", "subject": …}         as a CloudEvent
    [{…}, …]                                                        several of either

The `subject` names the object: /blobServices/default/containers/CONTAINER/blobs/NAME. The name is
written there as it is, in no encoding, so none is taken off. (The address in `data.url` is encoded;
nothing here reads it, or anything else of `data`.) Ours have no character that it would change.

Events of another kind, a subscription's validation or a deletion, ask for nothing, and so do those
of other containers: a subscription may be wider than it need be.
"""

import re
from dataclasses import dataclass
from typing import Any, Self

import orjson

from shared.storage import keys
from shared.storage.messages.letters import BODY_BYTES
from shared.storage.messages.verifying import ToVerify

MOST_EVENTS = 256
"""The most events in a message; more do not fit into one, as Event Grid writes them."""

_CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_TYPES = ("eventType", "type")
_TELLING = ("id", *_TYPES, "subject")


@dataclass(frozen=True, slots=True)
class Created:
    """What a message tells: the object that was made, or several events, each as a text."""

    object: ToVerify | None = None
    several: tuple[str, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a message of the queue; raises ValueError for what is none.

        Of several events those that cannot be read are kept: each will be told of by itself.
        """
        if len(body) > BODY_BYTES:
            raise ValueError(f"{len(body)} bytes are too many for an event: at most {BODY_BYTES}")
        said = orjson.loads(body)
        events = said if isinstance(said, list) else [said]
        if len(events) > MOST_EVENTS or not all(isinstance(event, dict) for event in events):
            raise ValueError(f"it is no event, nor a list of up to {MOST_EVENTS}")
        if len(events) == 1:
            return cls(_object_of(events[0]))
        return cls(several=tuple(_text(event) for event in events if _asks(event)))


def _object_of(event: dict[str, Any]) -> ToVerify | None:
    """Give the object that was made; None where nothing is to be verified; raises ValueError."""
    kind = next((event[name] for name in _TYPES if name in event), None)
    if not isinstance(kind, str):
        raise ValueError("it does not say what kind of event it is")  # noqa: TRY004 - as others
    if kind != _CREATED:
        return None
    found = _SUBJECT.fullmatch(str(event.get("subject", "")))
    if found is None:
        raise ValueError("its subject names no object of a container")
    return ToVerify.named(found[2]) if found[1] == keys.CONTAINER else None


def _asks(event: dict[str, Any]) -> bool:
    try:
        return _object_of(event) is not None
    except ValueError:
        return True


def _text(event: dict[str, Any]) -> str:
    """Give what matters of an event, however much hangs on it."""
    said = {name: event[name] for name in _TELLING if isinstance(event.get(name), str)}
    return orjson.dumps(said).decode()
