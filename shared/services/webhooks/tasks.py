"""Tasks: what a message of the queue `deliveries` comes to."""

from shared.services.webhooks.delivering import Deliverer
from shared.services.webhooks.probing import Probing
from shared.storage.messages.delivering import Task, ToDeliver


class Tasks:
    """Does what is asked for the webhooks of one registry generation."""

    def __init__(self, deliverer: Deliverer, probing: Probing) -> None:
        self._deliverer = deliverer
        self._probing = probing

    async def do(self, asked: ToDeliver) -> None:
        """Do what a message asks for; raises StorageError."""
        match asked.task:
            case Task.DELIVER:
                await self._deliverer.deliver(asked)
            case Task.PROBE:
                await self._probing.probe(asked)
            case Task.DRAIN:
                await self._probing.drain(asked)
