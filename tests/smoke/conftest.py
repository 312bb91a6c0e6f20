"""The registry on the dev host, and the smoke test run against it or against what stands before."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.admin import opening
from infra.azure.smoke import command, looking
from infra.azure.smoke.asking.wire import PATIENCE, Wire
from infra.azure.smoke.checks import strangers
from infra.devhost import settings as host_settings
from infra.devhost.storage import Azurite
from tests.support.emulators import emulator
from tests.support.hosts import Host, Registry, running, settings_of

HANG_UPS = 20
SCALED = ("--largest", "2MiB", "--slow", "0.5", "--requests", "5", "--wait", "120")
QUICK = ("--largest", "1MiB", "--slow", "0.2", "--requests", "2")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run of the smoke test said."""

    code: int
    document: Mapping[str, Any]

    @property
    def differs(self) -> set[str]:
        return set(self.document["differs"])

    @property
    def not_checked(self) -> set[str]:
        return set(self.document["not_checked"])

    def of(self, check: str) -> str:
        """Give what a check saw."""
        (seen,) = [one["seen"] for one in self.document["checks"] if one["check"] == check]
        return str(seen)


type Run = Callable[..., Seen]


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with emulator("smoke") as azurite:
        yield azurite


@pytest.fixture(scope="session")
def settings(storage: Azurite) -> dict[str, str]:
    return settings_of(storage, REGISTRY_OUTBOUND_ALLOW="127.0.0.0/8")


@pytest.fixture(scope="session")
def served(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Registry]]:
    with running(settings, tmp_path_factory.mktemp("host") / "log") as pair:
        yield pair


@pytest.fixture(scope="session")
def registry(served: tuple[Host, Registry]) -> Registry:
    return served[1]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the command: empty, unless a test puts something there."""
    env: dict[str, str] = {}
    for module in (opening, host_settings, command):
        monkeypatch.setattr(module, "ENVIRONMENT", env)
    monkeypatch.setattr(strangers, "_HANG_UPS", HANG_UPS)
    return env


@pytest.fixture
def run(environment: dict[str, str], registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the smoke test with scaled times, as the admin of the registry."""

    def smoke(
        server: str, *arguments: str, is_plain: bool = True, patience: float = PATIENCE
    ) -> Seen:
        monkeypatch.setattr(looking, "Wire", functools.partial(Wire, patience=patience))
        login = ("--username", registry.user, "--password-stdin")
        plain = ("--plain-http",) if is_plain else ()
        given = (server, *login, *plain, *SCALED, *arguments, "-o", "json")
        result = CliRunner().invoke(command.app, given, input=registry.password)
        assert result.stdout, result.stderr
        return Seen(result.exit_code, json.loads(result.stdout))

    return smoke
