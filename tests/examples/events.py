"""What happens to team/app, by the names that the pages' tables give it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.events import Cause, Event, ManifestDeleted, ManifestPushed
from shared.model.names import RepositoryName
from shared.services.webhooks.requests.bodies import Notice

HOST = "registry.example.com"
REPOSITORY = RepositoryName("team/app")
IMAGE = f"{HOST}/{REPOSITORY}"
DIGEST = f"sha256:{'4e' * 32}"
AT = datetime(2026, 11, 28, 9, 30, 15, 123456, tzinfo=UTC)

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CAUSE = Cause("admin", "5d97eae8-67d6-4b1e-b1ec-4a0006ae5a20", HOST, "PUT", "docker/28.0.1")

A_TAG = "a tag is pushed"
BY_DIGEST = "a manifest is pushed by digest"
A_SIGNATURE = "cosign pushes a signature"
A_DELETION = "a manifest is deleted"
A_PING = "ping"
ANOTHER_SECRET = "a tag is pushed, with another secret"


def pushed(tag: str, digest: str = DIGEST) -> ManifestPushed:
    """A push, as the outbox tells of it."""
    return ManifestPushed(digest, tag, _INDEX, 1234, _CAUSE, AT)


def events(tag: str) -> Mapping[str, Event | None]:
    """Give what happens, of a push the one of this tag; a ping is no event."""
    signature = f"sha256-{'4e' * 32}.sig"
    return {
        A_TAG: pushed(tag),
        BY_DIGEST: pushed(""),
        A_SIGNATURE: ManifestPushed(f"sha256:{'51' * 32}", signature, _MANIFEST, 812, _CAUSE, AT),
        A_DELETION: ManifestDeleted(DIGEST, _INDEX, _CAUSE, AT),
        A_PING: None,
        ANOTHER_SECRET: pushed(tag),
    }


def notice(event: Event | None) -> Notice:
    """Tell of an event as the outbox's row is named, or ping."""
    name = f"{AT:%Y%m%d%H%M%S}-{UUID(int=0x4E).hex}"
    if event is None:
        return Notice(name, AT, HOST)
    return Notice.of(name, REPOSITORY, event, HOST)


def before() -> datetime:
    """When the webhooks were made."""
    return AT - timedelta(days=1)
