"""The example receiver, sent what the registry would send."""

import http.client
import io
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from infra.examples.receiver import receiver as example
from infra.examples.receiver.receiver import Push, Receiver, Verdict, receiver_of, server_of
from shared.events import Cause, Event, ManifestDeleted, ManifestPushed
from shared.model.outbound.posting import Posting
from shared.model.webhooks.webhook import Callback, Secret, Webhook
from shared.services.webhooks.configuration.checking import check_secret
from shared.services.webhooks.requests.bodies import Notice
from shared.services.webhooks.requests.posting import posting_of
from shared.services.webhooks.requests.signatures import key_of
from tests.examples.dripping import dripped

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOST = "registry.example"
BY = Cause("ci", "r1", HOST, "PUT", "docker/27")
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
WEBHOOK = Webhook("receiver", "id", AT)
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"


def sent(event: Event | None, secret: str = SECRET, name: str = "", host: str = HOST) -> Posting:
    """Give what the registry sends now of an event."""
    name = name or f"20260101T120000000000-{uuid4().hex}"
    notice = Notice.of(name, "team/app", event, host) if event else Notice(name, AT, HOST)
    callback = Callback("http://127.0.0.1/", secrets=[Secret(secret)])
    return posting_of(WEBHOOK, callback, notice, datetime.now(UTC))


def push(seconds: float = 0, tag: str = "v1") -> ManifestPushed:
    at = AT + timedelta(seconds=seconds)
    return ManifestPushed(f"sha256:{seconds:064}", tag, MEDIA_TYPE, 7, BY, at)


