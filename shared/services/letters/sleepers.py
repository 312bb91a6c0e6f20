"""Sleepers: messages of the queue `later`, handed on when their time has come.

    S1 take some messages that have become visible; they are hidden while they are in work
    S2 send each to its queue, or, where its time is still to come, to `later` again
    S3 delete it

Whoever dies between S2 and S3 hands it on twice: at least once is what a queue promises anyway.

What cannot be read, or names a queue that this version of the app does not have, stays where it is
and is told in a row and in the log each time that it comes back: the version that wrote it may
return. A run is bounded in messages and in time; the next one goes on.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter, Sleeper, reason
from shared.storage.ports import MOST_RECEIVED, Received
from shared.storage.rows.failing import Failure, Failures

_log = logging.getLogger(__name__)

_HIDDEN_SECONDS = 600
_RUN_SECONDS = 240
_MOST = 100_000


class Sleepers:
    """Hands on the messages of one storage account."""

    def __init__(
        self,
        messages: LateMessages,
        failures: Failures,
        clock: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._messages = messages
        self._failures = failures
        self._clock = clock
        self._ticks = ticks

    async def wake(self) -> int:
        """Hand on what has become visible, and tell how many messages that were.

        Raises StorageError where a message stays for that; it comes back by itself.
        """
        end, count = self._ticks() + _RUN_SECONDS, 0
        while count < _MOST and self._ticks() < end:
            received = await self._messages.receive(keys.LATER, MOST_RECEIVED, _HIDDEN_SECONDS)
            done = await asyncio.gather(*map(self._hand_on, received), return_exceptions=True)
            for one in done:
                if isinstance(one, BaseException):
                    raise one
            count += len(received)
            if len(received) < MOST_RECEIVED:
                break
        return count

    async def _hand_on(self, received: Received) -> None:
        try:
            await self._messages.hand_on(_read(received))
        except ValueError as error:
            _log.error("message %s of queue later is kept as it is: %s", received.id, error)
            now = self._clock()
            letter = Letter.bare(received.body, now).failed(reason(error))
            due = now + timedelta(seconds=_HIDDEN_SECONDS)
            await self._failures.put(Failure(keys.LATER, letter, due))
        else:
            await self._messages.delete(keys.LATER, received)


def _read(received: Received) -> Sleeper:
    sleeper = Sleeper.read(received.body)
    if sleeper.queue not in keys.QUEUES:
        sent = sleeper.letter.sent
        raise ValueError(f"sent at {sent}, it is for queue {sleeper.queue!r}, unknown here")
    return sleeper
