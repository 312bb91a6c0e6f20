"""Retries: a letter that fails is sent again, until it succeeds.

    R1 the function does what the letter says, and fails
    R2 the letter is sent again, with one more try, why, and a delay that grows
    R3 a row tells of it, for those who look
    R4 the function ends well: the host removes the message that it was

Who dies before R4 leaves the message to the host, which shows it again: the letter is then there
twice, which is what every service behind a queue reckons with. R2 fails where no queue takes the
letter; the function then fails too, and the host tries four times more. What the host gives up it
puts aside, and `poison` takes it from there.

The row is a report, the letter is the truth. A letter that succeeds takes its row with it; where R3
comes so late that the letter has succeeded before, as after storage was away, the row goes an hour
later.

The sweep and the scrub come again, and send the letter anew for as long as there is a cause: what
they have sent ends after some tries, in less than half a day. Else there would be one more of it
each day. R2 is left out, and the row stays until the next round is due. All others are tried for
ever: nobody else would do what a client's change needs.

What cannot be read is tried for an hour, as a newer version of the app may have sent it, and may be
there next time. Then R3 is all that is left of it: the row goes first, then the message.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from math import ceil
from traceback import format_tb

from shared.errors import RegistryError
from shared.storage import ages
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter, followed, reason
from shared.storage.ports import StorageError
from shared.storage.rows.failing import Failure, Failures

_log = logging.getLogger(__name__)

_READINGS = 5
"""After how many tries nobody hopes to read a letter."""

_OF_ROUNDS = 8
"""After how many tries a letter of the rounds ends."""

_ROUND = timedelta(days=1)
"""When the next round is due, at least of the sweep."""

_LONGEST = 216
"""The longest delay in L: six hours."""

_GROWTHS = 8
"""After how many tries the longest delay is reached, for sure."""


_SPREAD = 16**4


def delay(letter: Letter) -> timedelta:
    """Give how long a letter waits after its failures: L / 10, then four times as long each time.

    Up to a quarter less, by its id: what failed together does not come together again.
    """
    growth: int = 4 ** min(letter.tries - 1, _GROWTHS)
    longest = min(ages.L / 10 * growth, ages.L * _LONGEST)
    return longest * (1 - int(letter.id[:4], 16) / _SPREAD / 4)


class Retries:
    """Runs what stands in letters; nothing that fails is lost."""

    def __init__(
        self, messages: LateMessages, failures: Failures, clock: Callable[[], datetime]
    ) -> None:
        self._messages = messages
        self._failures = failures
        self._clock = clock

    async def run[Message](
        self,
        queue: str,
        body: bytes,
        read: Callable[[bytes], Message],
        do: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Read a message of a queue and do what it says; where that fails, later.

        Raises StorageError where no queue takes it.
        """
        letter = Letter.read(body.decode(errors="backslashreplace"), self._clock())
        try:
            message = read(letter.body.encode())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not for us
            await self._not_read(queue, letter, error)
            return
        try:
            with followed(queue, letter):
                await do(message)
        except Exception as error:  # noqa: BLE001 - whatever failed may be well later
            await self._failed(queue, letter, error)
        else:
            await self._succeeded(letter)

    async def _not_read(self, queue: str, letter: Letter, error: Exception) -> None:
        if letter.tries < _READINGS:
            await self._failed(queue, letter, error)
            return
        letter = letter.failed(reason(error))
        _log.error("letter %s of queue %s is put aside: %s", letter.id, queue, letter.why)
        await self._failures.put(Failure(queue, letter, None))
        await self._report(self._failures.take(letter.id))

    async def _failed(self, queue: str, letter: Letter, error: Exception) -> None:
        is_known = isinstance(error, RegistryError | StorageError)
        letter = letter.failed(reason(error))
        _log.warning(
            "letter %s of queue %s failed, try %d: %s%s",
            letter.id,
            queue,
            letter.tries,
            letter.why,
            "" if is_known else _trace(error),
        )
        if letter.is_copy:  # the one that it is a copy of sleeps
            await self._report(self._failures.tell_why(letter))
        else:
            await self.send_again(queue, letter, delay(letter))

    async def send_again(self, queue: str, letter: Letter, after: timedelta) -> None:
        """Send a letter that failed, unless that is left to the next round; tell of it."""
        if after and letter.is_of_rounds and letter.tries >= _OF_ROUNDS:
            due = letter.sent + _ROUND
        else:
            due = await self._messages.send_letter(queue, letter, ceil(after.total_seconds()))
        await self._report(self._failures.put(Failure(queue, letter, due)))

    async def _succeeded(self, letter: Letter) -> None:
        if letter.tries:
            await self._report(self._failures.take(letter.id))

    async def _report(self, change: Awaitable[object]) -> None:
        """Change a row, if that goes; the host would send again what has been sent already."""
        try:
            await change
        except Exception as error:  # noqa: BLE001 - whatever it is, the letter is on its way
            _log.warning("the report on a letter is not as it should be: %s", reason(error))


def _trace(error: Exception) -> str:
    """Tell where an error was raised, without what it says: that may hold a signed address."""
    return "".join(["\nTraceback:\n", *format_tb(error.__traceback__)]).rstrip()