class Works:
    """Work that is noted, and fails when it is told to."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.succeeds = True

    def __call__(self, push: Push) -> bool:
        self.done.append(push["timestamp"][17:19])
        return self.succeeds


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def receiver(tmp_path: Path, works: Works) -> Receiver:
    return receiver_of(SECRET, HOST, tmp_path / "journal", works)


def take(receiver: Receiver, posting: Posting) -> Verdict:
    return receiver.take(posting.headers, posting.body)


def test_a_push_is_kept_and_worked_on_after(receiver: Receiver, works: Works) -> None:
    assert take(receiver, sent(push())) is Verdict.TAKEN
    assert works.done == []
    receiver.work_off()
    assert works.done == ["00"]


def test_a_push_that_comes_twice_is_worked_on_once(receiver: Receiver, works: Works) -> None:
    name = f"20260101T120000000000-{uuid4().hex}"
    for _ in range(2):
        take(receiver, sent(push(), name=name))
        receiver.work_off()
    assert take(receiver, sent(push(), name=name)) is Verdict.KNOWN
    assert works.done == ["00"]


def test_a_late_push_deploys_no_old_image(receiver: Receiver, works: Works) -> None:
    for seconds in (2, 1):
        take(receiver, sent(push(seconds)))
        receiver.work_off()
    assert works.done == ["02"]


def test_the_newest_of_those_that_wait_is_worked_on(receiver: Receiver, works: Works) -> None:
    for seconds in (1, 3, 2):
        take(receiver, sent(push(seconds)))
    receiver.work_off()
    assert works.done == ["03"]


def test_microseconds_tell_pushes_apart(receiver: Receiver) -> None:
    assert take(receiver, sent(push(0.000002))) is Verdict.TAKEN
    assert take(receiver, sent(push(0.000001))) is Verdict.KNOWN
    assert take(receiver, sent(push(0.000010))) is Verdict.TAKEN


def test_tags_do_not_meet(receiver: Receiver, works: Works) -> None:
    take(receiver, sent(push(2)))
    take(receiver, sent(push(1, "v2")))
    receiver.work_off()
    assert works.done == ["01", "02"]


def test_what_came_while_a_push_was_worked_on_is_next(receiver: Receiver) -> None:
    done: list[str] = []

    def work(pushed: Push) -> bool:
        done.append(pushed["timestamp"][17:19])
        if len(done) == 1:
            take(receiver, sent(push(2)))
        return True

    take(receiver, sent(push(1)))
    replace(receiver, work=work).work_off()
    assert done == ["01", "02"]


def test_what_failed_is_done_when_it_is_replayed(receiver: Receiver, works: Works) -> None:
    name = f"20260101T120000000000-{uuid4().hex}"
    works.succeeds = False
    take(receiver, sent(push(), name=name))
    receiver.work_off()
    works.succeeds = True
    assert take(receiver, sent(push(), name=name)) is Verdict.TAKEN
    receiver.work_off()
    assert works.done == ["00", "00"]
    assert receiver.journal.waiting() is None


def test_who_was_killed_works_at_the_next_start(tmp_path: Path, works: Works) -> None:
    take(receiver_of(SECRET, HOST, tmp_path / "journal", works), sent(push()))
    receiver_of(SECRET, HOST, tmp_path / "journal", works).work_off()
    assert works.done == ["00"]


@pytest.mark.parametrize(
    "event", [None, ManifestDeleted(f"sha256:{1:064}", MEDIA_TYPE, BY, AT), push(tag="")]
)
def test_pings_deletions_and_pushes_without_a_tag_are_nothing(
    receiver: Receiver, event: Event | None
) -> None:
    assert take(receiver, sent(event)) is Verdict.NOT_FOR_US
    assert receiver.journal.waiting() is None


def forged(posting: Posting) -> Iterator[tuple[Mapping[str, str], bytes]]:
    yield {}, posting.body
    yield posting.headers, posting.body.replace(b'"v1"', b'"v2"')
    yield {**posting.headers, "webhook-id": "other"}, posting.body
    yield {**posting.headers, "webhook-timestamp": "1767268800"}, posting.body
    yield {**posting.headers, "webhook-signature": "v1,"}, posting.body
    yield {**posting.headers, "webhook-signature": "nonsense"}, posting.body


def test_what_is_forged_is_refused(receiver: Receiver) -> None:
    for headers, body in forged(sent(push())):
        assert receiver.take(headers, body) is Verdict.FORGED
    assert take(receiver, sent(push(), "another secret")) is Verdict.FORGED
    assert receiver.journal.waiting() is None


def test_a_push_of_another_host_is_dropped(
    receiver: Receiver, works: Works, capsys: pytest.CaptureFixture[str]
) -> None:
    for host in ("evil.example", "evil\n.example", ""):
        elsewhere = replace(push(), cause=replace(BY, host=host))
        assert take(receiver, sent(elsewhere, host="")) is Verdict.NOT_FOR_US
    receiver.work_off()
    assert works.done == []
    assert capsys.readouterr().out.splitlines() == [
        "dropped: 'evil.example' is not registry.example, for which this was started",
        "dropped: 'evil\\n.example' is not registry.example, for which this was started",
        "dropped: '' is not registry.example, for which this was started",
    ]


def test_the_host_is_compared_in_whichever_letters(receiver: Receiver) -> None:
    written = replace(push(), cause=replace(BY, host="Registry.EXAMPLE"))
    assert take(receiver, sent(written)) is Verdict.TAKEN


def test_a_secret_may_be_any_text(tmp_path: Path, works: Works) -> None:
    receiver = receiver_of("any téxt", HOST, tmp_path / "journal", works)
    assert take(receiver, sent(push(), "any téxt")) is Verdict.TAKEN


@contextmanager
def serving(receiver: Receiver) -> Iterator[int]:
    with server_of(receiver, ("127.0.0.1", 0)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def post(port: int, posting: Posting, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", posting.body, {**posting.headers, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def test_its_answers_over_http(receiver: Receiver) -> None:
    with serving(receiver) as port:
        taken = sent(push())
        assert post(port, taken) == HTTPStatus.ACCEPTED
        assert post(port, taken) == HTTPStatus.OK
        assert post(port, sent(None)) == HTTPStatus.NO_CONTENT
        assert post(port, replace(taken, body=b"{}")) == HTTPStatus.UNAUTHORIZED
        assert post(port, replace(taken, body=b"x" * 70_000)) == HTTPStatus.CONTENT_TOO_LARGE
        assert post(port, taken, **{"Content-Length": "-1"}) == HTTPStatus.CONTENT_TOO_LARGE


def test_who_drips_is_left_when_its_time_is_over(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "_SECONDS", 0.5)
    with serving(receiver) as port:
        assert dripped(port, "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n") < 5
        assert dripped(port, "") < 5
        assert post(port, sent(push())) == HTTPStatus.ACCEPTED


def test_of_a_request_without_end_so_much_is_read() -> None:
    client, server = socket.socketpair()
    with client, server:
        sending = Thread(target=client.sendall, args=(b"x" * 200_000,), daemon=True)
        sending.start()
        incoming = io.BufferedReader(example.Incoming(server, 5))
        assert len(incoming.read(200_000)) == 128 * 1024
        assert incoming.read(1) == b""
        server.close()


def test_headers_without_end_are_not_read(receiver: Receiver) -> None:
    with serving(receiver) as port:
        many = {f"X-{number}": "x" * 60_000 for number in range(5)}
        with suppress(OSError):
            assert post(port, sent(push()), **many) >= HTTPStatus.BAD_REQUEST
    assert receiver.journal.waiting() is None


def test_the_program_runs_the_command(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    noted = tmp_path / "noted"
    command = [sys.executable, "-c", "import sys; open(sys.argv[1], 'w').write(str(sys.argv[2:]))"]
    files = ["--secret-file", f"{tmp_path}/secret", "--journal", f"{tmp_path}/journal"]
    options = ["--registry", HOST, *files]
    program = [sys.executable, "-u", example.__file__, *options, "--port", "0", "--", *command]
    with subprocess.Popen([*program, str(noted)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        try:
            port = int(running.stdout.readline().rpartition(":")[2].rstrip("/\n"))
            assert post(port, sent(push(1, "v1"))) == HTTPStatus.ACCEPTED
            assert "ended with 0" in running.stdout.readline()
        finally:
            running.kill()
    assert noted.read_text() == str([f"registry.example/team/app@sha256:{1:064}", "v1"])


README = (Path(example.__file__).parent / "README.md").read_text()
EVENTS: Mapping[str, Event | None] = {
    "a tag is pushed": push(),
    "a manifest is pushed by digest": push(tag=""),
    "cosign pushes a signature": push(tag=f"sha256-{'4e' * 32}.sig"),
    "a manifest is deleted": ManifestDeleted(f"sha256:{1:064}", MEDIA_TYPE, BY, AT),
    "ping": None,
    "a tag is pushed, with another secret": push(),
}


@pytest.mark.parametrize("event", EVENTS)
def test_the_page_says_what_is_answered(receiver: Receiver, event: str) -> None:
    (status,) = re.findall(rf"^\| {re.escape(event)} \| [^|]+ \| (\d+) \|", README, re.MULTILINE)
    posting = sent(EVENTS[event], "another secret" if "another" in event else SECRET)
    assert take(receiver, posting).value == int(status)


def test_the_secret_that_the_page_makes_is_one() -> None:
    (program,) = re.findall(r"python -c '(.*)' > receiver.secret", README)
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    check_secret(made.stdout.decode().strip())
    assert len(key_of(made.stdout.decode().strip())) == 32
