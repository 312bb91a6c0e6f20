"""Later: what is to sleep for long sleeps in a queue of its own, to which no function listens.

A host starts as many instances as a queue is long, sleepers included, as soon as one message of it
is seen. So what is to be seen in L or more goes to the queue `later`, with the name of its queue
and its time; `services/letters/sleepers` hands on what has become visible there. What is to sleep
for longer than a queue keeps a message comes back in between, and sleeps again.

Whoever sends does not see any of this: these are the Messages of all stores. They take any delay,
and make a letter of each text (`letters`): those of the rounds have Messages of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from shared.storage import ages, keys
from shared.storage.messages.letters import BODY_BYTES, Letter, Sleeper, goes_on_with_rounds
from shared.storage.ports import LONGEST_DELAY, Messages, Received

_SHOWN = 100


class LateMessages:
    """Messages that take any delay; each is a letter, `is_of_rounds` or not."""

    def __init__(
        self,
        messages: Messages,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        *,
        is_of_rounds: bool = False,
    ) -> None:
        self._messages = messages
        self._clock = clock
        self._new_id = new_id
        self._is_of_rounds = is_of_rounds

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues that are missing."""
        await self._messages.prepare(queues)

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue; it is seen after the delay, if that is long some minutes later.

        Raises ValueError for one that is too long.
        """
        size = len(body.encode())
        if size > BODY_BYTES:
            raise ValueError(
                f"a text of {size} bytes for queue {queue}: a letter takes {BODY_BYTES}"
                f" (BODY_BYTES), so name less in it: {body[:_SHOWN]!r}…"
            )
        await self.send_letter(queue, self._letter(queue, body), delay_seconds)

    def _letter(self, queue: str, body: str) -> Letter:
        if self._is_of_rounds or goes_on_with_rounds(queue):
            return replace(Letter.bare(body, self._clock()), is_of_rounds=True)
        return Letter(self._new_id(), self._clock(), body)

    async def send_letter(self, queue: str, letter: Letter, delay_seconds: int = 0) -> datetime:
        """Send a letter again, or for the first time; tell when it is due."""
        due = self._clock() + timedelta(seconds=delay_seconds)
        await self._put(Sleeper(queue, due, letter), delay_seconds)
        return due

    async def hand_on(self, sleeper: Sleeper) -> None:
        """Put a message that has slept on its queue; before its time, let it sleep again."""
        wait = max(sleeper.due - self._clock(), timedelta())
        await self._put(sleeper, ceil(wait.total_seconds()))

    async def _put(self, sleeper: Sleeper, seconds: int) -> None:
        if seconds < ages.L.total_seconds():
            await self._messages.send(sleeper.queue, sleeper.letter.text(), seconds)
        else:
            longest = int(LONGEST_DELAY.total_seconds())
            await self._messages.send(keys.LATER, sleeper.text(), min(seconds, longest))

    async def receive(self, queue: str, limit: int, hidden_seconds: int) -> list[Received]:
        """Take some texts that are seen now, and hide them."""
        return await self._messages.receive(queue, limit, hidden_seconds)

    async def delete(self, queue: str, received: Received) -> bool:
        """Remove a text that was received and not since."""
        return await self._messages.delete(queue, received)

    async def peek(self, queue: str, limit: int) -> list[str]:
        """Give some texts that are seen now."""
        return await self._messages.peek(queue, limit)
