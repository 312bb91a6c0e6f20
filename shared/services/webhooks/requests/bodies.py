"""Bodies: what receivers are told of an event, in ACR's form and as a CloudEvent.

ACR 4.3, to the byte: no blanks, the fields in this order, and what is empty is left out. The time
of a ping has seven digits behind the point there, that of everything else has nine; here both have
the microseconds of the commit, which is the same in each attempt and in each replay.

CloudEvents 1.0, structured, with the same content as `data`, as Event Grid gives it (ACR 4.5):

    push        Microsoft.ContainerRegistry.ImagePushed        subject REPO:TAG, or REPO@DIGEST
    delete      Microsoft.ContainerRegistry.ImageDeleted       subject REPO@DIGEST
    quarantine  Microsoft.ContainerRegistry.ImageQuarantined   subject as of a push
    ping        Microsoft.ContainerRegistry.Ping               no subject

The types of quarantine and ping are ours, Event Grid has none; `source` is the registry's address.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from shared.events import Cause, Event, ManifestDeleted, ManifestPushed
from shared.model.webhooks.webhook import PING, Action, Form

TYPES: Mapping[str, str] = {
    Action.PUSH: "Microsoft.ContainerRegistry.ImagePushed",
    Action.DELETE: "Microsoft.ContainerRegistry.ImageDeleted",
    Action.QUARANTINE: "Microsoft.ContainerRegistry.ImageQuarantined",
    PING: "Microsoft.ContainerRegistry.Ping",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """An event as receivers are told of it; a ping has no `event`, and is of no repository.

    `name` is the TIME-ID of its row. `host` is the registry's login server, or its name where there
    is none: it stands for the host of an event whose cause has none.
    """

    name: str
    at: datetime
    host: str
    repository: str = ""
    event: Event | None = None

    @classmethod
    def of(cls, name: str, repository: str, event: Event, host: str) -> Self:
        """Tell of what has happened to a repository."""
        return cls(name, event.at, host, repository, event)

    @property
    def id(self) -> str:
        """The id that receivers know it by, the same in each attempt and in each replay."""
        return event_id(self.name)


def event_id(name: str) -> str:
    """Give the id that receivers know an event by, whose row has this TIME-ID."""
    return str(UUID(hex=name.rpartition("-")[2]))


def body_of(notice: Notice, form: Form) -> bytes:
    """Write what a receiver is told; raises ValueError for what none is told of."""
    content = _content(notice)
    if form is Form.CLOUDEVENTS:
        return JSONFormat().write(CloudEvent(_attributes(notice, content), content))
    return json.dumps(content, separators=(",", ":")).encode()


def _content(notice: Notice) -> dict[str, Any]:
    match notice.event:
        case None:
            return {"id": notice.id, "timestamp": f"{_time(notice)}0Z", "action": PING}
        case ManifestPushed() as pushed:
            return _told(notice, Action.PUSH, _pushed(notice, pushed), pushed.cause)
        case ManifestDeleted() as deleted:
            return _told(notice, Action.DELETE, _deleted(notice, deleted), deleted.cause)
    raise ValueError(f"receivers are not told of {type(notice.event).__name__}")


def _time(notice: Notice) -> str:
    return f"{notice.at:%Y-%m-%dT%H:%M:%S.%f}"


def _told(
    notice: Notice, action: Action, target: Mapping[str, Any], cause: Cause
) -> dict[str, Any]:
    return {
        "id": notice.id,
        "timestamp": f"{_time(notice)}000Z",
        "action": str(action),
        "target": target,
        "request": _request(notice, action, cause),
    }


def _pushed(notice: Notice, event: ManifestPushed) -> dict[str, Any]:
    target = {
        "mediaType": event.media_type,
        "size": event.size,
        "digest": event.digest,
        "length": event.size,
        "repository": notice.repository,
    }
    return target | ({"tag": event.tag} if event.tag else {})


def _deleted(notice: Notice, event: ManifestDeleted) -> dict[str, Any]:
    return {
        "mediaType": event.media_type,
        "digest": event.digest,
        "repository": notice.repository,
    }


def _request(notice: Notice, action: Action, cause: Cause) -> dict[str, Any]:
    """Say by which request it came: receivers want one, whoever did it."""
    request = {
        "id": cause.request_id or notice.id,
        "host": cause.host or notice.host,
        "method": cause.method or ("PUT" if action is Action.PUSH else "DELETE"),
    }
    return request | ({"useragent": cause.user_agent} if cause.user_agent else {})


def _attributes(notice: Notice, content: Mapping[str, Any]) -> dict[str, Any]:
    target = content.get("target", {})
    separator, part = (":", "tag") if "tag" in target else ("@", "digest")
    subject = f"{target['repository']}{separator}{target[part]}" if target else ""
    attributes = {
        "specversion": "1.0",
        "id": notice.id,
        "source": f"https://{notice.host}",
        "type": TYPES[content["action"]],
        "time": notice.at,
        "datacontenttype": "application/json",
    }
    return attributes | ({"subject": subject} if subject else {})
