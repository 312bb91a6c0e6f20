"""Keel (keel-hq/keel, pkg/http: azure_webhook_trigger.go, http.go, auth.go).

It reads neither the content type nor the action: what has no `target.tag` is answered with 400, and
so are pings, deletions and pushes by digest. Where webhooks are authenticated it wants Basic (or a
token of its own as Bearer), or answers 401. The image is `request.host/target.repository`.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked, at


@dataclass(frozen=True, slots=True)
class Keel:
    """With the user that webhooks must be of, and the images that it watches."""

    user: str
    password: str
    images: Sequence[str]

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.path != "/v1/webhooks/azure":
            return Answer(404)
        pair = b64encode(f"{self.user}:{self.password}".encode()).decode()
        if asked.header("Authorization") != f"Basic {pair}":
            return Answer(401)
        event = asked.json()
        if event is None or not (tag := at(event, "target.tag")):
            return Answer(400)
        name = f"{at(event, 'request.host')}/{at(event, 'target.repository')}"
        return Answer(200, tuple(f"{name}:{tag}" for image in self.images if image == name))
