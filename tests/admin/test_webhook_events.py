"""webhook: pings, what was told, what failed, and to send it again; over memory."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from infra.admin.groups.webhooks import events
from shared import bootstrap
from shared.events import Cause, ManifestDeleted, ManifestPushed
from shared.model.webhooks.webhook import Action, Webhook
from shared.storage import keys
from shared.storage.messages.letters import Letter
from shared.storage.rows.webhooks.attempts import Attempt
from shared.storage.rows.webhooks.deliveries import Deliveries, Delivery, State
from shared.storage.rows.webhooks.webhooks import Webhooks
from tests.admin.conftest import Run
from tests.support.app import GENERATION, Memory

HOOK = "hook1"
ADDRESS = "https://93.184.216.34"
DIGEST = f"sha256:{'a' * 64}"
BEGAN = bootstrap.now() - timedelta(hours=3)
PUSHED = ManifestPushed(DIGEST, "v1", "a/b", 2, Cause("somebody"), BEGAN)
DELETED = ManifestDeleted(DIGEST, "a/b", Cause("somebody"), BEGAN + timedelta(hours=1))
PUSH = keys.time_id(PUSHED.at, "1" * 32)
DELETE = keys.time_id(DELETED.at, "2" * 32)
SENT = b'{"id":"x","action":"push"}'
ATTEMPT = Attempt(
    number=1,
    at=BEGAN,
    seconds=0.25,
    address=ADDRESS,
    secret="1a2b",
    sent=SENT,
    sent_headers={"Authorization": "***", "Content-Type": "application/json; charset=utf-8"},
    status=503,
    reason="Service Unavailable",
    version="HTTP/1.1",
    headers={"Date": "now"},
    body=b"busy",
    why="503 Service Unavailable",
)


async def _there(memory: Memory) -> Webhook:
    there = await Webhooks(memory.rows, GENERATION).find(HOOK)
    assert there
    return there


@pytest.fixture
def told(registry: None, run: Run, memory: Memory) -> None:
    """A webhook that was told of a push, which failed, and of a deletion."""
    assert run("webhook", "create", HOOK, "--uri", f"{ADDRESS}/t0ken").exit_code == 0

    async def tell() -> None:
        there, deliveries = await _there(memory), Deliveries(memory.rows, GENERATION)
        push = Delivery.of(PUSH, Action.PUSH, "team/app", PUSHED, BEGAN)
        added = await deliveries.add(there.id, push)
        gone = replace(added, state=State.FAILED, attempts=1, why=ATTEMPT.why)
        await deliveries.change(there.id, added, gone, ATTEMPT)
        delete = Delivery.of(DELETE, Action.DELETE, "team/app", DELETED, DELETED.at)
        await deliveries.add(there.id, replace(delete, state=State.DELIVERED, attempts=1))

    asyncio.run(tell())


def listed(run: Run, *arguments: str) -> Any:
    result = run("webhook", *arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def sent(memory: Memory) -> Sequence[tuple[str, str]]:
    """Give what is to be done for webhooks, and of which event."""
    texts = [message[1] for message in memory.messages.sent if message[0] == keys.DELIVERIES]
    asked = [json.loads(Letter.read(text, bootstrap.now()).body) for text in texts]
    return [(one["task"], one["event"]) for one in asked]


def test_what_was_told_is_listed_the_newest_first(told: None, run: Run) -> None:
    first, second = listed(run, "events", HOOK)
    assert (first["event"], first["action"], first["state"]) == (DELETE, "delete", "delivered")
    assert first["what"] == f"team/app@{DIGEST}"
    assert (second["event"], second["what"], second["state"]) == (PUSH, "team/app:v1", "failed")
    assert (second["why"], second["id"]) == (ATTEMPT.why, str(UUID("1" * 32)))
    assert len(listed(run, "events", HOOK, "--limit", "1")) == 1
    assert run("webhook", "events", HOOK).stdout.count("\n") == 3


def test_attempts_are_listed_as_acr_lists_them(told: None, run: Run) -> None:
    (only,) = listed(run, "events", HOOK, "--attempts")
    assert (only["address"], only["secret"], only["status"]) == (ADDRESS, "1a2b", 503)
    assert only["eventRequestMessage"] == {
        "content": {"id": "x", "action": "push"},
        "headers": {
            "Authorization": "***",
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(SENT)),
        },
        "method": "POST",
        "requestUri": ADDRESS,
        "version": "1.1",
    }
    assert only["eventResponseMessage"]["statusCode"] == "503"
    assert only["eventResponseMessage"]["content"] == "busy"
    assert "eventRequest" not in run("webhook", "events", HOOK, "--attempts").stdout


def test_an_attempt_says_of_what_it_was(told: None, run: Run) -> None:
    (only,) = listed(run, "events", HOOK, "--attempts")
    assert (only["action"], only["what"]) == ("push", "team/app:v1")
    assert "team/app:v1" in run("webhook", "events", HOOK, "--attempts").stdout


BETWEEN = f"{BEGAN + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--state", "failed"), [PUSH]),
        (("--state", "failed", "--state", "delivered"), [DELETE, PUSH]),
        (("--state", "waiting"), []),
        (("--action", "delete"), [DELETE]),
        (("--action", "ping"), []),
        (("team/app",), [DELETE, PUSH]),
        (("team/app:*",), [DELETE, PUSH]),
        (("team/app:v1",), [PUSH]),
        (("localhost:5000/team/app:v1",), [PUSH]),
        (("team/app:v2",), []),
        ((f"team/app@{DIGEST}",), [DELETE, PUSH]),
        ((f"team/app@sha256:{'b' * 64}",), []),
        (("team",), []),
        (("--since", BETWEEN), [DELETE]),
        (("--until", BETWEEN), [PUSH]),
        (("--before", DELETE), [PUSH]),
        (("--before", DELETE, "--action", "delete"), []),
        (("--before", PUSH), []),
        (("--until", BETWEEN, "team/app", "--action", "push", "--limit", "1"), [PUSH]),
    ],
)
def test_events_are_filtered(
    told: None, run: Run, options: tuple[str, ...], wanted: list[str]
) -> None:
    assert [one["event"] for one in listed(run, "events", HOOK, *options)] == wanted
    attempts = listed(run, "events", HOOK, "--attempts", *options)
    assert [one["event"] for one in attempts] == [PUSH] * (PUSH in wanted)


def test_a_limit_counts_what_is_wanted_and_is_read_by_pages(
    told: None, run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_PAGE", 1)
    (only,) = listed(run, "events", HOOK, "--action", "push", "--limit", "1")
    assert only["event"] == PUSH


@pytest.mark.parametrize(
    "options",
    [
        ("--since", "2026-01-02", "--until", "2026-01-01"),
        ("Team/app:v1",),
        ("team/app@sha256:1",),
        ("team/app:",),
        ("--before", "1"),
        ("--before", PUSH, "--until", "2026-01-01"),
    ],
)
def test_a_filter_that_names_nothing_is_refused(
    told: None, run: Run, options: tuple[str, ...]
) -> None:
    result = run("webhook", "events", HOOK, *options)
    assert (result.exit_code, result.stdout) == (
        2 if len(options) > 2 and "--before" in options else 1,
        "",
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("body", [b"", SENT])
def test_an_attempt_without_an_answer_is_listed(
    told: None, run: Run, memory: Memory, body: bytes
) -> None:
    async def fail() -> None:
        there, deliveries = await _there(memory), Deliveries(memory.rows, GENERATION)
        there_now = await deliveries.find(there.id, DELETE)
        assert there_now
        silent = Attempt(1, BEGAN, 10.0, ADDRESS, sent=body, why="no answer in 10 s")
        await deliveries.change(there.id, there_now, there_now, silent)

    asyncio.run(fail())
    first = listed(run, "events", HOOK, "--attempts")[0]
    assert bool(first["eventRequestMessage"]) == bool(body)
    assert first["eventResponseMessage"]["content"] == "no answer in 10 s"


def test_what_failed_for_good_is_listed_until_it_is_sent_again(told: None, run: Run) -> None:
    (only,) = listed(run, "failed", HOOK)
    assert only["event"] == PUSH
    (row,) = listed(run, "list")
    assert row["not_replayed"]
    assert run("webhook", "replay", HOOK, PUSH).exit_code == 0
    assert (
        run("webhook", "failed", HOOK).stdout
        == "nothing for webhook hook1 failed for good or was kept\n"
    )
    assert not listed(run, "list")[0]["not_replayed"]


def test_a_ping_is_sent(told: None, run: Run, memory: Memory) -> None:
    said = listed(run, "ping", HOOK)
    assert sent(memory) == [("deliver", said["event"])]
    first = listed(run, "events", HOOK)[0]
    assert (first["id"], first["action"], first["what"]) == (said["id"], "ping", "")
    assert first["state"] == "waiting"


@pytest.mark.parametrize("event", [PUSH, str(UUID("1" * 32))], ids=["row", "webhook-id"])
def test_one_event_is_sent_again(told: None, run: Run, memory: Memory, event: str) -> None:
    result = run("webhook", "replay", HOOK, event)
    assert result.stdout == f"{PUSH} is sent again to webhook hook1\n"
    assert sent(memory) == [("deliver", PUSH)]
    assert listed(run, "events", HOOK)[1]["state"] == "waiting"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--since", f"{BEGAN - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"), 2),
        (("--since", f"{BEGAN + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S+00:00}"), 1),
        (
            (
                "--since",
                "2020-01-01",
                "--until",
                f"{BEGAN + timedelta(minutes=5):%Y-%m-%d %H:%M:%S}",
            ),
            1,
        ),
        (("--since", "2020-01-01", "--failed"), 1),
        (("--since", f"{bootstrap.now():%Y-%m-%dT%H:%M:%S}"), 0),
    ],
)
def test_all_of_some_time_is_sent_again(
    told: None, run: Run, memory: Memory, options: tuple[str, ...], count: int
) -> None:
    assert listed(run, "replay", HOOK, *options)["count"] == count
    assert {task for task, _ in sent(memory)} == ({"drain"} if count else set())
    states = [one["state"] for one in listed(run, "events", HOOK)]
    assert states.count("waiting") == count


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        ((PUSH, "--since", "2020-01-01"), 2),
        (("--since", "2020-01-02", "--until", "2020-01-01"), 1),
        (("--since", "2999-01-01"), 1),
        ((PUSH, "--failed"), 2),
        (("20200101T000000000000-" + "3" * 32,), 1),
        (("no event",), 1),
        ((str(UUID("3" * 32)),), 1),
    ],
)
def test_what_names_nothing_is_refused(
    told: None, run: Run, memory: Memory, arguments: tuple[str, ...], code: int
) -> None:
    result = run("webhook", "replay", HOOK, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.count("\n") == 1
    assert sent(memory) == []


@pytest.mark.parametrize("arguments", [("ping", HOOK), ("replay", HOOK, PUSH)])
def test_a_disabled_webhook_is_sent_nothing(
    told: None, run: Run, memory: Memory, arguments: tuple[str, ...]
) -> None:
    assert run("webhook", "update", HOOK, "--disable").exit_code == 0
    result = run("webhook", *arguments)
    assert result.exit_code == 1
    assert "webhook hook1 is disabled: enable it, then send again" in result.stderr
    assert sent(memory) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "another", "--uri", ADDRESS),
        ("list",),
        ("show", HOOK),
        ("update", HOOK, "--timeout", "9"),
        ("delete", HOOK),
        ("ping", HOOK),
        ("events", HOOK),
        ("events", HOOK, "--attempts"),
        ("failed", HOOK),
        ("replay", HOOK, PUSH),
        ("replay", HOOK, "--since", "2020-01-01"),
        ("explain", "team/app:v1"),
    ],
    ids=lambda words: " ".join(words[:1]),
)
def test_each_command_gives_a_document(told: None, run: Run, arguments: tuple[str, ...]) -> None:
    assert listed(run, *arguments)
