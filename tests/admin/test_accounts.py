"""What is done to accounts, keys and settings, over memory."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path

import pytest

from shared import bootstrap
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from shared.storage import keys
from shared.storage.halt import Halt
from shared.storage.ports import Unavailable
from shared.storage.rows.registries import RegistryRecord, RegistryRecords
from tests.admin.conftest import Run
from tests.support.app import GENERATION, MASTER_KEY, MASTER_KEYS, NAME, PASSWORD, Memory


def accounts(memory: Memory, generation: str = GENERATION) -> Accounts:
    return Accounts(memory.rows, generation, Passwords(), bootstrap.new_id)


def ask[T](question: Coroutine[object, object, T]) -> T:
    return asyncio.run(question)


def record(memory: Memory) -> RegistryRecord:
    found = ask(RegistryRecords(memory.rows, memory.beside, MASTER_KEYS).find(NAME))
    assert found
    return found


def test_a_password_is_set_from_standard_input(registry: None, run: Run, memory: Memory) -> None:
    done = run("admin-user", "password", typed="another one\n")
    assert done.exit_code == 0, done.output
    assert "the admin user registry has a new password" in done.output
    assert "another one" not in done.output
    assert ask(accounts(memory).log_in(NAME, "another one"))
    assert ask(accounts(memory).log_in(NAME, PASSWORD)) is None


def test_who_is_disabled_comes_back_with_a_new_password(
    registry: None, run: Run, memory: Memory
) -> None:
    done = run("admin-user", "disable")
    assert (done.exit_code, "the admin user registry is disabled" in done.output) == (0, True)
    assert ask(accounts(memory).log_in(NAME, PASSWORD)) is None
    assert run("admin-user", "password", typed="again\n").exit_code == 0
    assert ask(accounts(memory).log_in(NAME, "again"))


def test_another_registry_is_named(registry: None, run: Run, memory: Memory) -> None:
    ask(memory.keep_registry("other", generation="o" * 32))
    done = run("admin-user", "password", "--registry", "other", typed="its own\n")
    assert done.exit_code == 0, done.output
    assert ask(accounts(memory, "o" * 32).log_in("other", "its own"))
    assert ask(accounts(memory).log_in(NAME, PASSWORD))


@pytest.mark.parametrize("typed", ["", "\n", "x" * 1_025 + "\n"])
def test_a_password_that_could_not_log_in_is_refused(
    registry: None, run: Run, memory: Memory, typed: str
) -> None:
    done = run("admin-user", "password", typed=typed)
    assert (done.exit_code, done.stderr) == (1, "admin: a password has 1 to 1024 characters\n")
    assert ask(accounts(memory).log_in(NAME, PASSWORD))


@pytest.mark.parametrize(
    "command",
    [
        "admin-user password",
        "admin-user disable",
        "signing-key rotate",
        "registry resume",
        "registry halt",
    ],
)
def test_help_tells_of_the_registry(run: Run, command: str) -> None:
    told = run(*command.split(), "--help").output
    assert "--registry NAME" in told
    assert "Which registry" in told


def test_a_password_is_no_argument(registry: None, run: Run) -> None:
    assert run("admin-user", "password", "secret").exit_code == 2


def test_a_key_is_rotated(registry: None, run: Run, memory: Memory) -> None:
    (first,) = record(memory).signing_keys
    done = run("signing-key", "rotate")
    assert "0 older ones are removed" in done.output
    kept, second = record(memory).signing_keys
    assert kept.kid == first.kid
    assert second.kid in done.output
    assert "2 older ones are removed" in run("signing-key", "rotate", "--at-once").output
    (third,) = record(memory).signing_keys
    assert third.kid not in {first.kid, second.kid}


def test_what_was_halted_goes_on(registry: None, run: Run, memory: Memory) -> None:
    halt = Halt(memory.beside)
    done = run("registry", "resume")
    assert (done.exit_code, done.stderr) == (1, "admin: nothing was halted in this storage\n")
    ask(halt.put(["blobs"]))
    done = run("registry", "resume")
    assert done.exit_code == 0, done.output
    assert "removed again, in all registries of this storage" in done.output
    assert not ask(halt.is_on())


def test_removal_is_halted_before_tables_are_touched(
    registry: None, run: Run, memory: Memory
) -> None:
    """Even where the registry's own row is lost."""
    halt = Halt(memory.beside)
    done = run("registry", "halt")
    assert done.exit_code == 0, done.output
    assert "nothing is removed any more" in done.output
    assert "200 seconds" in done.output
    assert ask(halt.is_on())
    done = run("registry", "halt")
    assert (done.exit_code, done.stderr) == (
        1,
        "admin: removal is halted in this storage already\n",
    )

    assert run("registry", "resume").exit_code == 0
    memory.rows._tables[keys.REGISTRIES] = {}
    assert run("registry", "halt").exit_code == 0
    assert ask(halt.lost())[:2] == ["registry", "registry"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["admin-user", "disable"], "there is no registry registry in this storage"),
        (["--data", "/nowhere", "admin-user", "disable"], "/nowhere is not the DATA of a make run"),
    ],
)
def test_what_is_not_there_is_one_line(run: Run, arguments: list[str], complaint: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"admin: {complaint}")
    assert done.stderr.count("\n") == 1


def test_an_account_that_is_not_there_is_not_disabled(run: Run, memory: Memory) -> None:
    ask(memory.prepare())
    ask(memory.keep_registry())
    done = run("admin-user", "disable")
    assert (done.exit_code, done.stderr) == (1, "admin: registry registry has no admin user\n")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("REGISTRY_MASTER_KEY", "k" * 40, "REGISTRY_MASTER_KEY is not the one that"),
        ("REGISTRY_MASTER_KEY", "", "REGISTRY_MASTER_KEY must be a secret"),
        ("REGISTRY_NAME", "x", "REGISTRY_NAME='x' must be 5 to 50"),
    ],
)
def test_a_wrong_setting_is_one_line(
    registry: None, run: Run, environment: dict[str, str], name: str, value: str, complaint: str
) -> None:
    environment[name] = value
    done = run("admin-user", "disable")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"admin: {complaint}")
    assert done.stderr.count("\n") == 1


def test_storage_that_is_not_there_is_one_line(
    registry: None,
    run: Run,
    memory: Memory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("row registry: cannot connect")

    monkeypatch.setattr(memory.rows, "get", busy)
    done = run("admin-user", "disable")
    assert (done.exit_code, done.stderr) == (1, "admin: row registry: cannot connect\n")

    kept = {"admin_password": "", "master_key": MASTER_KEY}
    (tmp_path / "secrets.json").write_text(json.dumps(kept))
    done = run("--data", str(tmp_path), "admin-user", "disable")
    assert done.exit_code == 1
    assert done.stderr.endswith(f"cannot connect; does the `make run` of {tmp_path} still run?\n")


def test_a_make_run_is_known_by_its_data(
    registry: None, run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "secrets.json").write_text(
        json.dumps({"admin_password": "", "master_key": MASTER_KEY})
    )
    environment["REGISTRY_MASTER_KEY"] = "of something else, and long enough for it"
    done = run("--data", str(tmp_path), "admin-user", "disable")
    assert done.exit_code == 0, done.output
