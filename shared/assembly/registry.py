"""A registry as requests meet it: its gate and its services."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.auth.accounts import Accounts
from shared.auth.gate import Gate
from shared.auth.issuer import Issuer
from shared.auth.tokens import Tokens
from shared.model.master_keys import MasterKeys
from shared.model.upload import Seal
from shared.services.attributes.changes import AttributeChanges
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.referrers import Referrers
from shared.services.content.repositories import Repositories
from shared.services.content.staging import Staging
from shared.services.content.tags import Tags
from shared.services.content.uploads import Uploads
from shared.services.turns.turns import Turns
from shared.settings import Settings
from shared.storage.ports import Objects
from shared.storage.rows.registries import RegistryRecord
from shared.storage.stores import Stores

_LARGE_MANIFESTS = 16
_STREAMS = 128
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry: its gate and its services.

    `login_server` is the one of its names that stands for it; empty where none is set.
    """

    generation: str
    login_server: str
    gate: Gate
    issuer: Issuer
    manifests: Manifests
    pushes: Pushes
    large_manifests: Turns
    blobs: Blobs
    uploads: Uploads
    tags: Tags
    referrers: Referrers
    repositories: Repositories
    attributes: AttributeChanges
    stores: Stores
    has_redirects: bool


def _streams() -> Turns:
    return Turns(_STREAMS, _PATIENCE_SECONDS, "downloads")


def _large_manifests() -> Turns:
    return Turns(_LARGE_MANIFESTS, _PATIENCE_SECONDS)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a process, all of its registries together."""

    staging: Staging
    streams: Turns = field(default_factory=_streams)
    large_manifests: Turns = field(default_factory=_large_manifests)

    @classmethod
    def of(cls, objects: Objects) -> "Limits":
        """Give those of a process that has done nothing yet."""
        return cls(Staging(objects))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a registry is put together of, besides the settings."""

    record: RegistryRecord
    master_keys: MasterKeys
    login_server: str
    stores: Stores
    accounts: Accounts
    limits: Limits
    note_read_locks: Callable[[], Awaitable[None]]


def registry_of(settings: Settings, parts: Parts) -> Registry:
    """Put a registry together."""
    record, stores, limits = parts.record, parts.stores, parts.limits
    tokens = Tokens(record.signing_keys, record.generation, stores.clock, stores.new_id)
    gate = Gate(
        tokens,
        parts.accounts,
        settings.anonymous_access,
        is_discovery_by_caller=settings.mount_discovery == "caller",
    )
    seal = Seal(*parts.master_keys.derived("upload sessions", record.generation))
    url_seconds = int(settings.url_lifetime.total_seconds())
    return Registry(
        generation=record.generation,
        login_server=parts.login_server,
        gate=gate,
        issuer=Issuer(gate, tokens),
        manifests=Manifests(stores, settings.lasting(record.policies.soft_delete_days)),
        pushes=Pushes(stores, is_sparse_allowed=settings.sparse_manifests),
        large_manifests=limits.large_manifests,
        blobs=Blobs(stores, settings.grace, url_seconds, limits.streams),
        uploads=Uploads(stores, limits.staging, seal, settings.upload_lifetime),
        tags=Tags(stores),
        referrers=Referrers(stores),
        repositories=Repositories(stores),
        attributes=AttributeChanges(stores, parts.note_read_locks),
        stores=stores,
        has_redirects=settings.blob_redirects,
    )
