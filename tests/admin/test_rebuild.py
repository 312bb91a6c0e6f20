"""rebuild, over memory: what it refuses, and what it says."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from shared import bootstrap
from shared.assembly import recovery as assembly
from shared.services.content.pushes import Pushes
from shared.settings import Settings
from shared.storage import keys
from shared.storage.halt import Halt
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Ports
from shared.storage.rows.registries import RegistryRecord
from tests.admin.conftest import Run
from tests.support.app import GENERATION, MASTER_KEY, NAME, Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import REPOSITORY, hold, image_of, parts


@pytest.fixture
def image(
    registry: None,
    environment: dict[str, str],
    memory: Memory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """An image that is pushed, and large enough to be an object; give its digest."""

    async def sleep(seconds: float) -> None:
        clock.move(seconds=seconds)

    monkeypatch.setattr(bootstrap, "now", clock)
    monkeypatch.setattr(assembly, "asyncio", SimpleNamespace(sleep=sleep))

    async def push() -> str:
        ports = Ports(*memory.ports())
        here = bootstrap.Registries(Settings.from_env(environment), ports)
        stores = here.stores(RegistryRecord(NAME, GENERATION, ()))
        manifest = image_of(parts(2), annotations={"text": "x" * 300_000})
        await hold(stores, *parts(2))
        await Pushes(stores, is_sparse_allowed=False).put(REPOSITORY, manifest, [], by=ME)
        clock.move(minutes=1)
        return str(manifest.digest)

    return asyncio.run(push())


def test_what_is_not_lost_is_left_alone(run: Run, image: str, memory: Memory) -> None:
    before = memory.kept()
    done = run("rebuild")
    assert done.exit_code == 1
    assert "nothing seems to be lost" in done.stderr
    assert "--yes" in done.stderr
    assert memory.kept() == before


def test_with_yes_it_is_done_all_the_same(run: Run, image: str, memory: Memory) -> None:
    before = memory.kept()
    done = run("rebuild", "--yes", "-o", "json")
    assert done.exit_code == 0, done.stderr
    (about,) = json.loads(done.stdout)["registries"]
    assert (about["manifests_known"], about["manifests"]) == (1, [])
    assert memory.kept() == before


def test_what_came_back_is_said(run: Run, image: str, memory: Memory) -> None:
    before = {place for place in memory.kept() if "outbox" not in str(place)}
    memory.rows._tables.clear()

    would = run("-o", "json", "rebuild", "--dry-run")
    assert would.exit_code == 0, would.stderr
    assert memory.rows._tables == {}
    done = run("-o", "json", "rebuild")

    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert {**said, "dry_run": True} == json.loads(would.stdout)
    assert said["lost"] == [f"table {table}" for table in keys.TABLES]
    (about,) = said["registries"]
    assert (about["registry"], about["objects"], about["blobs"]) == (NAME, 3, 2)
    (manifest,) = about["manifests"]
    assert (manifest["digest"], manifest["repository"]) == (image, REPOSITORY)
    assert manifest["why"] == "nothing refers to it"
    assert {*memory.kept()} == before


def test_it_needs_no_master_key(
    run: Run,
    image: str,
    memory: Memory,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vault = MemoryVault(trouble="it is lost for good")
    del environment["REGISTRY_MASTER_KEY"]
    environment["REGISTRY_KEY_VAULT_KEY"] = vault.key
    monkeypatch.setattr(bootstrap, "open_vault", lambda _: vault)
    memory.rows._tables.clear()

    done = run("-o", "json", "rebuild")

    assert done.exit_code == 0, done.stderr
    assert [it["digest"] for it in json.loads(done.stdout)["registries"][0]["manifests"]] == [image]
    assert vault.calls == []


def test_commands_name_it_where_rows_are_lost(run: Run, image: str, memory: Memory) -> None:
    memory.rows._tables.clear()
    done = run("queue", "list")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the row of registry registry is lost" in done.stderr
    assert "python -m infra.admin rebuild" in done.stderr


def test_people_read_tables(run: Run, image: str, memory: Memory) -> None:
    memory.rows._tables.clear()
    asyncio.run(memory.objects.put(f"{GENERATION}/{'0' * 32}", b"?", {}))
    done = run("rebuild")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"lost: {', '.join(f'table {table}' for table in keys.TABLES)}"
    assert lines[1].startswith(f"registry {NAME}: 4 objects, 2 blobs, 2 blobs shown again, 1 ma")
    assert "may have been deleted before" in lines[2]
    assert image in lines[4]
    assert any(line.startswith("blobs are shown again where they were") for line in lines)
    assert "this did not come back:" in lines
    assert any(line.startswith("tags do not come back") for line in lines)
    assert any(line.startswith("webhooks do not come back") for line in lines)


def test_a_dry_run_is_said_to_be_one(run: Run, image: str, memory: Memory) -> None:
    memory.rows._tables.clear()
    done = run("rebuild", "--dry-run")
    assert done.stdout.splitlines()[-1] == "this was a dry run: nothing is written"


def test_storage_without_a_registry_is_told_so(
    run: Run, environment: dict[str, str], memory: Memory
) -> None:
    done = run("rebuild", "--yes")
    assert done.exit_code == 1
    assert done.stderr.startswith("admin: nothing in this storage says")
    assert memory.rows._tables == {}


def test_another_master_key_is_refused(
    run: Run, image: str, environment: dict[str, str], memory: Memory
) -> None:
    environment["REGISTRY_MASTER_KEY"] = MASTER_KEY[::-1]
    before = memory.kept()
    done = run("rebuild", "--yes")
    assert done.exit_code == 1
    assert "REGISTRY_MASTER_KEY is not the one" in done.stderr
    assert memory.kept() == before


def test_another_rebuild_that_keeps_the_halt_is_said(run: Run, image: str, memory: Memory) -> None:
    memory.rows._tables.clear()
    halt = Halt(memory.beside)
    asyncio.run(halt.begin("0" * 32))
    done = run("rebuild")
    assert done.exit_code == 0, done.stderr
    assert "until another rebuild ends, begun 200 seconds ago; if none" in done.stdout
    assert "registry resume" in done.stdout
    assert asyncio.run(halt.age()) is not None

    assert run("registry", "resume").exit_code == 0
    assert asyncio.run(halt.others()) == []
