"""Operators' commands, over memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.admin import opening
from infra.admin.commands import app
from infra.devhost import settings as host_settings
from infra.local import stored
from shared import bootstrap
from shared.auth import passwords
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from tests.support.app import GENERATION, MASTER_KEY, NAME, PASSWORD, Memory

type Run = Callable[..., Result]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, memory: Memory) -> dict[str, str]:
    """The app's settings, and memory behind them."""

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[object]:
        yield memory.ports()

    @contextmanager
    def started(_: Path) -> Iterator[str]:
        yield "memory"

    env = {
        "AzureWebJobsStorage": "memory",
        "REGISTRY_MASTER_KEY": MASTER_KEY,
        "REGISTRY_NAME": NAME,
    }
    for module in (opening, host_settings, stored):
        monkeypatch.setattr(module, "ENVIRONMENT", env)
    monkeypatch.setattr(bootstrap, "opened_ports", opened)
    monkeypatch.setattr(opening, "_storage", started)
    monkeypatch.setitem(passwords._COST, "n", 2)
    return env


@pytest.fixture
def registry(environment: dict[str, str], worker: None, memory: Memory) -> None:
    async def make() -> None:
        await memory.prepare()
        await memory.keep_registry()
        await Accounts(memory.rows, GENERATION, Passwords(), bootstrap.new_id).create(
            NAME, PASSWORD
        )

    asyncio.run(make())


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def command(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(app, arguments, input=typed)

    return command
