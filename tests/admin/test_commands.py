"""What all commands share: options in any place, one document or tables, errors in one line."""

import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from infra.admin import output
from infra.admin.app import Group, _fail, assembled
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, Listing, cell, progress, said
from shared.errors import NameInvalid
from shared.model.digest import Digest
from shared.storage.ports import Unavailable
from tests.admin.conftest import Run
from tests.support.app import NAME

DIGEST = Digest.of(b"content")
LATE = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    digest: Digest
    is_kept: bool
    gone_at: datetime | None
    left: timedelta


async def many(count: int, error: Exception | None = None) -> AsyncIterator[Found]:
    for place in range(count):
        yield Found(f"name-{place}", DIGEST, is_kept=True, gone_at=None, left=timedelta(days=2))
    if error:
        raise error


things = Group("things", "Things of a test.")
alone = Group("", "")


@things.command("list")
async def list_things(desk: Desk, count: Annotated[int, typer.Argument()] = 2) -> Listing:
    """List things."""
    return Listing(Found, many(count), "no things")


@things.command("lose")
async def lose(desk: Desk) -> Listing:
    """List some, and fail."""
    return Listing(Found, many(1_500, Unavailable("row:\n is\n not there")), "")


@alone.command("where")
async def where(desk: Desk, *, twice: Annotated[bool, typer.Option("--twice")] = False) -> Answer:
    """Tell the registry."""
    with progress("asking", 2) as steps:
        steps.advance()
        steps.say("answering")
    return said(f"it is {desk.registry}", registry=desk.registry, twice=twice, at=LATE)


@alone.command("refuse")
def refuse(desk: Desk) -> Awaitable[Answer]:
    """Ask somebody before the work begins; here nobody wants to."""
    raise AdminError("nobody wants to")


@alone.command("name")
async def name(desk: Desk) -> Answer:
    """Read a name that is none."""
    raise NameInvalid


@pytest.fixture
def call(environment: dict[str, str]) -> Run:
    app = assembled(things, alone)

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return command


@pytest.mark.parametrize(
    "arguments",
    [
        "-o json things list",
        "things -o json list",
        "things list -o json",
        "things list 2 --output json",
        "--output=json things list",
        "-o table things -o json list",
        "-o table things list -o json",
    ],
)
def test_options_that_all_have_stand_anywhere_and_the_last_counts(
    call: Run, arguments: str
) -> None:
    done = call(*arguments.split())
    assert (done.exit_code, done.stderr) == (0, "")
    assert [one["name"] for one in json.loads(done.stdout)] == ["name-0", "name-1"]


@pytest.mark.parametrize("arguments", ["--registry other where", "where --registry other"])
def test_a_registry_is_named_before_or_after(call: Run, arguments: str) -> None:
    assert call("where").stdout == f"it is {NAME}\n"
    assert call(*arguments.split()).stdout == "it is other\n"


@pytest.mark.parametrize("arguments", ["--data {} where", "where --data {}"])
def test_a_folder_is_named_before_or_after(call: Run, tmp_path: Path, arguments: str) -> None:
    done = call(*arguments.format(tmp_path).split())
    assert (
        done.stderr == f"admin: {tmp_path} is not the DATA of a make run: it has no secrets.json\n"
    )
    assert (done.exit_code, done.stdout) == (1, "")


def test_an_answer_is_one_document(call: Run) -> None:
    done = call("where", "--twice", "-o", "json")
    assert json.loads(done.stdout) == {
        "message": f"it is {NAME}",
        "registry": NAME,
        "twice": True,
        "at": "2026-03-04T05:06:07.000008Z",
    }
    assert done.stderr == ""


def test_rows_are_objects_of_a_document(call: Run) -> None:
    (one,) = json.loads(call("things", "list", "1", "-o", "json").stdout)
    assert one == {
        "name": "name-0",
        "digest": str(DIGEST),
        "is_kept": True,
        "gone_at": None,
        "left": 172_800.0,
    }
    assert json.loads(call("things", "list", "0", "-o", "json").stdout) == []


def test_a_row_is_a_line(call: Run) -> None:
    lines = call("things", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "DIGEST", "IS", "KEPT", "GONE", "AT", "LEFT"]
    assert lines[1].split() == ["name-0", str(DIGEST), "yes", "-", "2", "days,", "0:00:00"]
    assert len(lines) == 3
    assert call("things", "list", "0").stdout == "no things\n"


def test_many_rows_come_in_several_tables(call: Run) -> None:
    lines = call("things", "list", "2500").stdout.splitlines()
    assert len(lines) == 2_500 + 3
    assert lines[-1].startswith("name-2499 ")


def test_a_command_that_fails_writes_no_document(call: Run) -> None:
    done = call("things", "lose", "-o", "json")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "admin: row: is not there\n")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [("refuse", "nobody wants to"), ("name", "invalid repository name")],
)
def test_a_refusal_is_one_line(call: Run, command: str, complaint: str) -> None:
    done = call(command, "-o", "json")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"admin: {complaint}\n")


@pytest.mark.parametrize(
    "arguments", ["where more", "things list two", "where -o xml", "nothing", "where --nothing"]
)
def test_a_wrong_call_ends_with_2(call: Run, arguments: str) -> None:
    done = call(*arguments.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", "-"),
        (None, "-"),
        (0, "0"),
        (False, "no"),
        (DIGEST, str(DIGEST)),
        ("red\x1b[31m\n", r"red\x1b[31m\n"),
        ("[bold]no markup[/bold]", "[bold]no markup[/bold]"),
        ("Grüße", "Grüße"),
        (LATE, "2026-03-04 05:06:07"),
        (timedelta(hours=1, microseconds=5), "1:00:00"),
    ],
)
def test_people_see_what_a_value_is_and_no_terminal_obeys_it(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_a_document_has_nothing_that_a_terminal_obeys() -> None:
    text = "a\x1b\x07\x7f\x9b\u202e\u2028b\u00e9"
    written = output.document({"it": text})
    assert written.decode().isprintable()
    assert orjson.loads(written) == {"it": text}


def test_a_failure_has_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        _fail("it answered 500 \x1b]0;x\x07 \x9b31m")
    assert capsys.readouterr().err == "admin: it answered 500 \\x1b]0;x\\x07 \\x9b31m\n"


async def test_a_sentence_has_nothing_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await output.show(said("red\x1b[31m\nnext"), output.Output.TABLE)
    assert capsys.readouterr().out == "red\\x1b[31m\nnext\n"


def test_progress_is_shown_on_a_terminal_only(call: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("where").stderr == ""
    monkeypatch.setattr(
        output, "Console", lambda file: Console(file=file, force_terminal=True, width=80)
    )
    done = call("where", "-o", "json")
    assert "answering" in done.stderr
    assert json.loads(done.stdout)
