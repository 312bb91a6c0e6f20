"""The relay: what it says to whom, and what it answers the registry."""

import asyncio
import http.client
import io
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from infra.examples.relay import relay as example
from infra.examples.relay.relay import Relay, relay_of, server_of
from shared.model.outbound.posting import Posting
from shared.model.webhooks.webhook import Callback, Secret, Webhook
from shared.services.webhooks.requests.posting import posting_of
from tests.examples import pages, plain_yaml
from tests.examples.dripping import dripped
from tests.examples.events import HOST, IMAGE, before, notice, pushed
from tests.examples.receivers.behind_relays import GitHub, Slack, Teams
from tests.examples.relayed import Relayed

SECRET = "any text"
URL = "https://outside.example.com/hook?sig=abc"


def posting(tag: str = "v1", secret: str = SECRET) -> Posting:
    webhook = Webhook("relay", "0" * 32, before())
    callback = Callback("https://relay.example.com/", secrets=[Secret(secret)])
    return posting_of(webhook, callback, notice(pushed(tag)), datetime.now(UTC))


def relay(to: str = "slack", answer: httpx.Response | Exception | None = None) -> Relay:
    def behind(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        given = answer or httpx.Response(200)
        return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)

    return replace(relay_of(to, URL, SECRET, HOST), transport=httpx.MockTransport(behind))


def test_slack_shows_what_was_pushed() -> None:
    slack = Slack("/hook")

    Relayed(relay_of("slack", URL, SECRET, HOST), slack).hears(posting())

    assert slack.shown == [f"{IMAGE}:v1 was pushed at 2026-11-28T09:30:15Z as sha256:{'4e' * 32}"]


def test_teams_shows_what_was_pushed() -> None:
    teams = Teams("/hook?sig=abc")

    answer = Relayed(relay_of("teams", URL, SECRET, HOST), teams).hears(posting())

    assert answer.status == 200
    assert answer.did[0].startswith(f"{IMAGE}:v1 was pushed")


def test_github_starts_the_workflow_with_what_it_reads() -> None:
    workflow = plain_yaml.document(pages.of("relay", "deploy.yml"))
    url = "https://api.github.com/repos/team/app/dispatches"
    github = GitHub("team/app", "token")

    Relayed(relay_of("github", url, SECRET, HOST, "token"), github).hears(posting())

    (dispatched,) = github.dispatched
    assert dispatched["event_type"] in workflow["on"]["repository_dispatch"]["types"]
    read = pages.of("relay", "deploy.yml").split("github.event.client_payload.")[1:]
    assert {each.partition(" ")[0] for each in read} <= set(dispatched["client_payload"])
    assert dispatched["client_payload"]["image"] == f"{IMAGE}@sha256:{'4e' * 32}"


def test_what_the_other_side_refuses_is_to_come_again() -> None:
    slack = Slack("/hook", is_archived=True)

    told, did = Relayed(relay_of("slack", URL, SECRET, HOST), slack).told(posting())

    assert (told.status, told.words, did) == (502, "not told: 410 ", ())


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("too slow")], ids=["no", "slow"]
)
def test_what_the_other_side_does_not_answer_is_to_come_again(failure: Exception) -> None:
    sent = posting()

    answer = relay(answer=failure).answer(sent.headers, sent.body)

    assert answer.status == 502
    assert "sig" not in answer.words


class Endless(httpx.AsyncByteStream):
    """An answer that goes on and on, `pause` seconds between its parts."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self.pause)
            self.given += 100
            yield b"x" * 100


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["flood", "drip"])
def test_of_an_answer_without_end_little_is_read(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "_SECONDS", 0.2)
    sent, endless, began = posting(), Endless(pause), time.monotonic()

    answer = relay(answer=httpx.Response(500, stream=endless)).answer(sent.headers, sent.body)

    assert answer.status == 502
    assert endless.given <= 2_000
    assert time.monotonic() - began < 5


def test_what_the_other_side_took_is_told_whatever_it_says_then() -> None:
    sent, endless = posting(), Endless(0)

    answer = relay(answer=httpx.Response(200, stream=endless)).answer(sent.headers, sent.body)

    assert (answer.status, endless.given) == (200, 0)


def test_a_push_of_another_host_is_told_to_nobody() -> None:
    sent = posting()
    elsewhere = replace(relay(answer=httpx.Response(500)), registry="other.example.com")

    answer = elsewhere.answer(sent.headers, sent.body)

    assert answer.status == 200
    assert answer.words == f"of {HOST!r}, not of other.example.com: nobody is told"


def test_too_many_is_passed_on_with_its_time() -> None:
    sent = posting()
    busy = httpx.Response(429, headers={"Retry-After": "30"})

    answer = relay(answer=busy).answer(sent.headers, sent.body)

    assert (answer.status, answer.retry_after) == (429, "30")


def test_a_redirect_is_not_followed_and_not_a_success() -> None:
    sent = posting()
    moved = httpx.Response(302, headers={"Location": "https://elsewhere.example.com/"})

    assert relay(answer=moved).answer(sent.headers, sent.body).status == 502


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{}"},
        {"body": b"\xff"},
        {"headers": {}},
        {"signature": "v1"},
        {"signature": "v1,!"},
        {"signature": ""},
        {"id": "another"},
        {"timestamp": "1"},
    ],
    ids=str,
)
def test_what_is_not_signed_is_refused(change: dict[str, object]) -> None:
    sent = posting()
    headers = {name.lower(): value for name, value in sent.headers.items()}
    changed = {f"webhook-{name}": str(value) for name, value in change.items()}
    given = {} if "headers" in change else headers | changed
    body = change.get("body", sent.body)
    assert isinstance(body, bytes)

    assert relay().answer(given, body).status == 401


@pytest.fixture
def served() -> Iterator[tuple[str, int]]:
    server = server_of(relay(), ("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host, port = server.server_address[:2]
    yield str(host), port
    server.shutdown()
    server.server_close()
    thread.join()


def asked(address: tuple[str, int], headers: dict[str, str], body: bytes = b"") -> tuple[int, str]:
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.putrequest("POST", "/")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    found = reply.status, reply.read().decode()
    connection.close()
    return found


def test_it_is_served(served: tuple[str, int]) -> None:
    sent = posting()
    headers = {**sent.headers, "Content-Length": str(len(sent.body))}

    assert asked(served, headers, sent.body) == (200, "told")


def test_who_drips_is_left_when_its_time_is_over(
    served: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "_REQUEST_SECONDS", 0.5)

    assert dripped(served[1], "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n") < 5
    assert dripped(served[1], "") < 5


def test_of_a_request_without_end_so_much_is_read() -> None:
    client, server = socket.socketpair()
    with client, server:
        sending = threading.Thread(target=client.sendall, args=(b"x" * 200_000,), daemon=True)
        sending.start()
        incoming = io.BufferedReader(example.Incoming(server, 5))
        assert len(incoming.read(200_000)) == 128 * 1024
        assert incoming.read(1) == b""
        server.close()


@pytest.mark.parametrize("length", ["", "-1", "99999999", "many"])
def test_what_has_no_proper_length_is_not_read(length: str, served: tuple[str, int]) -> None:
    status, _ = asked(served, {"Content-Length": length} if length else {})

    assert status == 413
