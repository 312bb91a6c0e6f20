import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared import bootstrap
from shared.auth.accounts import Accounts
from shared.auth.gate import Credentials
from shared.auth.issuer import Asked
from shared.auth.passwords import Passwords
from shared.auth.scopes import Action
from shared.errors import NameUnknown, Unauthorized
from shared.errors import Unavailable as Refused
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Delete, Put, Row, Unavailable
from shared.storage.rows import signing_keys
from shared.storage.rows.registries import (
    Grace,
    LayoutRefused,
    MasterKeyWrong,
    Policies,
    RegistryRecords,
    StateRefused,
)
from tests.support.app import GENERATION, MASTER_KEYS, NAME, PASSWORD, Memory
from tests.support.clock import Clock

SERVER = "registry.test"


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopwatch]:
    made = Stopwatch()
    monkeypatch.setattr(time, "monotonic", made)
    yield made
    monkeypatch.undo()


async def store(memory: Memory, **values: str | int) -> None:
    await memory.prepare()
    await memory.keep_registry(NAME, **values)


def test_time_is_in_utc_and_ids_are_never_the_same() -> None:
    assert bootstrap.now().utcoffset() == timedelta()
    ids = {bootstrap.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(bytes.fromhex(each)) == 16 for each in ids)


async def test_the_first_request_makes_the_stores_and_the_registry(
    environment: None, memory: Memory
) -> None:
    here = await bootstrap.registries().at(SERVER)
    row = await memory.rows.get(keys.REGISTRIES, keys.REGISTRY_PARTITION, NAME)
    assert row
    assert row.values["generation"] == here.generation
    await memory.messages.send(keys.EVENTS, "")
    assert await memory.objects.facts("x") is None


async def test_the_admin_has_the_password_of_the_settings(
    environment: None, memory: Memory
) -> None:
    await store(memory)
    here = await bootstrap.registries().at(SERVER)
    caller = await here.gate.log_in(NAME, PASSWORD, SERVER)
    assert caller
    assert Action.DELETE in caller.actions


@pytest.mark.parametrize("settings", [{"ADMIN_PASSWORD": ""}], indirect=True)
async def test_without_a_password_there_is_no_admin(environment: None, memory: Memory) -> None:
    await store(memory)
    here = await bootstrap.registries().at(SERVER)
    assert await here.gate.log_in(NAME, "", SERVER) is None


async def test_a_registry_is_kept_for_a_minute(
    environment: None, memory: Memory, stopwatch: Stopwatch
) -> None:
    await store(memory)
    kept = bootstrap.registries()
    first = await kept.at(SERVER)
    stopwatch.seconds += 61
    assert await kept.at(SERVER) is first  # the same generation
    await store(memory, generation="new")
    stopwatch.seconds += 59
    assert await kept.at(SERVER) is first
    stopwatch.seconds += 2
    assert (await kept.at(SERVER)).generation == "new"


async def test_a_registry_made_anew_sees_nothing_of_the_one_before(
    environment: None, memory: Memory, stopwatch: Stopwatch
) -> None:
    await store(memory)
    kept = bootstrap.registries()
    first = await kept.at(SERVER)
    await first.stores.index.add(RepositoryName("a"))
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [Delete(NAME)])
    stopwatch.seconds += 61
    second = await kept.at(SERVER)
    assert second.generation != first.generation
    assert await second.stores.index.page("", 10) == []


@dataclass
class Opened:
    """Counts the keys that are opened, which takes a while as it does in life."""

    count: int = 0

    def __call__(self, sealed: bytes, password: bytes) -> PrivateKeyTypes:
        self.count += 1
        time.sleep(0.01)
        return load_pem_private_key(sealed, password)


@pytest.fixture
def opened(environment: None, monkeypatch: pytest.MonkeyPatch) -> Opened:
    counting = Opened()
    monkeypatch.setattr(signing_keys, "load_pem_private_key", counting)
    return counting


async def at_once(requests: int) -> set[int]:
    here = bootstrap.registries()
    found = await asyncio.gather(*(here.at(SERVER) for _ in range(requests)))
    return {id(one) for one in found}


async def test_200_requests_at_a_cold_start_open_one_key(
    memory: Memory, opened: Opened, scans: list[str]
) -> None:
    await store(memory)
    assert len(await at_once(200)) == 1
    assert opened.count == 1
    assert len(scans) == 1


async def test_a_minute_later_they_read_once_and_open_none(
    memory: Memory, opened: Opened, scans: list[str], stopwatch: Stopwatch
) -> None:
    await store(memory)
    first = await at_once(1)
    for _ in range(3):
        stopwatch.seconds += 61
        assert await at_once(200) == first
    assert opened.count == 1
    assert len(scans) == 4


