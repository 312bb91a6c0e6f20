"""What fails: a look at every letter that failed, and a push for those that an operator names.

A letter that sleeps until it is tried again cannot be fetched out of its queue. So whoever wants it
done now sends a copy, which takes the row with it if it succeeds, and is not sent again if it
fails: the letter itself still comes when it is due. What could not be read is in its row alone:
it is sent first, then the row goes, unless it has been written again meanwhile. It alone can be
dropped: of what sleeps the letter would come all the same.

A sleeper that cannot be read comes back by itself, and where it is to go only its own text tells:
nothing is sent of it. A copy would be one more that nobody can read.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import orjson

from shared.services.letters.poison import GAVE_UP, Poison
from shared.storage import keys
from shared.storage.layers.later import LateMessages
from shared.storage.messages.letters import Letter, is_id
from shared.storage.rows.failing import Failure, Failures

_PAGE = 200
_TELLING = ("kind", "repository", "object", "digest")


class State(StrEnum):
    """Where a letter is that failed."""

    WAITS = "waits"
    """It is tried again when it is due."""

    UNREADABLE = "unreadable"
    """It is kept, and is not tried again by itself."""

    GIVEN_UP = "given up"
    """It lies where the host put it, for some minutes more."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A letter that failed; `what` it asks for, and how long ago it was sent first."""

    id: str
    queue: str
    what: str
    state: State
    sent: datetime
    age: timedelta
    tries: int
    due: datetime | None
    why: str


class FailingLetters:
    """Shows what fails in one storage account, and has it tried again, or dropped."""

    def __init__(
        self,
        messages: LateMessages,
        failures: Failures,
        poison: Poison,
        clock: Callable[[], datetime],
    ) -> None:
        self._messages = messages
        self._failures = failures
        self._poison = poison
        self._clock = clock

    async def all(self) -> AsyncIterator[Failing]:
        """Give all of them, one by one; of those given up the first ones."""
        async for failure in self._rows():
            yield self._told(failure)
        for queue, letter in await self._poison.peek():
            given_up = letter.failed(letter.why or GAVE_UP)
            yield self._shown(queue, given_up, State.GIVEN_UP, None)

    async def find(self, letter_id: str) -> tuple[Failing, str] | None:
        """Give a letter and its body; None where no row tells of it."""
        failure = await self._find(letter_id)
        return self._opened(failure) if failure else None

    async def retry(self, letter_id: str) -> bool:
        """Have a letter tried now; False where no row tells of it, or no queue is known."""
        failure = await self._find(letter_id)
        return failure is not None and await self._send(failure)

    async def drop(self, letter_id: str) -> tuple[Failing, str] | None:
        """Forget a letter that could not be read, and give it; None where there is none such."""
        key = keys.unreadable(letter_id)
        failure = await self._failures.find(key) if is_id(letter_id) else None
        if failure and await self._failures.take(key, failure.etag):
            return self._opened(failure)
        return None

    async def retry_all(self) -> int:
        """Have all letters tried now, and tell how many."""
        count = 0
        async for failure in self._rows():
            count += await self._send(failure)
        return count + await self._poison.revive(is_at_once=True)

    async def _send(self, failure: Failure) -> bool:
        if failure.queue == keys.LATER:
            return False
        letter, is_copy = failure.letter, failure.due is not None
        await self._messages.send_letter(failure.queue, replace(letter, is_copy=is_copy))
        if not is_copy:
            await self._failures.take(failure.key, failure.etag)
        return True

    async def _find(self, letter_id: str) -> Failure | None:
        names = (letter_id, keys.unreadable(letter_id)) if is_id(letter_id) else ()
        for key in names:
            if failure := await self._failures.find(key):
                return failure
        return None

    async def _rows(self) -> AsyncIterator[Failure]:
        after = ""
        while page := await self._failures.page(after, _PAGE):
            for failure in page:
                yield failure
            after = page[-1].key

    def _opened(self, failure: Failure) -> tuple[Failing, str]:
        return self._told(failure), failure.letter.body

    def _told(self, failure: Failure) -> Failing:
        state = State.WAITS if failure.due else State.UNREADABLE
        return self._shown(failure.queue, failure.letter, state, failure.due)

    def _shown(self, queue: str, letter: Letter, state: State, due: datetime | None) -> Failing:
        age = self._clock() - letter.sent
        return Failing(
            id=letter.id,
            queue=queue,
            what=what(letter.body),
            state=state,
            sent=letter.sent,
            age=age,
            tries=letter.tries,
            due=due,
            why=letter.why,
        )


def what(body: str) -> str:
    """Say in a few words what a message asks for, as far as it tells."""
    try:
        said = orjson.loads(body)
        told = [said.get(name) for name in _TELLING]
        return " ".join(text for text in told if text and isinstance(text, str))
    except (ValueError, AttributeError):
        return ""
