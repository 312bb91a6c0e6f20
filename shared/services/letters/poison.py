"""Poison: what the host has given up comes back to life.

The host gives a message five tries: fifty seconds in which no queue took a copy of it, or five
deaths of the process that ran it. Then it puts the text aside, in a queue of its own that forgets
it after seven days. So every five minutes:

    P1 take some messages from there; they are hidden while they are in work
    P2 send each to the queue that it came from, with one more try and a delay that grows
    P3 delete it

Who dies between P2 and P3 sends it twice, as everybody may. A message that kills whoever reads it
costs five processes, then as many later, at last every six hours: it stays, and is to be seen.

What the trigger of new blobs could not do is an object to verify: that has a queue as well, where
it goes then. Events of others' containers are left alone, they may share the queue.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast

import orjson

from shared.services.letters.retries import Retries, delay
from shared.storage import ages, keys
from shared.storage.messages.letters import Letter, reason
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import MOST_RECEIVED, Messages, NotPrepared, Received, StorageError
from shared.storage.rows.failing import Failure, Failures

_log = logging.getLogger(__name__)

GAVE_UP = "the host gave up, after five tries or deaths"

_HIDDEN_SECONDS = 600
_RUN_SECONDS = 240
_STALE = 36
"""How long after its time a row tells of nothing any more, in L: an hour."""


class Poison:
    """Sees to what the host put aside, in one storage account."""

    def __init__(
        self,
        messages: Messages,
        retries: Retries,
        failures: Failures,
        clock: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._messages = messages
        self._retries = retries
        self._failures = failures
        self._clock = clock
        self._ticks = ticks

    async def see_to(self) -> None:
        """Revive what was given up, and forget the rows of letters that have long succeeded.

        Raises StorageError where a message stays for that; it comes back by itself.
        """
        await self.revive()
        await self._failures.forget(self._clock() - ages.L * _STALE)

    async def revive(self, *, is_at_once: bool = False) -> int:
        """Send again what was given up, later or at once, and tell how many messages that were."""
        queues = [self._empty(queue, is_at_once=is_at_once) for queue in keys.POISON]
        done = await asyncio.gather(*queues, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return sum(cast("list[int]", done))

    async def peek(self) -> Sequence[tuple[str, Letter]]:
        """Give the first of what was given up, each with the queue in which it lies."""
        found: list[tuple[str, Letter]] = []
        for queue in keys.POISON:
            with suppress(NotPrepared):
                texts = await self._messages.peek(queue, MOST_RECEIVED)
                found += [(queue, Letter.read(text, self._clock())) for text in texts]
        return found

    async def _empty(self, queue: str, *, is_at_once: bool) -> int:
        """Empty one of the host's queues; it may not be there."""
        end, count = self._ticks() + _RUN_SECONDS, 0
        with suppress(NotPrepared):
            while self._ticks() < end:
                received = await self._messages.receive(queue, MOST_RECEIVED, _HIDDEN_SECONDS)
                taken = list[bool]()
                for one in received:
                    if self._ticks() >= end:  # the others come back when they are hidden no more
                        break
                    taken.append(await self._try(queue, one, is_at_once=is_at_once))
                count += sum(taken)
                if len(received) < MOST_RECEIVED or not any(taken):
                    break
        return count

    async def _try(self, queue: str, received: Received, *, is_at_once: bool) -> bool:
        """See to one message, or leave it where it is: one that no queue takes holds up no other.

        Raises StorageError.
        """
        try:
            return await self._take(queue, received, is_at_once=is_at_once)
        except StorageError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it will be so next time, too
            _log.exception("message %s of queue %s stays there", received.id, queue)
            return False

    async def _take(self, queue: str, received: Received, *, is_at_once: bool) -> bool:
        """See to one message; False where it is none of ours."""
        if queue != keys.BLOB_POISON:
            letter = Letter.read(received.body, self._clock())
            await self._send(queue.removesuffix(keys.POISON_SUFFIX), letter, is_at_once=is_at_once)
        elif not await self._verify(received.body, is_at_once=is_at_once):
            return False
        await self._messages.delete(queue, received)
        return True

    async def _verify(self, text: str, *, is_at_once: bool) -> bool:
        """Have the blob of an event verified; False where it is none of ours."""
        letter = Letter.read(text, self._clock())  # one that an operator has tried again
        try:
            asked = _asked(letter.body)
        except ValueError as error:
            failed = letter.failed(reason(error))
            await self._failures.put(Failure(keys.BLOB_POISON, failed, None))
            return True
        if asked:
            letter = Letter.bare(asked.text(), self._clock())
            await self._send(keys.VERIFICATION, letter, is_at_once=is_at_once)
        return asked is not None

    async def _send(self, queue: str, letter: Letter, *, is_at_once: bool) -> None:
        if letter.is_copy:  # the one that it is a copy of sleeps
            return
        before = "" if letter.why.startswith(GAVE_UP) or not letter.why else f"; {letter.why}"
        letter = letter.failed(f"{GAVE_UP}{before}")
        after = timedelta() if is_at_once else delay(letter)
        await self._retries.send_again(queue, letter, after)


def _asked(text: str) -> ToVerify | None:
    """Read an event of a new blob; None for one of others; raises ValueError for what is none."""
    event = orjson.loads(text)
    try:
        is_ours = event["ContainerName"] == keys.CONTAINER
        return ToVerify.named(event["BlobName"]) if is_ours else None
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"it is no event of a blob: {error!r}") from error
