"""The delivery to webhooks put together; loaded with the first message or tick that is for it."""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.assembly.jobs import Jobs
from shared.assembly.webhooks import seal_of
from shared.model.outbound.posting import Poster
from shared.services.webhooks.attempting import Attempting, Underway
from shared.services.webhooks.delivering import Deliverer
from shared.services.webhooks.probing import Probing
from shared.services.webhooks.tasks import Tasks
from shared.services.webhooks.tending import Tending
from shared.settings import Settings
from shared.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Outside:
    """What bounds a process, and leads out of it, for all of its registries together."""

    poster: Poster
    underway: Underway = field(default_factory=Underway)


def tasks_of(jobs: Jobs, outside: Outside) -> Tasks:
    """Give what messages come to."""
    stores = jobs.stores
    seal = seal_of(jobs.master_keys, stores.generation)
    attempting = Attempting(outside.poster, seal, jobs.host, stores.clock, stores.ticks)
    deliverer = Deliverer(stores, attempting, outside.underway)
    return Tasks(deliverer, Probing(stores, deliverer, outside.underway))


def tending_of(settings: Settings, stores: Stores) -> Tending:
    """Give who sees to deliveries once an hour."""
    return Tending(stores, timedelta(days=settings.webhook_event_days))
