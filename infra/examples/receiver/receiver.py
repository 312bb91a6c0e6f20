"""A receiver: verifies what it is sent, keeps it, answers at once, and works after.

    R1 the signature is verified            W1 a tag that waits is read
    R2 the push is written, for its tag     W2 the command is run with it
    R3 the registry has its answer          W3 the tag is done, or failed

The registry tells at least once, and not in order. So a row is kept for each tag, the newest push
of it that came: what has its `webhook-id` has come twice, and what is of an earlier `timestamp` is
late, and would deploy an old image; neither changes anything. Who is killed after R2 does the work
at the next start; who is killed before W3 does it twice. What failed waits until it is sent once
more (`webhook replay`), or until the next push.

    python receiver.py --registry HOST --secret-file secret --journal pushes.db -- ./deploy.sh

The command is given HOST/REPOSITORY@DIGEST and the tag; two never run at once. HOST is the registry
that is named here and no other: who may push could choose it where the registry does not know its
own name.
"""

import argparse
import io
import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

type Push = Mapping[str, Any]

_MOST_BYTES = 64 * 1024
_SECONDS = 10
"""How long a request may take to be sent, all in all."""

_TABLE = """
create table if not exists tags (
    name text primary key, id text not null, timestamp text not null, push text not null,
    state text not null
)
"""
_PUT = """
insert into tags values (?, ?, ?, ?, 'waiting')
on conflict (name) do update
set id = excluded.id, timestamp = excluded.timestamp, push = excluded.push, state = 'waiting'
where excluded.timestamp > timestamp or (excluded.id = id and state = 'failed')
"""


class Verdict(Enum):
    """What a receiver makes of what it is sent, and answers."""

    TAKEN = HTTPStatus.ACCEPTED
    KNOWN = HTTPStatus.OK
    """It came before, or after a newer push of its tag: there is nothing to do."""

    NOT_FOR_US = HTTPStatus.NO_CONTENT
    FORGED = HTTPStatus.UNAUTHORIZED


class Journal:
    """A file that keeps the newest push of each tag, and whether it waits, is done or failed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as rows:
            rows.execute(_TABLE)

    def add(self, webhook_id: str, push: Push) -> bool:
        """Keep a push, unless it came before or is older than what came; tell whether it waits."""
        said = (name_of(push), webhook_id, push["timestamp"], json.dumps(push))
        with self._opened() as rows:
            return rows.execute(_PUT, said).rowcount > 0

    def waiting(self) -> tuple[str, Push] | None:
        """Give a push that waits, the oldest first, and its id."""
        query = "select id, push from tags where state = 'waiting' order by timestamp limit 1"
        with self._opened() as rows:
            found = rows.execute(query).fetchone()
        return (found[0], json.loads(found[1])) if found else None

    def finish(self, webhook_id: str, push: Push, *, is_done: bool) -> None:
        """Say what became of a push, unless a newer one of its tag waits now."""
        state = "done" if is_done else "failed"
        with self._opened() as rows:
            rows.execute(
                "update tags set state = ? where name = ? and id = ?",
                (state, name_of(push), webhook_id),
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as rows, rows:
            yield rows


def name_of(push: Push) -> str:
    """Name the tag that was pushed, with its registry."""
    target = push["target"]
    return f"{push['request']['host']}/{target['repository']}:{target['tag']}"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes pushes to `registry` that are signed with `webhook`'s secret, and works on them."""

    registry: str
    webhook: Webhook
    journal: Journal
    work: Callable[[Push], bool]
    changed: Condition

    def take(self, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Keep a push that is signed and newer than what came; headers in small letters."""
        try:
            event = self.webhook.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError):
            return Verdict.FORGED
        if event["action"] != "push" or not event["target"].get("tag"):
            return Verdict.NOT_FOR_US
        if event["request"].get("host", "").lower() != self.registry.lower():
            self._say_dropped(event["request"].get("host", ""))
            return Verdict.NOT_FOR_US
        if not self.journal.add(headers["webhook-id"], event):
            return Verdict.KNOWN
        with self.changed:
            self.changed.notify()
        return Verdict.TAKEN

    def _say_dropped(self, host: str) -> None:
        print(f"dropped: {host!r} is not {self.registry}, for which this was started", flush=True)

    def work_off(self) -> None:
        """Work until nothing waits."""
        while waiting := self.journal.waiting():
            webhook_id, push = waiting
            self.journal.finish(webhook_id, push, is_done=self.work(push))

    def work_forever(self) -> None:
        """Work on what waits, and on what comes."""
        while True:
            self.work_off()
            with self.changed:
                self.changed.wait_for(self.journal.waiting)


def receiver_of(
    secret: str, registry: str, journal: Path, work: Callable[[Push], bool]
) -> Receiver:
    """Put a receiver together; the secret as the registry has it, `whsec_…` or any text."""
    key = secret if secret.startswith("whsec_") else secret.encode()
    return Receiver(registry, Webhook(key), Journal(journal), work, Condition())


def running(command: Sequence[str]) -> Callable[[Push], bool]:
    """Give the work of running a command with what was pushed; it fails where the command does."""

    def run(push: Push) -> bool:
        target = push["target"]
        image = f"{push['request']['host']}/{target['repository']}@{target['digest']}"
        done = subprocess.run([*command, image, target["tag"]], check=False)  # noqa: S603
        print(f"{name_of(push)}: the command ended with {done.returncode}", flush=True)
        return done.returncode == 0

    return run


class Incoming(io.RawIOBase):
    """What a client sends: until its time is over, however it drips, and no more than is taken."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds
        self._bytes = 2 * _MOST_BYTES

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is there; nothing is after so many bytes, and TimeoutError after so long."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long to be sent")
        if not self._bytes:
            return 0
        self._connection.settimeout(left)
        read = self._connection.recv_into(buffer, min(len(buffer), self._bytes))
        self._bytes -= read
        return read


def server_of(receiver: Receiver, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Give a server that takes what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def setup(self) -> None:
            super().setup()
            self.rfile = io.BufferedReader(Incoming(self.connection, _SECONDS))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdecimal() and int(length) <= _MOST_BYTES):
                self._say(HTTPStatus.CONTENT_TOO_LARGE)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._say(receiver.take(headers, self.rfile.read(int(length))).value)

        def _say(self, status: HTTPStatus) -> None:
            self.send_response(status)
            if status is not HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", "0")
            self.end_headers()

    return ThreadingHTTPServer(address, Handler)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Run a command for each tag that is pushed.")
    parser.add_argument("--registry", required=True, metavar="HOST", help="its login server")
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args(arguments)
    secret = asked.secret_file.read_text(encoding="utf-8").rstrip("\n")
    receiver = receiver_of(secret, asked.registry, asked.journal, running(asked.command))
    Thread(target=receiver.work_forever, daemon=True).start()
    with server_of(receiver, (asked.host, asked.port)) as server:
        print(f"listening on http://{asked.host}:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
