"""webhook: made, shown, changed, removed, and explained, over memory."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import bootstrap
from shared.events import Cause, ManifestDeleted
from shared.model.webhooks.webhook import Health, Webhook
from shared.storage import keys
from shared.storage.messages.letters import Letter
from shared.storage.rows.webhooks.deliveries import Deliveries, Delivery, State
from shared.storage.rows.webhooks.webhooks import Webhooks
from tests.admin.conftest import Run
from tests.support.app import GENERATION, Memory

HOOK = "hook1"
ADDRESS = "https://93.184.216.34"
URI = "https://deploy:p%40ss@93.184.216.34/hook?token=t0ken"
CREATE = ("webhook", "create", HOOK, "--uri", URI)
SECRETS = ("p%40ss", "p@ss", "t0ken", "hook?", "b64value", "a typed secret")


@pytest.fixture
def made(registry: None, run: Run) -> None:
    """A webhook with all there is."""
    options = ("--header", "Authorization=Bearer b64value", "--secret", "a typed secret")
    more = ("--hmac", "X-Hub-Signature=sha1", "--scope", "team/app:*", "--action", "push")
    result = run(*CREATE, *options, *more, "--action", "delete", "--tagged-only", "--timeout", "5")
    assert result.exit_code == 0, result.stderr


def rows(memory: Memory) -> dict[str, Any]:
    return dict(memory.rows._tables[keys.WEBHOOKS])


def shown(run: Run, *options: str) -> Any:
    result = run("webhook", "show", HOOK, "-o", "json", *options)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def change(memory: Memory, **values: Any) -> Webhook:
    """Change a webhook as deliveries do."""

    async def changed() -> Webhook:
        there = await Webhooks(memory.rows, GENERATION).find(HOOK)
        assert there
        return await Webhooks(memory.rows, GENERATION).change(replace(there, **values))

    return asyncio.run(changed())


def add(memory: Memory, number: int, state: State) -> None:
    """Let there be an event for it."""

    async def added() -> None:
        there = await Webhooks(memory.rows, GENERATION).find(HOOK)
        assert there
        event = ManifestDeleted("sha256:" + "a" * 64, "", Cause("me"), bootstrap.now())
        name = f"2026010{number + 1}T030405000000-{'e' * 32}"
        delivery = Delivery.of(name, "delete", "a", event, bootstrap.now())
        await Deliveries(memory.rows, GENERATION).add(there.id, replace(delivery, state=state))

    asyncio.run(added())


def test_a_webhook_is_made_and_its_secret_is_told_once(registry: None, run: Run) -> None:
    result = run(*CREATE, "--secret", "auto", "-o", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    said = json.loads(result.stdout)
    assert said["message"] == "webhook hook1 is made"
    assert said["secret"].startswith("whsec_")
    assert said["secret"] not in run("webhook", "show", HOOK, "--callback").stdout


def test_the_form_that_receivers_read_of_a_typed_secret_is_told(registry: None, run: Run) -> None:
    result = run(*CREATE, "--secret", "a typed secret")
    assert result.stdout == (
        "webhook hook1 is made\nsecret, shown this once: whsec_YSB0eXBlZCBzZWNyZXQ=\n"
    )
    assert run("webhook", "create", "hook2", "--uri", URI).stdout == "webhook hook2 is made\n"


def test_all_of_it_is_shown_but_what_is_secret(made: None, run: Run) -> None:
    said = shown(run)
    assert said["address"] == ADDRESS
    assert said["headers"] == {"Authorization": "***"}
    assert said["hmacs"] == ["X-Hub-Signature=sha1"]
    assert (said["scope"], said["actions"]) == ("team/app:*", ["delete", "push"])
    assert (said["state"], said["form"], said["timeout"]) == ("enabled", "acr", 5)
    assert (said["tagged_only"], said["retry_4xx"], said["own_ca"]) == (True, False, False)
    assert [secret["until"] for secret in said["secrets"]] == [None]
    for output in (run("webhook", "show", HOOK), run("webhook", "list", "-o", "json")):
        assert output.exit_code == 0
        assert ADDRESS in output.stdout
        assert not [secret for secret in SECRETS if secret in output.stdout]
    assert "headers: Authorization=***" in run("webhook", "show", HOOK).stdout


def test_the_callback_is_shown_to_who_asks_for_it(made: None, run: Run) -> None:
    said = shown(run, "--callback")
    assert said["service_uri"] == URI
    assert said["custom_headers"] == {"Authorization": "Bearer b64value"}
    assert "a typed secret" not in json.dumps(said)


def test_nothing_secret_is_in_rows(made: None, memory: Memory) -> None:
    kept = str(rows(memory))
    assert HOOK in kept
    assert not [secret for secret in SECRETS if secret in kept]


def test_texts_come_from_files_and_standard_input(registry: None, run: Run, tmp_path: Path) -> None:
    (tmp_path / "uri").write_text(f"{URI}\n")
    (tmp_path / "headers").write_text("A=1\n\nB=2=3\n")
    files = ("--uri", f"@{tmp_path}/uri", "--header", f"@{tmp_path}/headers", "--header", "C=")
    result = run("webhook", "create", HOOK, *files, "--secret", "-", typed="from input\n")
    assert result.exit_code == 0, result.stderr
    assert "whsec_ZnJvbSBpbnB1dA==" in result.stdout
    said = shown(run, "--callback")
    assert said["service_uri"] == URI
    assert said["custom_headers"] == {"A": "1", "B": "2=3", "C": ""}


REFUSED: list[tuple[str, tuple[str, ...], str]] = [
    ("loopback", ("--uri", "http://127.0.0.1/t0ken"), "127.0.0.1 or its network in REGISTRY_OUTB"),
    (
        "what to set for whom",
        ("--uri", "http://127.0.0.1/t0ken"),
        "the app needs that setting, too",
    ),
    ("metadata", ("--uri", "http://169.254.169.254/t0ken"), "link-local"),
    ("no address", ("--uri", "t0ken"), "must begin with https:// or http://"),
    ("a line break in an address", ("--uri", "http://a/\nt0ken"), "visible ASCII"),
    ("a missing file", ("--uri", "@/nowhere/uri"), "cannot be read from /nowhere/uri: No such"),
    ("a line break", ("--header", "A=b64value\r\nB: c"), "line break"),
    ("a header without a value", ("--header", "b64value"), "K=V"),
    ("a header as curl has it", ("--header", "A: b64value"), "not Authorization: Bearer"),
    ("the like with a =", ("--header", "A: b64value="), "not Authorization: Bearer"),
    ("a line break in a name", ("--header", "A\r\nB=b64value"), "not the name of a header"),
    ("a header twice", ("--header", "A=1", "--header", "a=2"), "given twice"),
    ("a header of ours", ("--header", "Host=a"), "registry's own to send"),
    ("an unreadable CA", ("--ca", __file__), "begin with -----BEGIN CERTIFICATE-----"),
    ("a CA that is missing", ("--ca", "/nowhere/ca"), "certificates cannot be read from"),
    ("an empty CA", ("--ca", "/dev/null"), "is empty: it holds no certificates"),
    ("an empty file", ("--uri", "@/dev/null"), "the URI is empty"),
    ("a CA that is no text", ("--ca", "/bin/true"), "openssl x509 -inform der"),
    ("a short secret", ("--secret", "whsec_AAAA"), "holds 3 bytes"),
    ("no secret", ("--secret", ""), "the secret is empty"),
    ("two from input", ("--uri", "-", "--secret", "-"), "standard input is read once"),
    ("a scope with a star", ("--scope", "team/*"), "could never match"),
    ("a scope without its tag", ("--scope", "repo:"), "could never match"),
    ("an HMAC of nothing", ("--hmac", "X=md5"), "sha1 or sha256"),
    ("an HMAC without a secret", ("--hmac", "X=sha1"), "needs a secret"),
    ("a long time", ("--timeout", "61"), "1 to 60"),
]
MISUSES = {"given twice", "standard input is read once"}


@pytest.mark.parametrize(
    ("options", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_refused_is_said_in_a_line_and_changes_nothing(
    registry: None, run: Run, memory: Memory, options: tuple[str, ...], why: str
) -> None:
    code = 2 if why in MISUSES else 1
    result = run(*CREATE, *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("admin: ")
    assert result.stderr.count("\n") == 1
    assert why in result.stderr
    assert not [secret for secret in SECRETS if secret in result.stderr]
    assert rows(memory) == {}

    assert run(*CREATE).exit_code == 0
    before = rows(memory)
    assert run("webhook", "update", HOOK, *options).exit_code == code
    assert rows(memory) == before


@pytest.mark.parametrize("name", ["four", "hook-1", "a" * 51])
def test_a_name_has_a_form(registry: None, run: Run, name: str) -> None:
    result = run("webhook", "create", name, "--uri", URI)
    assert result.exit_code == 1
    assert "is not a webhook's name: 5 to 50 letters and digits" in result.stderr


def test_a_name_that_is_taken_is_refused(made: None, run: Run, memory: Memory) -> None:
    before = rows(memory)
    result = run("webhook", "create", HOOK.upper(), "--uri", URI)
    assert result.exit_code == 1
    assert (
        "there is a webhook hook1 already, and a name is the same in whichever letters"
        in result.stderr
    )
    assert rows(memory) == before


@pytest.mark.parametrize("command", [("show",), ("update", "--timeout", "9"), ("delete",)])
def test_a_webhook_that_is_not_there_is_told(
    registry: None, run: Run, command: tuple[str, ...]
) -> None:
    result = run("webhook", command[0], "other", *command[1:])
    assert (result.exit_code, result.stderr) == (1, "admin: there is no webhook other\n")


def test_a_secret_is_rotated(made: None, run: Run) -> None:
    result = run("webhook", "update", HOOK, "--secret", "auto")
    assert result.exit_code == 0, result.stderr
    assert "the old secret signs, too, until" in result.stdout
    assert "whsec_" in result.stdout
    first, second = shown(run)["secrets"]
    assert first["until"] is None
    assert second["until"]
    assert first["fingerprint"] != second["fingerprint"]
    assert "until" in run("webhook", "show", HOOK).stdout
    assert run("webhook", "update", HOOK, "--overlap", "0").exit_code == 0
    assert shown(run)["secrets"] == [first]


def test_what_is_not_named_stays(made: None, run: Run) -> None:
    before = shown(run, "--callback")
    result = run("webhook", "update", HOOK, "--no-tagged-only", "--retry-4xx", "--scope", "")
    assert result.stdout == "webhook hook1 is changed\n"
    changed = {"tagged_only": False, "retry_4xx": True, "scope": ""}
    assert shown(run, "--callback") == {**before, **changed}


def test_parts_are_taken_away(made: None, run: Run) -> None:
    gone = ("--without", "headers", "--without", "hmac", "--without", "secret", "--without", "ca")
    assert run("webhook", "update", HOOK, *gone).exit_code == 0
    said = shown(run)
    assert (said["headers"], said["hmacs"], said["secrets"]) == ({}, [], [])


@pytest.mark.parametrize(
    ("options", "code"),
    [((), 2), (("--without", "headers", "--header", "A=b"), 2), (("--without", "secret"), 1)],
)
def test_a_change_that_says_nothing_or_too_much_is_refused(
    made: None, run: Run, memory: Memory, options: tuple[str, ...], code: int
) -> None:
    before = rows(memory)
    result = run("webhook", "update", HOOK, *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert rows(memory) == before


def test_it_is_disabled_and_enabled(made: None, run: Run, memory: Memory) -> None:
    assert run("webhook", "update", HOOK, "--disable").exit_code == 0
    assert shown(run)["state"] == "disabled"
    assert memory.messages.sent == []
    assert run("webhook", "update", HOOK, "--enable").exit_code == 0
    assert shown(run)["state"] == "enabled"
    (sent,) = memory.messages.sent
    assert sent[0] == keys.DELIVERIES
    assert json.loads(Letter.read(sent[1], bootstrap.now()).body)["task"] == "drain"


def test_what_was_kept_is_told_when_it_is_enabled(made: None, run: Run, memory: Memory) -> None:
    add(memory, 0, State.KEPT)
    assert run("webhook", "update", HOOK, "--disable").stdout == f"webhook {HOOK} is changed\n"
    assert "what was kept" in run("webhook", "update", HOOK, "--enable").stdout
    (row,) = json.loads(run("webhook", "list", "-o", "json").stdout)
    assert row["not_replayed"]


def test_one_is_not_enabled_and_disabled_at_once(made: None, run: Run, memory: Memory) -> None:
    before = rows(memory)
    result = run("webhook", "update", HOOK, "--enable", "--disable")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "admin: say --enable or --disable, not both\n"
    assert rows(memory) == before


@pytest.mark.parametrize("scope", ["team/app:v1", "team/app:*"])
def test_a_scope_may_begin_with_the_login_server(
    registry: None, run: Run, environment: dict[str, str], scope: str
) -> None:
    environment["REGISTRY_LOGIN_SERVER"] = "registry.example"
    assert run(*CREATE, "--scope", f"registry.example/{scope}").exit_code == 0
    assert shown(run)["scope"] == scope
    assert run("webhook", "update", HOOK, "--scope", f"localhost:5000/x{scope}").exit_code == 0
    assert shown(run)["scope"] == f"x{scope}"
    assert run("webhook", "update", HOOK, "--scope", f"elsewhere.example/{scope}").exit_code == 0
    assert shown(run)["scope"] == f"elsewhere.example/{scope}"


def test_since_when_it_fails_and_how_many_wait_is_told(
    made: None, run: Run, memory: Memory
) -> None:
    since = bootstrap.now() - timedelta(minutes=5)
    change(memory, health=Health(2, why="503 Service Unavailable", failing=since))
    for number in range(3):
        add(memory, number, State.WAITING)
    add(memory, 3, State.DELIVERED)
    (row,) = json.loads(run("webhook", "list", "-o", "json").stdout)
    for said in (row, shown(run)):
        assert (said["state"], said["failures"], said["waiting"]) == ("enabled", 2, 3)
        assert said["failing_since"].startswith(f"{since:%Y-%m-%dT%H:%M}")
    assert f"failing since: {since:%Y-%m-%d %H:%M:%S}\n" in run("webhook", "show", HOOK).stdout
    assert "WAITING" in run("webhook", "list").stdout


def test_it_is_made_disabled(registry: None, run: Run) -> None:
    assert run(*CREATE, "--disabled").exit_code == 0
    assert shown(run)["state"] == "disabled"


def test_one_that_is_held_or_disabled_by_its_receiver_says_so(
    made: None, run: Run, memory: Memory
) -> None:
    since = bootstrap.now() - timedelta(hours=1)
    change(memory, health=Health(5, since, "503 Service Unavailable"))
    (row,) = json.loads(run("webhook", "list", "-o", "json").stdout)
    assert (row["state"], row["failures"]) == ("held", 5)
    assert row["why"] == "503 Service Unavailable"
    said = shown(run)
    assert said["held_since"].startswith(f"{since:%Y-%m-%dT%H:%M}")
    change(memory, health=Health(0, None, "", "410 Gone"), is_enabled=False)
    (row,) = json.loads(run("webhook", "list", "-o", "json").stdout)
    assert (row["state"], row["why"], row["not_replayed"]) == ("disabled", "410 Gone", False)


def test_one_is_deleted(made: None, run: Run, memory: Memory) -> None:
    assert run("webhook", "delete", HOOK).stdout == "webhook hook1 is deleted\n"
    assert run("webhook", "list").stdout == "there are no webhooks\n"
    assert json.loads(run("webhook", "list", "-o", "json").stdout) == []


def test_who_hears_of_a_push_is_explained(made: None, run: Run, memory: Memory) -> None:
    assert run("webhook", "create", "every", "--uri", URI, "--disabled").exit_code == 0
    explained = json.loads(run("webhook", "explain", "team/app:v1", "-o", "json").stdout)
    assert [(row["webhook"], row["hears"], row["state"]) for row in explained] == [
        ("every", True, "disabled"),
        (HOOK, True, "enabled"),
    ]
    assert explained[0]["why"] == "it hears of push everywhere; it is disabled: kept, not sent"
    change(memory, health=Health(5, bootstrap.now(), "503 Busy"))
    explained = json.loads(run("webhook", "explain", "team/app:v1", "-o", "json").stdout)
    assert explained[1]["why"].endswith("; it is held: waits until its receiver answers")
    digest = f"sha256:{'a' * 64}"
    explained = json.loads(run("webhook", "explain", f"team/app@{digest}", "-o", "json").stdout)
    assert "has no tag (--tagged-only)" in explained[1]["why"]
    explained = json.loads(run("webhook", "explain", "localhost:1/other:v1", "-o", "json").stdout)
    assert "does not cover other:v1" in explained[1]["why"]


@pytest.mark.parametrize("pushed", ["team/app", "Team/app:v1", "team/app:", "localhost:5000/app"])
def test_only_what_can_be_pushed_is_explained(registry: None, run: Run, pushed: str) -> None:
    result = run("webhook", "explain", pushed)
    assert (result.exit_code, result.stdout) == (1, "")


def test_storage_of_an_app_of_before_gets_its_table(
    registry: None, run: Run, memory: Memory
) -> None:
    memory.rows._tables.pop(keys.WEBHOOKS)
    memory.messages._queues.discard(keys.DELIVERIES)
    assert run("webhook", "list").stdout == "there are no webhooks\n"
    assert run(*CREATE).exit_code == 0
    assert run("webhook", "update", HOOK, "--enable").exit_code == 0
