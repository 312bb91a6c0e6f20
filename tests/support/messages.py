"""Messages as they reach their queues, those that sleep in `later` among them."""

from collections.abc import Iterable

from shared.storage import keys
from shared.storage.layers.later import Sleeper
from shared.storage.memory.messages import Sent


def addressed(sent: Iterable[Sent]) -> list[Sent]:
    """Give each message as its own queue gets it; one that sleeps keeps its first delay."""
    return [awake(message) for message in sent]


def awake(message: Sent) -> Sent:
    """Give a message as its own queue gets it."""
    if message.queue != keys.LATER:
        return message
    sleeper = Sleeper.read(message.body)
    return Sent(sleeper.queue, sleeper.body, message.delay)
