"""Bootstrap: settings → adapters → services, once a worker. Only this room names an adapter.

A worker keeps each registry it has served for a minute; a registry that is deleted, made anew or
given another signing key is noticed after that at the latest. One request reads it while the others
wait. Contents are never kept. Rows are changed only on a record of the registry that is not older
than that when they are sent, however long the request has taken (`storage/layers/standing.py`).
"""

import asyncio
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from starlette.requests import Request

from shared.assembly.jobs import Jobs, jobs_of
from shared.assembly.registry import Limits, Parts, Registry, registry_of
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from shared.errors import NameUnknown, Unavailable
from shared.model.login_server import host_of
from shared.model.master_keys import MasterKeys
from shared.services.letters.failing import FailingLetters
from shared.services.letters.poison import Poison
from shared.services.letters.retries import Retries
from shared.services.letters.sleepers import Sleepers
from shared.services.sweep.rounds import go_on
from shared.services.verification.arrivals import Arrivals
from shared.services.verification.scrub import tick_all
from shared.settings import Settings
from shared.start import read_settings
from shared.storage.azure.account.names import account_name
from shared.storage.bodies import Bodies
from shared.storage.layers.later import LateMessages
from shared.storage.layers.preparing import prepared
from shared.storage.layers.sharing import SharedRows
from shared.storage.layers.standing import StandingRows
from shared.storage.master_key.kept import KeptKeys
from shared.storage.master_key.signing import Signing
from shared.storage.master_key.source import GivenKey, MasterKeySource
from shared.storage.messages.verifying import ToVerify
from shared.storage.once import Once
from shared.storage.ports import Messages, Objects, Ports, Rows, Vault
from shared.storage.rows.failing import Failures
from shared.storage.rows.registries import (
    READ_LOCKS,
    Grace,
    Policies,
    RegistryRecord,
    RegistryRecords,
)
from shared.storage.rows.written import Written, lost
from shared.storage.stores import Stores
from shared.wire.request import host

if TYPE_CHECKING:
    from shared.assembly.delivering import Outside
    from shared.model.outbound.posting import Poster
    from shared.storage.messages.delivering import ToDeliver

