"""The command: what it is told, and what it says where it cannot look."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.admin.output import Answer
from infra.azure.smoke import command
from infra.azure.smoke.asking.monitor import App
from infra.azure.smoke.asking.wire import Server
from infra.azure.smoke.credentials import Login
from infra.azure.smoke.options import Options, size
from tests.support.hosts import free_port

pytestmark = pytest.mark.usefixtures("empty")

APP = "/subscriptions/0f0f/resourceGroups/rg/providers/Microsoft.Web/sites/func-one"
LOGIN = ("--username", "registry", "--password-stdin")


@pytest.fixture
def empty(environment: dict[str, str], tmp_path: Path) -> None:
    """Docker knows of nobody."""
    environment["DOCKER_CONFIG"] = str(tmp_path)


def invoke(*arguments: str, typed: str = "password") -> Result:
    return CliRunner().invoke(command.app, arguments, input=typed)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Missing argument"),
        (("https://registry.example.com",), "is no login server"),
        (("registry.example.com", "--largest", "much"), "is no size"),
        (("registry.example.com", "--slow", "-1"), "greater than or equal to 0"),
        (("registry.example.com", "--resource", "func-one"), "is no resource id"),
        (("registry.example.com", "--resource", f"{APP}/slots/one"), "is no resource id"),
    ],
)
def test_called_wrongly_it_ends_with_2(arguments: tuple[str, ...], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        ((), "", "docker login registry.example.com, or give --username"),
        (("--username", "registry"), "", "together, or neither"),
        (LOGIN, "\n", "standard input has no password"),
    ],
)
def test_without_credentials_it_says_what_to_do(
    arguments: tuple[str, ...], typed: str, told: str
) -> None:
    result = invoke("registry.example.com", *arguments, typed=typed)
    assert result.exit_code == 1
    assert result.stderr.startswith("smoke: ")
    assert told in result.stderr
    assert result.stdout == ""


def test_where_nobody_listens_it_says_what_to_look_at() -> None:
    result = invoke(f"localhost:{free_port()}", *LOGIN)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "(else --plain-http)" in result.stderr


def test_an_option_is_what_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []

    async def look(*given: object) -> Answer:
        looked.extend(given)
        return Answer({}, [])

    monkeypatch.setattr(command, "look", look)
    options = ("--limit", "64MiB", "--wait", "7", "--resource", APP, "--plain-http")
    assert invoke("localhost:7071", *LOGIN, *options).exit_code == 0
    server, login, told, *_ = looked
    assert server == Server("localhost:7071", is_plain=True)
    assert login == Login("registry", "password")
    assert told == Options(limit=64 << 20, waits=7, resource=App.read(APP))


def test_sizes_are_typed_with_units() -> None:
    assert [size(text) for text in ("7", "2KiB", "64MiB", "1GiB")] == [
        7,
        2 << 10,
        64 << 20,
        1 << 30,
    ]
