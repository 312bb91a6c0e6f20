"""Pace: how fast a client has to send what it asks, and to take what it is answered.

The rates are those of Kestrel, the web server of the Functions host: 240 bytes a second of a body,
on the average, after five seconds. Only the time counts in which we wait for the client: not while
the app keeps it waiting. What it may leave us holding is bounded, too.
"""

from enum import Enum, auto

HEAD_SECONDS = 10.0
"""How long a request's head may take, and a new connection until its first."""

IDLE_SECONDS = 130.0
"""How long an idle connection is kept: longer than proxies do, that they never meet its end."""

GRACE_SECONDS = 5.0
RATE = 240
STILL_SECONDS = 60.0
"""How long a body may not move at all."""

TAKING_SECONDS = 60.0
"""Over which time the rate at which an answer is taken is measured."""

HEAD_BYTES = 64 * 1024
"""How much of a head may come, or of anything else that is no body."""


class Phase(Enum):
    """What a connection is at."""

    NEW = auto()
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    ASKED = auto()


class Asking:
    """How a client comes on with its requests."""

    def __init__(self, now: float) -> None:
        self._phase, self._since = Phase.NEW, now
        self._loose = self._received = self._seen = 0
        self._waited = self._still = 0.0

    @property
    def phase(self) -> Phase:
        """Give what the connection is at."""
        return self._phase

    def enter(self, phase: Phase, now: float) -> None:
        """Note that something begins."""
        self._phase, self._since = phase, now
        self._loose = self._received = self._seen = 0
        self._waited = self._still = 0.0

    def took(self, size: int) -> None:
        """Note that so many bytes came."""
        self._loose += size
        self._received += size

    def had_body(self) -> None:
        """Note that what came was of a body."""
        self._loose = 0

    def excess(self) -> str:
        """Say what is too much; empty where nothing is."""
        if self._loose > HEAD_BYTES:
            return f"has sent over {HEAD_BYTES} bytes that are no body"
        return ""

    def fault(self, now: float) -> str:
        """Say what is too much, or takes too long; empty where nothing is."""
        if excess := self.excess():
            return excess
        passed = now - self._since
        if self._phase in {Phase.NEW, Phase.HEAD} and passed > HEAD_SECONDS:
            return f"has sent no whole head in {HEAD_SECONDS:g} s"
        if self._phase is Phase.IDLE and passed > IDLE_SECONDS:
            return f"has asked nothing for {IDLE_SECONDS:g} s"
        return ""

    def waited(self, seconds: float) -> str:
        """Count time in which we waited for a body; say why it is enough, or nothing."""
        self._waited += seconds
        self._still = 0.0 if self._received > self._seen else self._still + seconds
        self._seen = self._received
        if self._still > STILL_SECONDS:
            return f"has sent nothing of its body for {STILL_SECONDS:g} s"
        if self._waited > GRACE_SECONDS and self._received < RATE * self._waited:
            return f"sends its body at less than {RATE} bytes a second"
        return ""


class Taking:
    """How a client takes what it is answered: what stays in our buffer, time after time."""

    def __init__(self) -> None:
        self._size = self._taken = 0
        self._began: float | None = None

    def holds(self, size: int) -> None:
        """Note how much is in the buffer now: less than before was taken."""
        self._taken += max(0, self._size - size)
        self._size = size

    def fault(self, size: int, now: float) -> str:
        """Say of so full a buffer, looked at from time to time, why it is enough, or nothing."""
        self.holds(size)
        if not size or self._began is None:
            self._began, self._taken = (now if size else None), 0
            return ""
        if now - self._began < TAKING_SECONDS:
            return ""
        if self._taken < RATE * TAKING_SECONDS:
            return f"takes its answer at less than {RATE} bytes a second"
        self._began, self._taken = now, 0
        return ""
