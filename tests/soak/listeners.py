"""Listeners: receivers of a soak's webhooks, who verify what comes, and note what they were told.

A moody one takes few things the first time: which mishap an event meets, and how often, hangs on
its id, and now and then it answers nothing but errors for a while. It counts as told of what it has
answered with success.
"""

import json
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from tests.support.receivers import Connection, Manner, Received, Receiver

PATIENCE_SECONDS = 2
"""How long a moody listener is given."""

_CONSUMERS = {"push": "AFTER_PUSH", "delete": "AFTER_DELETION"}
_SPELL, _BETWEEN = 8, 150


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a listener is told of it, but for its id."""

    action: str
    repository: str
    digest: str
    tag: str
    timestamp: str

    @property
    def change(self) -> tuple[str, str, str, str]:
        """Say what has changed, as the model does."""
        return _CONSUMERS[self.action], self.repository, self.digest, self.tag


def _fails(connection: Connection) -> None:
    connection.answer(500, {}, b"")


def _is_busy(connection: Connection) -> None:
    connection.answer(503, {"Retry-After": "1"}, b"")


def _hangs_up(_: Connection) -> None:
    """End the connection."""


def _is_too_slow(connection: Connection) -> None:
    connection.wait(PATIENCE_SECONDS + 1)


_MISHAPS: Sequence[Manner] = (_fails, _is_busy, _hangs_up, _is_too_slow)
_FATES = 2 * len(_MISHAPS)


@dataclass
class Listener:
    """One receiver: `told` is what it took, by id; `moments` are when requests came.

    `faults` are requests that should not have come as they did.
    """

    name: str
    is_moody: bool = False
    secret: str = field(init=False)
    address: str = ""
    told: dict[str, Told] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Agree on a secret."""
        self.secret = f"whsec_{b64encode(self.name.ljust(32, '.').encode()).decode()}"

    def hear(self, connection: Connection) -> None:
        """Take a request, and answer it in the mood of the moment."""
        got = connection.read()
        connection.receiver.received.clear()
        if not got.is_whole:  # its sender was killed
            return
        with self._lock:
            event, told = self._read(got)
            mishap = self._mishap(event, connection.number)
            if mishap is None:
                self._take(event, told, got.at)
        (mishap or _succeeds)(connection)

    def changes(self) -> Counter[tuple[str, str, str, str]]:
        """Count the events of each change."""
        return Counter(told.change for told in self.told.values())

    def _read(self, got: Received) -> tuple[str, Told]:
        self.moments.append(got.at)
        event = got.headers.get("webhook-id", "")
        try:
            StandardWebhook(self.secret).verify(got.body, dict(got.headers))
        except WebhookVerificationError as error:
            self.faults.append(f"{event}: {error}")
        said = json.loads(got.body)
        said = said.get("data", said)
        if said["id"] != event:
            self.faults.append(f"{event}: its body says {said['id']}")
        it = said["target"]
        where = it["repository"], it["digest"], it.get("tag", "")
        return event, Told(said["action"], *where, said["timestamp"])

    def _take(self, event: str, told: Told, at: float) -> None:
        if event not in self.told:
            self.delays.append(at - _seconds(told.timestamp))
        if self.told.setdefault(event, told) != told:
            self.faults.append(f"{event}: {told} was {self.told[event]}")

    def _mishap(self, event: str, number: int) -> Manner | None:
        self._asked[event] += 1
        if not self.is_moody:
            return None
        if number % _BETWEEN < _SPELL:
            return _fails
        fate, others = int(event[-4:], 16) % _FATES, int(event[:4], 16)
        is_over = self._asked[event] > 1 + others % 2
        return None if is_over or fate >= len(_MISHAPS) else _MISHAPS[fate]

    def __str__(self) -> str:
        """Say how much it was told."""
        delays = sorted(self.delays) or [0.0]
        half, most = (delays[int(part * (len(delays) - 1))] for part in (0.5, 0.99))
        return (
            f"{self.name}: {len(self.told)} events by {len(self.moments)} requests,"
            f" half of them within {half:.1f} s, 99 % within {most:.1f} s"
        )


@contextmanager
def listening(listeners: Sequence[Listener]) -> Iterator[None]:
    """Let them listen for a while."""
    with ExitStack() as stack:
        for listener in listeners:
            receiver = stack.enter_context(Receiver(listener.hear))
            listener.address = receiver.url("/hook")
        yield


def _succeeds(connection: Connection) -> None:
    connection.answer(200, {}, b"")


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
