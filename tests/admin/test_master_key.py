"""What is done to a master key that a vault wraps, over memory."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from infra.admin.groups import master_key as module
from shared import administration, bootstrap
from shared.assembly.webhooks import registering_of
from shared.services.webhooks.configuration.registering import Wish
from shared.settings import Settings
from shared.storage import ages, keys
from shared.storage.master_key.document import State
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Ports
from tests.admin.conftest import Run
from tests.support.app import MASTER_KEY, NAME, Memory
from tests.support.clock import Clock
from tests.support.master_keys import key_object
from tests.support.webhooks import ScriptedPoster


@pytest.fixture
def vault(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> MemoryVault:
    made = MemoryVault()
    del environment["REGISTRY_MASTER_KEY"]
    environment["REGISTRY_KEY_VAULT_KEY"] = made.key
    monkeypatch.setattr(bootstrap, "open_vault", lambda _: made)
    return made


@pytest.fixture
def waits(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long commands have waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock.move(seconds=seconds)

    monkeypatch.setattr(administration, "sleep", sleep)
    return waited


@pytest.fixture
def made(
    vault: MemoryVault, waits: list[float], memory: Memory, environment: dict[str, str]
) -> None:
    """A registry with a webhook, whose master key the app has made."""

    async def make() -> None:
        await memory.prepare()
        here = bootstrap.Registries(Settings.from_env(environment), Ports(*memory.ports()))
        found = await here.at("registry.test")
        jobs = await here.jobs(found.generation)
        webhooks = registering_of(jobs.master_keys, jobs.stores, ScriptedPoster())
        await webhooks.create("hooka", Wish(uri="https://hook.example/x", secret="a secret"))

    asyncio.run(make())


def document(memory: Memory, vault: MemoryVault) -> Any:
    async def read() -> Any:
        found = await key_object(memory.beside, vault).find()
        assert found
        return found.document

    return asyncio.run(read())


def test_it_is_shown_and_never_itself(
    made: None, run: Run, memory: Memory, vault: MemoryVault
) -> None:
    (key,) = document(memory, vault).keys
    text = asyncio.run(vault.unwrap(key.wrapped)).decode()
    shown = run("master-key", "show")
    assert shown.exit_code == 0, shown.output
    for part in (
        f"wrapped and signed with {vault.key}",
        key.id,
        key.wrapped.version,
        "current",
        "seals",
    ):
        assert part in shown.output
    asked = run("-o", "json", "master-key", "show")
    (said,) = json.loads(asked.stdout)["keys"]
    assert (said["id"], said["vault_version"]) == (key.id, key.wrapped.version)
    assert text not in shown.output + asked.output


def test_it_is_rotated_and_wrapped_with_the_newest_version(
    made: None, run: Run, memory: Memory, vault: MemoryVault, waits: list[float]
) -> None:
    (old,) = document(memory, vault).keys
    version = vault.renew()
    done = run("-o", "json", "master-key", "rotate")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["sealed"], said["removed"]) == (2, [])
    assert [(it.id, it.state) for it in document(memory, vault).keys] == [
        (old.id, State.OPENING),
        (said["current"], State.CURRENT),
    ]
    assert {it.wrapped.version for it in document(memory, vault).keys} == {version}
    assert waits == [(timedelta(seconds=60) + 2 * ages.L).total_seconds()]
    assert "are needed for another 7 days" in run("master-key", "show").output
    assert run("webhook", "show", "hooka", "--callback").exit_code == 0


def test_a_rotation_after_uploads_have_ended_removes_the_key_before(
    made: None, run: Run, memory: Memory, vault: MemoryVault, clock: Clock
) -> None:
    (old,) = document(memory, vault).keys
    assert run("master-key", "rotate").exit_code == 0
    clock.move(days=7, hours=1)
    done = run("master-key", "rotate")
    assert "1 older keys are removed" in done.output
    assert old.id not in {it.id for it in document(memory, vault).keys}


def test_what_cannot_be_sealed_anew_is_listed(made: None, run: Run, memory: Memory) -> None:
    async def spoil() -> None:
        for group in memory.rows._tables[keys.WEBHOOKS].values():
            for key, row in group.items():
                group[key] = type(row)(key, {**row.values, "sealed": b"other"}, row.etag)

    asyncio.run(spoil())
    done = run("master-key", "rotate")
    assert (done.exit_code, "cannot be opened with any master key" in done.output) == (1, True)
    assert "hooka" in done.output


def test_one_from_the_settings_is_left_to_them(registry: None, run: Run) -> None:
    for command in (["rotate"], ["show"], ["replace", "--yes"]):
        done = run("master-key", *command)
        assert done.exit_code == 1
        assert done.stderr.startswith("admin: REGISTRY_MASTER_KEY gives the master key here")


def test_in_storage_without_one_there_is_none(vault: MemoryVault, run: Run, memory: Memory) -> None:
    asyncio.run(memory.prepare())
    for command in ("show", "rotate", "adopt"):
        done = run("master-key", command)
        assert (done.exit_code, "there is no master key in this storage" in done.stderr) == (
            1,
            True,
        )
    assert vault.calls == []


def test_one_that_somebody_has_planted_is_told_by_every_command(
    made: None, run: Run, memory: Memory, vault: MemoryVault
) -> None:
    async def plant() -> None:
        etag = await key_object(memory.beside).etag()
        body = b"".join([piece async for piece in memory.beside.read(keys.MASTER_KEY)])
        other = json.loads(body)["payload"][::-1]
        planted = json.dumps({**json.loads(body), "payload": other}).encode()
        await memory.beside.replace(keys.MASTER_KEY, planted, etag)

    asyncio.run(plant())
    for command in ("show", "rotate", "adopt", "replace"):
        done = run("master-key", command)
        assert (done.exit_code, "somebody else has written it" in done.stderr) == (1, True)


def test_one_of_the_account_that_content_came_from_is_taken_over(
    made: None, run: Run, memory: Memory, vault: MemoryVault, environment: dict[str, str]
) -> None:
    (key,) = document(memory, vault).keys
    del environment["AzureWebJobsStorage"]
    environment["AzureWebJobsStorage__accountName"] = "here"
    there = run("master-key", "adopt")
    assert (there.exit_code, "say --yes" in there.stderr) == (1, True), there.stderr
    assert "written for the storage account" in run("master-key", "show").stderr
    assert "is taken over" in run("master-key", "adopt", "--yes").output
    shown = json.loads(run("-o", "json", "master-key", "show").stdout)
    assert (shown["account"], shown["keys"][0]["id"]) == ("here", key.id)
    again = run("master-key", "adopt", "--yes")
    assert (again.exit_code, "of this storage account already" in again.stderr) == (1, True)


def test_one_that_is_there_is_not_replaced(
    made: None, run: Run, memory: Memory, vault: MemoryVault
) -> None:
    before = document(memory, vault)
    done = run("master-key", "replace", "--yes")
    assert (done.exit_code, "the master key is not lost" in done.stderr) == (1, True)
    assert document(memory, vault) == before


def test_one_that_is_lost_is_replaced_once_the_cost_is_known(
    made: None, run: Run, memory: Memory, vault: MemoryVault
) -> None:
    vault._versions.clear()
    vault.renew()
    refused = run("master-key", "replace")
    assert (refused.exit_code, "is not there" in refused.stderr) == (1, True)
    assert "log everybody out" in refused.stderr
    done = run("-o", "json", "master-key", "replace", "--yes")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["signing_keys_removed"], said["webhooks_unreadable"]) == (1, ["hooka"])
    assert said["current"] == document(memory, vault).current.id
    given = ("--uri", "https://hook.example/x", "--secret", "another secret")
    assert run("webhook", "update", "hooka", *given).exit_code == 0
    assert run("webhook", "show", "hooka", "--callback").exit_code == 0


def test_a_vault_that_fails_is_one_line(made: None, run: Run, vault: MemoryVault) -> None:
    vault.trouble = "the vault is closed: open it"
    done = run("master-key", "rotate")
    assert (done.exit_code, done.stderr) == (1, "admin: the vault is closed: open it\n")


def test_the_data_of_a_make_run_has_its_own(
    vault: MemoryVault, run: Run, memory: Memory, tmp_path: Any
) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"master_key": MASTER_KEY}))
    asyncio.run(memory.prepare())
    asyncio.run(memory.keep_registry(NAME))
    done = run("--data", str(tmp_path), "signing-key", "rotate")
    assert done.exit_code == 0, done.output
    assert "REGISTRY_MASTER_KEY gives" in run("--data", str(tmp_path), "master-key", "show").stderr


def test_every_state_is_told() -> None:
    assert set(module._USES) == set(State)
