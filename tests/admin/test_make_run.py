"""What `make run` asks of the storage before it starts, over memory."""

from pathlib import Path

import pytest

from infra.devhost import settings as host_settings
from infra.local import stored
from tests.admin.test_accounts import accounts, ask
from tests.support.app import NAME, PASSWORD, Memory


def test_make_run_knows_whether_a_password_logs_in(registry: None, memory: Memory) -> None:
    assert stored.is_password(NAME, PASSWORD)
    assert not stored.is_password(NAME, "another")
    assert stored.is_password("other", "will be created")
    ask(accounts(memory).disable(NAME))
    assert not stored.is_password(NAME, PASSWORD)


def test_make_run_does_not_start_on_state_that_is_refused(registry: None, memory: Memory) -> None:
    ask(memory.keep_registry(layout=2))
    with pytest.raises(host_settings.StartError, match="deploy the version of the app that wrote"):
        stored.is_password(NAME, PASSWORD)


def test_make_run_names_the_command(tmp_path: Path) -> None:
    named = stored.command_line(tmp_path, NAME)
    assert named == (
        f".venv/bin/python -m infra.admin --data {tmp_path} admin-user password --registry registry"
    )