async def test_a_failed_start_is_tried_again(
    memory: Memory, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(memory)
    with monkeypatch.context() as patch:
        patch.setattr(memory.rows, "scan", _down)
        with pytest.raises(Unavailable):
            await at_once(200)
    assert len(await at_once(200)) == 1


async def _down(*_: object, **__: object) -> list[Row]:
    await asyncio.sleep(0)
    raise Unavailable("the table service")


@pytest.fixture
def scans(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The partitions that are read as a range."""
    read: list[str] = []
    scan = memory.rows.scan

    async def counted(table: str, partition: str, **range_: Any) -> list[Row]:
        read.append(partition)
        await asyncio.sleep(0)
        return await scan(table, partition, **range_)

    monkeypatch.setattr(memory.rows, "scan", counted)
    return read


async def test_another_signing_key_reaches_a_warm_worker_within_a_minute(
    environment: None, memory: Memory, stopwatch: Stopwatch, clock: Clock
) -> None:
    await store(memory)
    kept = bootstrap.registries()
    first = await kept.at(SERVER)
    asked = Asked("password", "", (), NAME, PASSWORD)
    before = (await first.issuer.issue(asked, SERVER))["access_token"]

    records = RegistryRecords(memory.rows, memory.beside, MASTER_KEYS)
    record = await records.find(NAME)
    assert record
    kid = await records.rotate(record, clock())
    stopwatch.seconds += 61
    second = await kept.at(SERVER)
    clock.move(minutes=2)
    after = (await second.issuer.issue(asked, SERVER))["access_token"]

    assert jwt.get_unverified_header(str(after))["kid"] == kid
    for token in (before, after):
        await second.gate.admit_known(Credentials(f"Bearer {token}", SERVER, "https"))
    await memory.rows.commit(
        keys.REGISTRIES, keys.signing_keys(GENERATION), [Delete(record.signing_keys[0].kid)]
    )
    stopwatch.seconds += 61
    third = await kept.at(SERVER)
    await third.gate.admit_known(Credentials(f"Bearer {after}", SERVER, "https"))
    with pytest.raises(Unauthorized, match="not signed with this registry's key"):
        await third.gate.admit_known(Credentials(f"Bearer {before}", SERVER, "https"))


async def test_a_registry_whose_keys_are_lost_gets_another(
    environment: None, memory: Memory
) -> None:
    await store(memory)
    del memory.rows._tables[keys.REGISTRIES][keys.signing_keys(GENERATION)]
    assert await bootstrap.registries().at(SERVER)
    assert len(memory.rows._tables[keys.REGISTRIES][keys.signing_keys(GENERATION)]) == 1


async def test_a_registry_whose_row_is_lost_is_not_made_anew(
    environment: None, memory: Memory
) -> None:
    await store(memory)
    await memory.objects.put(keys.object_name(GENERATION, "0" * 32), b"bytes", {})
    del memory.rows._tables[keys.REGISTRIES]
    for _ in range(2):
        with pytest.raises(StateRefused, match=r"row of registry .* infra\.admin rebuild"):
            await bootstrap.registries().at(SERVER)
    assert not memory.rows._tables[keys.REGISTRIES].get(keys.REGISTRY_PARTITION)


async def test_a_registry_that_another_makes_meanwhile_is_not_lost(
    environment: None, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(memory)
    await memory.objects.put(keys.object_name(GENERATION, "0" * 32), b"bytes", {})
    rows = memory.rows._tables[keys.REGISTRIES].pop(keys.REGISTRY_PARTITION)
    page = memory.beside.page

    async def overtaken(*arguments: Any) -> Any:
        memory.rows._tables[keys.REGISTRIES][keys.REGISTRY_PARTITION] = rows
        return await page(*arguments)

    monkeypatch.setattr(memory.beside, "page", overtaken)
    assert await bootstrap.registries().at(SERVER)


@pytest.mark.parametrize("layout", [2, 0, -1, "1"])
async def test_state_of_another_layout_is_refused(
    environment: None, memory: Memory, layout: int | str
) -> None:
    await store(memory, layout=layout)
    with pytest.raises(LayoutRefused, match=r"version .* reads 1: deploy the version"):
        await bootstrap.registries().at(SERVER)


async def test_state_without_a_layout_is_refused(environment: None, memory: Memory) -> None:
    await memory.prepare()
    old = Put(NAME, {"generation": GENERATION, "signing_key": b""})
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [old])
    with pytest.raises(
        LayoutRefused, match=r"older than version 1 .* start with a storage account"
    ):
        await bootstrap.registries().at(SERVER)


@pytest.mark.parametrize(
    ("settings", "days"), [({}, 7), ({"SOFT_DELETE_DAYS": "0"}, 0)], indirect=["settings"]
)
async def test_a_new_registry_takes_its_policies_from_the_settings(
    environment: None, memory: Memory, days: int
) -> None:
    await bootstrap.registries().at(SERVER)
    made = await RegistryRecords(memory.rows, memory.beside, MASTER_KEYS).find(NAME)
    assert made
    assert made.policies.soft_delete_days == days


@pytest.mark.parametrize("settings", [{"ADMIN_PASSWORD": "another"}], indirect=True)
async def test_the_setting_changes_no_password(environment: None, memory: Memory) -> None:
    await store(memory)
    accounts = Accounts(memory.rows, GENERATION, Passwords(), bootstrap.new_id)
    await accounts.create(NAME, PASSWORD)
    here = await bootstrap.registries().at(SERVER)
    assert await here.gate.log_in(NAME, "another", SERVER) is None
    assert await here.gate.log_in(NAME, PASSWORD, SERVER)


@pytest.mark.parametrize("settings", [{"ROOT_DOMAIN": "registries.test"}], indirect=True)
async def test_a_registry_that_is_not_there_is_unknown(environment: None, memory: Memory) -> None:
    await store(memory)
    with pytest.raises(NameUnknown, match="no registry 'other' here"):
        await bootstrap.registries().at("other.registries.test")


@pytest.mark.parametrize(
    "settings", [{"MASTER_KEY": "another master key, as long as the first one"}], indirect=True
)
async def test_another_master_key_is_told_so(environment: None, memory: Memory) -> None:
    await store(memory)
    with pytest.raises(MasterKeyWrong, match=f"REGISTRY_MASTER_KEY .*{NAME}"):
        await bootstrap.registries().at(SERVER)


HUB = {"ROOT_DOMAIN": "registries.test", "LOGIN_SERVER": "hub.registries.test:8443"}


@pytest.mark.parametrize(
    ("settings", "asked", "login_server"),
    [
        ({}, SERVER, ""),
        ({"LOGIN_SERVER": "reg.example"}, SERVER, "reg.example"),
        ({"ROOT_DOMAIN": "registries.test"}, SERVER, f"{NAME}.registries.test"),
        ({"ROOT_DOMAIN": "registries.test"}, f"{NAME}.registries.test", f"{NAME}.registries.test"),
        (HUB, "hub.registries.test:8443", "hub.registries.test:8443"),
        (HUB, "hub.registries.test", "hub.registries.test:8443"),
        (HUB, f"{NAME}.registries.test", "hub.registries.test:8443"),
        (HUB, "other.registries.test", "other.registries.test"),
    ],
    indirect=["settings"],
)
async def test_one_of_its_names_stands_for_a_registry(
    environment: None, memory: Memory, asked: str, login_server: str
) -> None:
    await store(memory)
    await memory.keep_registry("other")
    assert (await bootstrap.registries().at(asked)).login_server == login_server


@pytest.mark.parametrize(
    ("settings", "login_server"),
    [({}, NAME), ({"LOGIN_SERVER": "reg.example"}, "reg.example")],
    indirect=["settings"],
)
async def test_what_runs_behind_requests_knows_that_name_too(
    environment: None, memory: Memory, login_server: str
) -> None:
    await store(memory)
    jobs = await bootstrap.registries().jobs(GENERATION)
    assert jobs.fan_out._login_server == login_server


async def test_rows_are_written_on_a_record_that_is_not_old(
    environment: None, memory: Memory, stopwatch: Stopwatch
) -> None:
    await store(memory)
    here = await bootstrap.registries().at(SERVER)
    stopwatch.seconds += 3_600  # a request that streams
    await here.stores.index.add(RepositoryName("a"))
    stopwatch.seconds += 59
    await store(memory, generation="new")
    await here.stores.index.add(RepositoryName("b"))  # read less than a minute ago
    stopwatch.seconds += 1
    for _ in range(2):
        with pytest.raises(Refused, match=f"{NAME} was made anew meanwhile"):
            await here.stores.index.add(RepositoryName("c"))
    assert await here.stores.index.page("", 10) == ["a", "b"]
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [Delete(NAME)])
    stopwatch.seconds += 61
    with pytest.raises(Refused, match="meanwhile"):
        await here.stores.index.add(RepositoryName("c"))


@pytest.mark.parametrize("settings", [{"ROOT_DOMAIN": "registries.test"}], indirect=True)
async def test_no_rows_are_written_for_a_registry_that_is_gone(
    environment: None, memory: Memory, stopwatch: Stopwatch
) -> None:
    await store(memory)
    await memory.keep_registry("other")
    here = await bootstrap.registries().at("other.registries.test")
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [Delete("other")])
    stopwatch.seconds += 61
    with pytest.raises(NameUnknown):
        await here.stores.index.add(RepositoryName("c"))
    assert await here.stores.index.page("", 10) == []


@pytest.mark.parametrize("settings", [{"SOFT_DELETE_DAYS": "9"}], indirect=True)
async def test_jobs_follow_the_registry_and_not_the_settings(
    environment: None, memory: Memory, stopwatch: Stopwatch
) -> None:
    await store(memory, policies='{"soft_delete_days": 3, "is_write_once": true}')
    registries = bootstrap.registries()
    jobs = await registries.jobs(GENERATION)
    http = await registries.at(SERVER)
    assert jobs.upkeep._manifests._kept == http.manifests._kept == timedelta(days=3)
    assert jobs.upkeep._stores.policies == http.stores.policies == Policies(3, is_write_once=True)
    stopwatch.seconds += 59
    assert await registries.jobs(GENERATION) is jobs
    gone = await registries.jobs("0" * 32)
    assert gone.upkeep._manifests._kept == timedelta(days=9)
    await store(memory, policies='{"soft_delete_days": 4}')
    stopwatch.seconds += 2
    jobs = await registries.jobs(GENERATION)
    assert jobs.upkeep._manifests._kept == timedelta(days=4)
    assert len(registries._jobs) == 2


@pytest.mark.parametrize("settings", [{"GRACE_SECONDS": "600"}], indirect=True)
async def test_the_collector_heeds_a_lower_grace_period_when_the_longer_one_has_passed(
    environment: None, memory: Memory, stopwatch: Stopwatch, clock: Clock
) -> None:
    await store(memory, grace=Grace(timedelta(hours=1)).text())
    registries = bootstrap.registries()

    async def lately() -> timedelta:
        stopwatch.seconds += 61
        await registries.at(SERVER)
        return (await registries.jobs(GENERATION)).garbage._lately

    assert await lately() == timedelta(hours=1) * 3 / 2
    clock.move(minutes=59)
    assert await lately() == timedelta(hours=1) * 3 / 2
    clock.move(minutes=1)
    assert await lately() == timedelta(minutes=10) * 3 / 2


async def test_the_sweep_goes_through_every_registry_of_a_layout_that_is_read(
    environment: None, memory: Memory
) -> None:
    await store(memory)
    await memory.keep_registry("other", generation="8" * 32)
    await memory.keep_registry("newer", generation="7" * 32, layout=99)
    await bootstrap.registries().sweep()
    swept = [name for name in memory.rows._tables[keys.REGISTRIES] if name.startswith("sweep|")]
    assert swept == [keys.sweep("8" * 32), keys.sweep(GENERATION)]


async def test_an_idle_tick_of_the_sweep_is_two_calls(
    environment: None, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(memory, grace=Grace(timedelta(days=1)).text())
    await bootstrap.registries().sweep()
    calls: list[str] = []
    for name in ("get", "scan", "page", "commit"):
        original = getattr(memory.rows, name)
        monkeypatch.setattr(memory.rows, name, _counted(calls, name, original))
    await bootstrap.registries().sweep()
    assert calls == ["scan", "scan"]


def _counted(calls: list[str], name: str, original: Callable[..., object]) -> Callable[..., object]:
    def counted(*arguments: object, **options: object) -> object:
        calls.append(name)
        return original(*arguments, **options)

    return counted


async def test_the_collector_itself_notes_that_the_setting_is_lower(
    environment: None, memory: Memory, clock: Clock
) -> None:
    await store(memory, grace=Grace(timedelta(days=30)).text())
    jobs = await bootstrap.registries().jobs(GENERATION)
    assert jobs.garbage._lately == timedelta(days=45)
    record = await RegistryRecords(memory.rows, memory.beside, MASTER_KEYS).of(GENERATION)
    assert record
    assert record.grace == Grace(
        timedelta(days=1), timedelta(days=30), clock() + timedelta(days=30)
    )


async def test_jobs_refuse_state_of_another_layout(environment: None, memory: Memory) -> None:
    await store(memory, layout=2)
    with pytest.raises(LayoutRefused):
        await bootstrap.registries().jobs(GENERATION)