_KEPT_SECONDS = 60
_BODIES_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a worker knows of a registry, and when it asked for it."""

    asked: float
    record: RegistryRecord
    master_keys: MasterKeys
    registry: Registry


class Registries:
    """The registries that this process serves, and who sees to the messages of all of them."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports
        self.master_keys = master_keys_of(settings, ports)
        self._records = RegistryRecords(ports.rows, ports.beside, self.master_keys)
        self._written = Written(ports.beside, ports.objects)
        messages, failures = LateMessages(ports.messages, now, new_id), Failures(ports.rows)
        self.sleepers = Sleepers(messages, failures, now)
        self.retries = Retries(messages, failures, now)
        self.arrivals = Arrivals(messages, self.retries, self.verify)
        self.poison = Poison(messages, self.retries, failures, now)
        self.failing = FailingLetters(messages, failures, self.poison, now)
        self._bodies = Bodies(_BODIES_BYTES)
        self._limits = Limits.of(ports.objects)
        self._passwords = Passwords()
        self._kept: dict[str, _Kept] = {}
        self._once: Once[str, Registry] = Once()
        self._jobs: dict[str, tuple[float, Jobs]] = {}
        self._once_jobs: Once[str, Jobs] = Once()
        self._outside: Outside | None = None

    async def at(self, login_server: str) -> Registry:
        """Give the registry behind a login server; raises NameUnknown, StateRefused."""
        name = self._name(login_server)
        kept = self._kept.get(name)
        if kept and _is_known(kept.asked):
            return kept.registry
        return await self._once.do(name, lambda: self._load(name))

    async def jobs(self, generation: str) -> Jobs:
        """Give the services of a registry's generation, whether it is still there or not."""
        kept = self._jobs.get(generation)
        if kept and _is_known(kept[0]):
            return kept[1]
        return await self._once_jobs.do(generation, lambda: self._load_jobs(generation))

    async def _load_jobs(self, generation: str) -> Jobs:
        asked = time.monotonic()
        record = await self._records.of(generation)
        record = await self._with_grace(record) if record else self._fresh(generation)
        jobs = self._open_jobs(record, await self.master_keys.read())
        self._jobs = {name: one for name, one in self._jobs.items() if _is_known(one[0])}
        self._jobs[generation] = asked, jobs
        return jobs

    async def verify(self, asked: ToVerify) -> None:
        """Verify an object, or go on with it."""
        here = await self.jobs(asked.generation)
        await here.verification.go_on(asked)

    async def sweep(self) -> None:
        """Go on with the sweep of all registries, for some minutes at the most."""
        records = [await self._with_grace(record) for record in await self._records.all()]
        await go_on([jobs.sweep for jobs in await self._open_all(records)], time.monotonic)

    async def scrub(self) -> None:
        """Go on with the scrub of each registry, for some minutes at the most."""
        scrubs = [jobs.scrub for jobs in await self._open_all(await self._records.all())]
        await tick_all(scrubs, time.monotonic, int(now().timestamp()) // 3_600)

    async def deliver(self, asked: "ToDeliver") -> None:
        """Do what a message of the queue `deliveries` asks for."""
        from shared.assembly.delivering import Outside, tasks_of  # noqa: PLC0415 - no request needs it

        here = await self.jobs(asked.generation)
        if self._outside is None:
            self._outside = Outside(open_poster(self._settings))
        await tasks_of(here, self._outside).do(asked)

    async def tend(self) -> None:
        """See to the webhooks of each registry, for some minutes at the most."""
        from shared.assembly.delivering import tending_of  # noqa: PLC0415 - as above
        from shared.services.webhooks.tending import tend_all  # noqa: PLC0415 - as above

        opened = await self._open_all(await self._records.all())
        tendings = [tending_of(self._settings, jobs.stores) for jobs in opened]
        await tend_all(tendings, time.monotonic)

    async def _open_all(self, records: Sequence[RegistryRecord]) -> Sequence[Jobs]:
        if not records:  # storage that is new
            return []
        master_keys = await self.master_keys.read()
        return [self._open_jobs(record, master_keys) for record in records]

    def _open_jobs(self, record: RegistryRecord, master_keys: MasterKeys) -> Jobs:
        reads_all = replace(record, flags=frozenset())
        host = self._login_server(record) or record.name
        stores = self._stores(reads_all, self._ports.rows)
        return jobs_of(self._settings, master_keys, record, stores, host)

    def stores(self, record: RegistryRecord) -> Stores:
        """Give the stores of a registry's generation for work on its rows."""
        return self._stores(record, self._ports.rows)

    def _name(self, login_server: str) -> str:
        settings = self._settings
        domain = f".{settings.root_domain}"
        host_name = host_of(login_server)
        is_default = not settings.root_domain or host_name == host_of(settings.login_server)
        if is_default or not host_name.endswith(domain):
            return settings.registry_name
        return host_name.removesuffix(domain)

    def _login_server(self, record: RegistryRecord) -> str:
        settings = self._settings
        if settings.login_server and record.name == settings.registry_name:
            return settings.login_server
        by_name = f"{record.name}.{settings.root_domain}" if settings.root_domain else ""
        return record.login_server or by_name

    async def _load(self, name: str) -> Registry:
        asked = time.monotonic()
        record, master_keys = await self._record(name), await self.master_keys.read()
        kept = self._kept.get(name)
        is_same = kept and (kept.record, kept.master_keys) == (record, master_keys)
        registry = kept.registry if kept and is_same else await self._open(record, master_keys)
        self._kept[name] = _Kept(asked, record, master_keys, registry)
        return registry

    async def _record(self, name: str) -> RegistryRecord:
        record = await self._records.find(name)
        if record is None and name == self._settings.registry_name:
            record = await self._create(name)
        if record and not record.signing_keys:  # lost: whoever has a token logs in again
            await self._records.rotate(record, now())
            record = await self._records.find(name)
        if record is None:
            raise NameUnknown(f"there is no registry {name!r} here")
        return await self._with_grace(record)

    async def _create(self, name: str) -> RegistryRecord | None:
        """Make the registry, unless it was there; raises StateRefused."""
        if not await self._written.is_lost(name):
            await self._records.create(self._fresh(new_id()), now())
        elif await self._records.find(name) is None:  # nobody made it meanwhile
            raise lost(name)
        return await self._records.find(name)

    def _fresh(self, generation: str) -> RegistryRecord:
        """Give a registry as the settings want a new one."""
        settings = self._settings
        return RegistryRecord(
            settings.registry_name,
            generation,
            (),
            policies=Policies(settings.soft_delete_days),
            grace=Grace(settings.grace),
        )

    async def _with_grace(self, record: RegistryRecord) -> RegistryRecord:
        """Keep which grace period the settings say, and since when, where that has changed."""
        span, moment = self._settings.grace, now()
        if record.grace.span == span:
            return record

        def change(there: RegistryRecord) -> RegistryRecord:
            return replace(there, grace=there.grace.changed(span, moment))

        await self._records.change(record.name, record.generation, change, moment)
        return change(record)

    async def _check(self, name: str, generation: str) -> None:
        """Raise Unavailable where a registry is another by now; read it, if that is not known."""
        kept = self._kept.get(name)
        if kept is None or not _is_known(kept.asked):
            await self._once.do(name, lambda: self._load(name))
            kept = self._kept[name]
        if kept.record.generation != generation:
            raise Unavailable(f"registry {name} was made anew meanwhile: log in, and repeat it")

    async def _open(self, record: RegistryRecord, master_keys: MasterKeys) -> Registry:
        settings = self._settings
        stores = self._stores(record, self._standing(record))
        accounts = Accounts(self._ports.rows, record.generation, self._passwords, new_id)
        if record.name == settings.registry_name and settings.admin_password:
            await accounts.create(record.name, settings.admin_password)
        parts = Parts(
            record=record,
            master_keys=master_keys,
            login_server=self._login_server(record),
            stores=stores,
            accounts=accounts,
            limits=self._limits,
            note_read_locks=lambda: self._note_read_locks(record),
        )
        return registry_of(settings, parts)

    async def _note_read_locks(self, record: RegistryRecord) -> None:
        """Let every process know, within a minute, that something may not be read."""

        def change(there: RegistryRecord) -> RegistryRecord:
            return replace(there, flags=there.flags | {READ_LOCKS})

        await self._records.change(record.name, record.generation, change, now())

    def _standing(self, record: RegistryRecord) -> Rows:
        return StandingRows(self._ports.rows, lambda: self._check(record.name, record.generation))

    def _stores(self, record: RegistryRecord, rows: Rows) -> Stores:
        return Stores.over(
            rows,
            self._ports.objects,
            self._ports.messages,
            record.generation,
            beside=self._ports.beside,
            bodies=self._bodies,
            clock=now,
            new_id=new_id,
            pause=pause,
            flags=record.flags,
            policies=record.policies,
        )


def _is_known(asked: float) -> bool:
    return time.monotonic() - asked < _KEPT_SECONDS


def master_keys_of(settings: Settings, ports: Ports) -> MasterKeySource:
    """Give where the master keys come from; nobody is asked for them yet."""
    if not settings.key_vault_key:
        return GivenKey(settings.master_key)
    return KeptKeys(ports, signing_of(settings), now)


def signing_of(settings: Settings) -> Signing:
    """Give what signs the master keys that are kept in the account of the settings."""
    return Signing(open_vault(settings), account_name(settings.storage))


def open_vault(settings: Settings) -> Vault:
    """Give the vault of the settings, where we are who we are in storage."""
    from shared.storage.azure.vaults import AzureVault  # noqa: PLC0415 - few processes have one

    return AzureVault.of(settings.key_vault_key, settings.storage)


def open_poster(settings: Settings) -> "Poster":
    """Give the only way out."""
    from shared.outbound.posting import Outbound  # noqa: PLC0415 - loaded with the first delivery

    return Outbound(settings.outbound_allowed, settings.outbound_proxy)


def open_ports(parts: Mapping[str, str]) -> tuple[Rows, Objects, Messages, Objects]:
    """Give the ports of the storage account in the settings.

    Their libraries are loaded when the first request comes, and not while the host waits for the
    list of our functions.
    """
    from shared.storage.azure import connections  # noqa: PLC0415 - a third of a start

    return connections.open_ports(parts)


def opened_ports(
    parts: Mapping[str, str],
) -> AbstractAsyncContextManager[tuple[Rows, Objects, Messages, Objects]]:
    """Give the same for a while."""
    from shared.storage.azure import connections  # noqa: PLC0415 - as above

    return connections.opened_ports(parts)


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
    settings = read_settings()
    rows, objects, messages, beside = prepared(*open_ports(settings.storage))
    return Registries(settings, Ports(SharedRows(rows), objects, messages, beside))
