"""Kargo's Azure webhook receiver (akuity/kargo, pkg/webhook/external: router.go, azure.go).

Its secret is in the path: SHA-256 of project, receiver and secret. The user agent tells the sender:
it must begin with `AzureContainerRegistry`, or the answer is 400. A push refreshes the Warehouses
that subscribe to `request.host/target.repository`, where a first part without a dot, a colon or
`localhost` counts as one of Docker Hub's; a tag that is no version refreshes none (unless the
subscription selects otherwise), no tag at all refreshes them. All that is answered with 200, and so
is a ping, any other action with 400.
"""

import hashlib
import re
from dataclasses import dataclass

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked, at

_MOST_BYTES = 2 << 20
_VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kargo:
    """A project with a receiver, and its Warehouses by the image that they subscribe to."""

    project: str
    receiver: str
    secret: str
    warehouses: dict[str, str]

    @property
    def path(self) -> str:
        """The path that Kargo tells in the status of its ProjectConfig."""
        salted = f"{self.project}{self.receiver}{self.secret}"
        return f"/azure/{hashlib.sha256(salted.encode()).hexdigest()}"

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.path != self.path:
            return Answer(404)
        if len(asked.body) > _MOST_BYTES:
            return Answer(413)
        event = asked.json()
        if not asked.header("User-Agent").startswith("AzureContainerRegistry") or event is None:
            return Answer(400)
        match at(event, "action"):
            case "push":
                pushed = f"{at(event, 'request.host')}/{at(event, 'target.repository')}"
                tag = at(event, "target.tag")
                is_wanted = not tag or _VERSION.fullmatch(tag)
                return Answer(200, self._refreshed(pushed) if is_wanted else ())
            case "ping":
                return Answer(200)
        return Answer(400)

    def _refreshed(self, pushed: str) -> tuple[str, ...]:
        return tuple(
            warehouse
            for image, warehouse in self.warehouses.items()
            if _normal(image) == _normal(pushed)
        )


def _normal(name: str) -> str:
    """Write a repository with its registry, as go-containerregistry does without strictness."""
    host, _, rest = name.lower().partition("/")
    is_registry = "." in host or ":" in host or host == "localhost"
    return f"{host}/{rest}" if is_registry else f"docker.io/{host}/{rest}"
