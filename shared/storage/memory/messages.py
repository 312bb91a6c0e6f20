"""Messages in memory."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import NamedTuple

from shared.storage.ports import NotPrepared, Received

_numbers = count(1)


class Sent(NamedTuple):
    """A text on a queue, and the seconds after which it is seen."""

    queue: str
    body: str
    delay: int


class _Kept(Sent):
    """The same, told from others that say the same."""

    id: str
    seen_at: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryMessages:
    """Queues in one list: `sent` is what was sent and is not deleted, in order."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self.sent: list[Sent] = []
        self._queues: set[str] = set()
        self._hidden: dict[str, tuple[str, datetime]] = {}

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues that are missing."""
        self._queues.update(queues)

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        self._open(queue)
        message = _Kept(queue, body, delay_seconds)
        message.id = str(next(_numbers))
        message.seen_at = self._clock() + timedelta(seconds=delay_seconds)
        self.sent.append(message)

    async def receive(self, queue: str, limit: int, hidden_seconds: int) -> list[Received]:
        """Take some texts that are seen now, and hide them."""
        until = self._clock() + timedelta(seconds=hidden_seconds)
        found = [*islice(self._seen(queue), limit)]
        for message in found:
            self._hidden[message.id] = str(next(_numbers)), until
        return [Received(it.id, it.body, self._hidden[it.id][0]) for it in found]

    async def delete(self, queue: str, received: Received) -> bool:
        """Remove a text that was received and not since."""
        self._open(queue)
        if self._hidden.get(received.id, ("",))[0] != received.receipt:
            return False
        del self._hidden[received.id]
        self.sent[:] = [it for it in self.sent if getattr(it, "id", "") != received.id]
        return True

    async def peek(self, queue: str, limit: int) -> list[str]:
        """Give some texts that are seen now."""
        return [message.body for message in islice(self._seen(queue), limit)]

    def _seen(self, queue: str) -> Iterator[_Kept]:
        self._open(queue)
        now = self._clock()
        for message in self.sent:
            if not isinstance(message, _Kept) or message.queue != queue:
                continue
            if max(message.seen_at, self._hidden.get(message.id, ("", message.seen_at))[1]) <= now:
                yield message

    def _open(self, queue: str) -> None:
        if queue not in self._queues:
            raise NotPrepared(f"queue {queue} is not there")
