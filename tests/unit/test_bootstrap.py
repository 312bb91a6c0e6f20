import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared import bootstrap
from shared.auth.scopes import Action
from shared.errors import NameUnknown
from shared.model.names import RepositoryName
from shared.storage import keys
from shared.storage.ports import Delete, Put
from shared.storage.rows.registries import MasterKeyWrong
from tests.support.app import NAME, PASSWORD, Memory, registry_row

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


async def store(memory: Memory, **values: str | bytes) -> None:
    await memory.prepare()
    row = Put(NAME, {**registry_row().values, **values})
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [row])


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
    other = Put("other", registry_row().values)
    await memory.rows.commit(keys.REGISTRIES, keys.REGISTRY_PARTITION, [other])
    assert (await bootstrap.registries().at(asked)).login_server == login_server
