"""Argo CD Image Updater (argoproj-labs/argocd-image-updater, pkg/webhook: acr.go, server.go).

It wants `?type=acr` (or `X-Registry-Type`) of a type that has a secret, `application/json` in the
content type, the whole of `Authorization` to be the secret, and a push: whatever it refuses, a
wrong secret too, it answers with 400. A push without a tag is welcome. An image is looked at where
`request.host` is its registry to the letter (pkg/argocd/argocd.go).

Its CloudEvents are another type, which wants `container` or `image` in small letters in the event's
type: Event Grid's types have neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked, at

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ArgoImageUpdater:
    """With secrets by type (`acr`, `cloudevents`), and the images that applications use."""

    secrets: dict[str, str]
    images: Sequence[str]

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.path != "/webhook":
            return Answer(404)
        if len(asked.body) > _MOST_BYTES:
            return Answer(413)
        kind = asked.query.get("type") or asked.header("X-Registry-Type")
        if not self.secrets.get(kind):
            return Answer(400)
        return self._acr(asked) if kind == "acr" else self._cloudevents(asked)

    def _acr(self, asked: Asked) -> Answer:
        event = asked.json()
        is_theirs = compare_digest(asked.header("Authorization"), self.secrets["acr"])
        if "application/json" not in asked.header("Content-Type") or not is_theirs or not event:
            return Answer(400)
        repository = at(event, "target.repository")
        if at(event, "action") != "push" or not repository:
            return Answer(400)
        return self._look_at(f"{at(event, 'request.host')}/{repository}")

    def _cloudevents(self, asked: Asked) -> Answer:
        secret = asked.query.get("secret") or asked.header("X-Webhook-Secret")
        event = asked.json()
        if not compare_digest(secret, self.secrets["cloudevents"]) or not event:
            return Answer(400)
        kind = at(event, "type")
        if not any(word in kind for word in ("container", "image")):
            return Answer(400)
        return Answer(200)

    def _look_at(self, name: str) -> Answer:
        return Answer(200, tuple(image for image in self.images if image == name))
