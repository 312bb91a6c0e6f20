"""Administration: what operators' commands work with, put together for as long as one takes.

Functions need none of it: here are the libraries of all that they do not do.
"""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import cast

from shared import bootstrap
from shared.assembly.jobs import Jobs
from shared.assembly.recovery import recovery_of
from shared.assembly.webhooks import registering_of, seal_of
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from shared.bootstrap import Registries
from shared.services.letters.failing import FailingLetters
from shared.services.master_key.rotation import Rotation
from shared.services.master_key.sealing import Sealing
from shared.services.rebuild.recovery import Recovery
from shared.services.webhooks.configuration.registering import Registering
from shared.services.webhooks.replaying import Replays
from shared.settings import Settings
from shared.storage import keys
from shared.storage.halt import Halt
from shared.storage.memory.imagined import ImaginedObjects, ImaginedRows
from shared.storage.memory.messages import MemoryMessages
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Messages, NotPrepared, Objects, Ports, Rows
from shared.storage.rows.registries import RegistryRecord, RegistryRecords
from shared.storage.rows.written import Written, lost


@dataclass(frozen=True, slots=True)
class Administration:
    """What operators' commands work with: a registry's record, accounts, webhooks and jobs.

    And what is common to all registries of its storage: the halt, and the letters that fail.
    """

    records: RegistryRecords
    record: RegistryRecord
    accounts: Accounts
    halt: Halt
    jobs: Jobs
    failing: FailingLetters
    webhooks: Registering
    replays: Replays


@asynccontextmanager
async def administration(settings: Settings, name: str) -> AsyncIterator[Administration | None]:
    """Open a registry for one command; None where there is none; raises StateRefused.

    Its grace period is the one that the app has given it, whatever the command's settings say.
    """
    async with bootstrap.opened_ports(settings.storage) as (rows, objects, messages, beside):
        ports = Ports(rows, objects, messages, beside)
        master_keys = bootstrap.master_keys_of(settings, ports)
        records = RegistryRecords(rows, beside, master_keys)
        try:
            record = await records.find(name)
        except NotPrepared:
            record = None
        if record is None:
            await _check_lost(Written(beside, objects), name)
            yield None
        else:
            accounts = Accounts(rows, record.generation, Passwords(), bootstrap.new_id)
            same = replace(settings, grace=record.grace.span or settings.grace)
            here = Registries(same, ports)
            await rows.prepare([keys.WEBHOOKS])  # apps of before had none, nor the queue
            await messages.prepare([keys.DELIVERIES])
            jobs = await here.jobs(record.generation)
            poster = bootstrap.open_poster(settings)
            yield Administration(
                records=records,
                record=record,
                accounts=accounts,
                halt=Halt(beside),
                jobs=jobs,
                failing=here.failing,
                webhooks=registering_of(jobs.master_keys, jobs.stores, poster),
                replays=Replays(jobs.stores),
            )


async def _check_lost(written: Written, name: str) -> None:
    """Raise StateRefused of a registry whose row is lost; new storage has none."""
    with suppress(NotPrepared):
        if await written.is_lost(name):
            raise lost(name)


@asynccontextmanager
async def recovery(settings: Settings, *, is_dry: bool = False) -> AsyncIterator[Recovery]:
    """Open a storage account for a rebuild of all its registries; a dry one writes nothing."""
    async with bootstrap.opened_ports(settings.storage) as opened:
        ports = _imagined(*opened) if is_dry else Ports(*opened)
        here = Registries(settings, ports)
        yield recovery_of(
            settings,
            here.master_keys,
            ports,
            here.stores,
            rebuild_id=bootstrap.new_id(),
            is_dry=is_dry,
        )


@asynccontextmanager
async def rotation(settings: Settings) -> AsyncIterator[Rotation | None]:
    """Open what replaces the master key in storage; None where the settings give it."""
    if not settings.key_vault_key:
        yield None
        return
    async with bootstrap.opened_ports(settings.storage) as opened:
        ports = Ports(*opened)
        yield Rotation(
            ports,
            bootstrap.signing_of(settings),
            Sealing(ports.rows, seal_of),
            bootstrap.now,
            sleep,
            settings.upload_lifetime,
        )


def _imagined(rows: Rows, objects: Objects, _: Messages, beside: Objects) -> Ports:
    """Give ports that write in memory alone; nothing is put beside the content."""
    kept = cast("Objects", ImaginedObjects(objects))
    return Ports(
        ImaginedRows(rows, MemoryRows(bootstrap.now)), kept, MemoryMessages(bootstrap.now), beside
    )
