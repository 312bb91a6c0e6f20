"""Messages as those get them who read them, those that sleep in `later` among them."""

from collections.abc import Iterable
from datetime import UTC, datetime

from shared.storage import keys
from shared.storage.memory.messages import Sent
from shared.storage.messages.letters import Letter, Sleeper

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def addressed(sent: Iterable[Sent]) -> list[Sent]:
    """Give each message as its reader gets it; one that sleeps keeps its first delay."""
    return [awake(message) for message in sent]


def awake(message: Sent) -> Sent:
    """Give a message as its reader gets it."""
    queue, letter = letter_of(message)
    return Sent(queue, letter.body, message.delay)


def letter_of(message: Sent) -> tuple[str, Letter]:
    """Give the queue that a message is for, and the letter."""
    if message.queue != keys.LATER:
        return message.queue, Letter.read(message.body, LONG_AGO)
    sleeper = Sleeper.read(message.body)
    return sleeper.queue, sleeper.letter
