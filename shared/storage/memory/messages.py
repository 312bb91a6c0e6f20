"""Messages in memory."""

from collections.abc import Sequence

from shared.storage.ports import (
    NotPrepared,
)


class MemoryMessages:
    """Queues that only fill: `sent` lists (queue, body, delay) in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int]] = []
        self._queues: set[str] = set()

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues that are missing."""
        self._queues.update(queues)

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        if queue not in self._queues:
            raise NotPrepared(f"queue {queue} is not there")
        self.sent.append((queue, body, delay_seconds))
