"""What stands behind the relay: GitHub, Slack and Teams, after their documentation.

GitHub (`POST /repos/OWNER/NAME/dispatches`): a user agent, or 403; a token, or 401, of one who may
write, or 404; `event_type` of 1 to 100 characters and a `client_payload` of at most ten properties,
or 422; then 204. Slack's incoming webhook: JSON with a `text`, or 400; an archived channel 410;
then 200. Teams' workflow ("When a Teams webhook request is received"): any JSON is answered with
202, and a card appears where it is a message with an Adaptive Card attached.
"""

from dataclasses import dataclass, field
from typing import Any

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked

CARD = "application/vnd.microsoft.card.adaptive"
_MOST_PROPERTIES = 10
_LONGEST_TYPE = 100


@dataclass(frozen=True, slots=True)
class GitHub:
    """A repository, and the token that may write to it."""

    repository: str
    token: str
    dispatched: list[dict[str, Any]] = field(default_factory=list)

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if not asked.header("User-Agent"):
            return Answer(403)
        if asked.header("Authorization") != f"Bearer {self.token}":
            return Answer(401)
        if asked.path != f"/repos/{self.repository}/dispatches":
            return Answer(404)
        event = asked.json() or {}
        kind, payload = event.get("event_type"), event.get("client_payload", {})
        is_typed = isinstance(kind, str) and 1 <= len(kind) <= _LONGEST_TYPE
        if not is_typed or not isinstance(payload, dict) or len(payload) > _MOST_PROPERTIES:
            return Answer(422)
        self.dispatched.append(event)
        return Answer(204, (str(kind),))


@dataclass(slots=True)
class Slack:
    """An incoming webhook, and what its channel shows."""

    path: str
    shown: list[str] = field(default_factory=list)
    is_archived: bool = False

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.path != self.path:
            return Answer(404)
        if self.is_archived:
            return Answer(410)
        text = (asked.json() or {}).get("text")
        if not isinstance(text, str) or not text:
            return Answer(400)
        self.shown.append(text)
        return Answer(200, (text,))


@dataclass(frozen=True, slots=True)
class Teams:
    """A workflow's address, whose query is its secret, and the cards that its channel shows."""

    target: str
    shown: list[dict[str, Any]] = field(default_factory=list)

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.target != self.target:
            return Answer(401)
        event = asked.json()
        if event is None:
            return Answer(400)
        cards = event.get("attachments") if event.get("type") == "message" else None
        told = [each["content"] for each in cards or [] if each.get("contentType") == CARD]
        self.shown.extend(told)
        return Answer(202, tuple(each["body"][0]["text"] for each in told))
