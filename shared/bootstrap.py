"""Bootstrap: settings → adapters → services, once a worker. Only this room names an adapter.

A worker keeps each registry it has served for a minute; a registry that is deleted or made anew is
noticed after that at the latest. Rights and contents are never kept.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from starlette.requests import Request

from shared.auth.accounts import Accounts
from shared.auth.gate import Gate
from shared.auth.issuer import Issuer
from shared.auth.tokens import Tokens
from shared.errors import NameUnknown
from shared.model.login_server import host_of
from shared.model.upload import Seal
from shared.services.content.blobs import Blobs
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.content.referrers import Referrers
from shared.services.content.repositories import Repositories
from shared.services.content.repository_deletions import RepositoryDeletions
from shared.services.content.restores import Restores
from shared.services.content.staging import Staging
from shared.services.content.tags import Tags
from shared.services.content.uploads import Uploads
from shared.services.events.fallback_lists import FallbackLists
from shared.services.events.fan_out import FanOut
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.settings import Settings
from shared.storage.azure.connections import open_ports
from shared.storage.bodies import Bodies
from shared.storage.preparing import Ports
from shared.storage.rows.registries import RegistryRecord, RegistryRecords
from shared.storage.sharing import SharedRows
from shared.storage.stores import Stores
from shared.wire.request import host

_KEPT_SECONDS = 60
_BODIES_BYTES = 64 * 1024 * 1024


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
    blobs: Blobs
    uploads: Uploads
    tags: Tags
    referrers: Referrers
    repositories: Repositories
    stores: Stores
    has_redirects: bool


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the functions behind queues work with."""

    fan_out: FanOut
    upkeep: Upkeep


class Registries:
    """The registries that this process serves."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports
        self._records = RegistryRecords(ports.rows, settings.master_key)
        self._bodies = Bodies(_BODIES_BYTES)
        self._staging = Staging(ports.objects)
        self._kept: dict[str, tuple[float, Registry]] = {}

    async def at(self, login_server: str) -> Registry:
        """Give the registry behind a login server; raises NameUnknown, MasterKeyWrong."""
        name = self._name(login_server)
        since, kept = self._kept.get(name, (0.0, None))
        if kept and time.monotonic() - since < _KEPT_SECONDS:
            return kept
        record = await self._record(name)
        if kept is None or kept.generation != record.generation:
            kept = await self._open(record)
        self._kept[name] = time.monotonic(), kept
        return kept

    def jobs(self, generation: str) -> Jobs:
        """Give the services of a registry's generation, whether it is still there or not."""
        stores = self._stores(generation)
        manifests = Manifests(stores)
        purge = Purge(stores, manifests)
        pushes = Pushes(stores, is_sparse_allowed=self._settings.sparse_manifests)
        restores = Restores(stores, pushes, purge)
        deletions = RepositoryDeletions(stores, restores, timedelta())
        lists = FallbackLists(stores)
        upkeep = Upkeep(stores, manifests, restores, deletions, purge, lists)
        return Jobs(FanOut(stores), upkeep)

    def _name(self, login_server: str) -> str:
        settings = self._settings
        domain = f".{settings.root_domain}"
        host_name = host_of(login_server)
        is_default = not settings.root_domain or host_name == host_of(settings.login_server)
        if is_default or not host_name.endswith(domain):
            return settings.registry_name
        return host_name.removesuffix(domain)

    def _login_server(self, name: str) -> str:
        settings = self._settings
        if settings.login_server and name == settings.registry_name:
            return settings.login_server
        return f"{name}.{settings.root_domain}" if settings.root_domain else ""

    async def _record(self, name: str) -> RegistryRecord:
        record = await self._records.find(name)
        if record is None and name == self._settings.registry_name:
            await self._records.create(name, new_id())
            record = await self._records.find(name)
        if record is None:
            raise NameUnknown(f"there is no registry {name!r} here")
        return record

    async def _open(self, record: RegistryRecord) -> Registry:
        settings = self._settings
        stores = self._stores(record.generation)
        accounts = Accounts(self._ports.rows, record.generation)
        if record.name == settings.registry_name and settings.admin_password:
            await accounts.set_password(record.name, settings.admin_password)
        tokens = Tokens(record.signing_key, record.generation, now, new_id)
        gate = Gate(tokens, accounts, settings.anonymous_access)
        seal = Seal(_derived(settings.master_key, record.generation))
        return Registry(
            generation=record.generation,
            login_server=self._login_server(record.name),
            gate=gate,
            issuer=Issuer(gate, tokens),
            manifests=Manifests(stores),
            pushes=Pushes(stores, is_sparse_allowed=settings.sparse_manifests),
            blobs=Blobs(stores, settings.grace, int(settings.url_lifetime.total_seconds())),
            uploads=Uploads(stores, self._staging, seal, settings.upload_lifetime),
            tags=Tags(stores),
            referrers=Referrers(stores),
            repositories=Repositories(stores),
            stores=stores,
            has_redirects=settings.blob_redirects,
        )

    def _stores(self, generation: str) -> Stores:
        return Stores.over(
            self._ports.rows,
            self._ports.objects,
            self._ports.messages,
            generation,
            bodies=self._bodies,
            clock=now,
            new_id=new_id,
            pause=pause,
        )


def now() -> datetime:
    """Tell the time in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Give 32 hexadecimal digits that nobody can guess."""
    return uuid.uuid4().hex


async def pause(longest: float) -> None:
    """Wait for a random part of so many seconds."""
    await asyncio.sleep(longest * secrets.randbelow(1_000) / 1_000)


async def registry(request: Request) -> Registry:
    """Give the registry that a request is for; raises NameUnknown."""
    return await registries().at(host(request))


@cache
def registries() -> Registries:
    """Build all that a worker needs, once; raises SettingsInvalid."""
    settings = Settings.from_env()
    rows, objects, messages = open_ports(settings.storage)
    ports = Ports(rows, objects, messages).prepared()
    return Registries(settings, replace(ports, rows=SharedRows(ports.rows)))


def _derived(master_key: str, generation: str) -> bytes:
    return hmac.digest(
        master_key.encode(), f"upload sessions of {generation}".encode(), hashlib.sha256
    )
