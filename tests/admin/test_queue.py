"""queue list, show, retry and drop, over memory."""

import asyncio
import json
from datetime import timedelta

import pytest

from shared.bootstrap import now
from shared.storage import keys
from shared.storage.messages.letters import Letter
from shared.storage.rows.failing import Failure, Failures
from tests.admin.conftest import Run
from tests.support.app import Memory
from tests.support.messages import letter_of

BODY = '{"kind": "retire a repository", "generation": "g", "repository": "team/app"}'
HOUR = timedelta(hours=1)
SENT = now() - 2 * HOUR
WAITS = Letter("a" * 32, SENT, BODY, 4, "Unavailable: the table is busy")
UNREADABLE = Letter("b" * 32, SENT, "what is this", 6, "ValueError: no")
GIVEN_UP = Letter("c" * 32, SENT, BODY, 1, "KeyError: 'x'")


@pytest.fixture
def failed(registry: None, memory: Memory) -> None:
    """One letter in each state."""
    poison = f"{keys.UPKEEP}-poison"

    async def fail() -> None:
        failures = Failures(memory.rows)
        await failures.put(Failure(keys.UPKEEP, WAITS, now() + HOUR))
        await failures.put(Failure(keys.EVENTS, UNREADABLE, None))
        await memory.messages.prepare([poison])
        await memory.messages.send(poison, GIVEN_UP.text())

    asyncio.run(fail())


def sent(memory: Memory) -> list[tuple[str, Letter, bool]]:
    letters = [letter_of(message) for message in memory.messages.sent]
    return [(queue, it, it.is_copy) for queue, it in letters if not queue.endswith("-poison")]


def test_all_that_fails_is_listed(failed: None, run: Run) -> None:
    result = run("queue", "list", "-o", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = json.loads(result.stdout)
    assert [(row["id"], row["state"], row["tries"]) for row in rows] == [
        (WAITS.id, "waits", 4),
        (UNREADABLE.id, "unreadable", 6),
        (GIVEN_UP.id, "given up", 2),
    ]
    assert [row["queue"] for row in rows] == ["upkeep", "events", "upkeep-poison"]
    assert [row["what"] for row in rows] == [
        "retire a repository team/app",
        "",
        "retire a repository team/app",
    ]
    assert [row["why"] for row in rows] == [WAITS.why, UNREADABLE.why, GIVEN_UP.why]
    assert all(7_200 <= row["age"] <= (now() - SENT).total_seconds() for row in rows)
    assert [row["due"] is None for row in rows] == [False, True, True]


def test_people_read_a_table(failed: None, run: Run) -> None:
    shown = run("queue", "list").stdout
    assert [line.split()[0] for line in shown.splitlines()] == [
        "ID",
        WAITS.id,
        UNREADABLE.id,
        GIVEN_UP.id,
    ]
    assert "the table is busy" in shown


def test_nothing_that_fails_is_said(registry: None, run: Run) -> None:
    assert run("queue", "list").stdout == "nothing fails\n"
    assert json.loads(run("queue", "list", "-o", "json").stdout) == []
    result = run("queue", "retry", "--all", "-o", "json")
    assert json.loads(result.stdout)["count"] == 0


def test_one_is_tried_now(failed: None, run: Run, memory: Memory) -> None:
    result = run("queue", "retry", WAITS.id)
    assert (result.exit_code, result.stdout) == (0, "1 of what failed is tried now\n")
    assert sent(memory) == [(keys.UPKEEP, WAITS, True)]
    assert run("queue", "retry", UNREADABLE.id).exit_code == 0
    assert sent(memory)[1:] == [(keys.EVENTS, UNREADABLE, False)]


def test_all_are_tried_now(failed: None, run: Run, memory: Memory) -> None:
    result = run("queue", "retry", "--all")
    assert (result.exit_code, result.stdout) == (0, "3 of what failed are tried now\n")
    assert [letter.id for _, letter, _ in sent(memory)] == [WAITS.id, UNREADABLE.id, GIVEN_UP.id]
    assert all(message.delay == 0 for message in memory.messages.sent)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("retry",), 2),
        (("retry", WAITS.id, "--all"), 2),
        (("retry", "d" * 32), 1),
        (("retry", GIVEN_UP.id), 1),
        (("retry", "no id"), 1),
        (("retry", "a/b"), 1),
        (("show", GIVEN_UP.id), 1),
        (("show", "a/b"), 1),
        (("drop", WAITS.id), 1),
        (("drop", GIVEN_UP.id), 1),
        (("drop", "a/b"), 1),
    ],
)
def test_what_names_nothing_is_refused_and_changes_nothing(
    failed: None, run: Run, memory: Memory, arguments: tuple[str, ...], code: int
) -> None:
    sent, kept = [*memory.messages.sent], memory.kept()
    result = run("queue", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("admin: ")
    assert result.stderr.count("\n") == 1
    assert (memory.messages.sent, memory.kept()) == (sent, kept)


@pytest.mark.parametrize("command", ["show", "drop", "retry"])
def test_of_what_is_listed_as_given_up_it_is_told_when_it_can_be_named(
    failed: None, run: Run, command: str
) -> None:
    assert "given up" in run("queue", "list").stdout
    assert "what the host gave up" in run("queue", command, GIVEN_UP.id).stderr


def test_a_letter_is_shown_with_its_body(failed: None, run: Run) -> None:
    shown = run("queue", "show", UNREADABLE.id).stdout
    assert UNREADABLE.id in shown
    assert shown.endswith("\nwhat is this\n")
    said = json.loads(run("queue", "show", WAITS.id, "-o", "json").stdout)
    assert (said["letter"]["state"], said["body"]) == ("waits", BODY)


def test_what_cannot_be_read_is_dropped_and_shown_for_the_last_time(
    failed: None, run: Run, memory: Memory
) -> None:
    result = run("queue", "drop", UNREADABLE.id)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"letter {UNREADABLE.id} of queue events is dropped")
    assert result.stdout.endswith("\nwhat is this\n")
    listed = json.loads(run("queue", "list", "-o", "json").stdout)
    assert [row["id"] for row in listed] == [WAITS.id, GIVEN_UP.id]
    assert run("queue", "drop", UNREADABLE.id).exit_code == 1
