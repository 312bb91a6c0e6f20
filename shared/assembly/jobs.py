"""A registry as functions behind queues and timers meet it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from shared.model.digest import Digest
from shared.model.master_keys import MasterKeys
from shared.model.names import RepositoryName
from shared.model.progress import ProgressSeal
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.events.fallback_lists import FallbackLists
from shared.services.events.fan_out import FanOut
from shared.services.explaining.explaining import Explaining
from shared.services.garbage.collection import Collection
from shared.services.garbage.garbage import Garbage
from shared.services.garbage.leftovers import Leftovers
from shared.services.sweep.findings import Told
from shared.services.sweep.sweep import Sweep
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.services.verification.healing import Healing
from shared.services.verification.scrub import Scrub
from shared.services.verification.verification import Verification
from shared.settings import Settings
from shared.storage.rows.registries import RegistryRecord
from shared.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Jobs:
    """The services of one registry's generation that nobody's request waits for.

    `sweep_with` gives a sweep that tells others than queues; `rounds` are the stores of those who
    come again; `host` is the registry's login server, or its name where it has none.
    """

    host: str
    master_keys: MasterKeys
    stores: Stores
    rounds: Stores
    fan_out: FanOut
    upkeep: Upkeep
    garbage: Garbage
    collection: Collection
    sweep: Sweep
    sweep_with: Callable[[Told], Sweep]
    explaining: Explaining
    restores: Restores
    deletions: RepositoryDeletions
    verification: Verification
    scrub: Scrub


def jobs_of(
    settings: Settings, master_keys: MasterKeys, record: RegistryRecord, stores: Stores, host: str
) -> Jobs:
    """Put them together; `stores` heed no flag, and so read all there is."""
    lasting = settings.lasting(record.policies.soft_delete_days)
    manifests = Manifests(stores, lasting)
    purge = Purge(stores, manifests)
    pushes = Pushes(stores, is_sparse_allowed=settings.sparse_manifests)
    restores = Restores(stores, pushes, purge)
    deletions = RepositoryDeletions(stores, restores, lasting)
    upkeep = Upkeep(stores, manifests, restores, deletions, purge, FallbackLists(stores))
    grace = record.grace.at(stores.clock())
    garbage = Garbage(stores, grace)
    rounds = stores.of_rounds()
    sweep_with = partial(
        Sweep, rounds, grace=grace, kept=lasting, lifetime=settings.upload_lifetime
    )
    leftovers = Leftovers(stores, settings.upload_lifetime)
    seal = ProgressSeal(*master_keys.derived("verification", record.generation))
    verification = Verification(stores, leftovers, manifests, seal, grace)
    scrubbing = Verification(rounds, leftovers, manifests, seal, grace)
    return Jobs(
        host=host,
        master_keys=master_keys,
        stores=stores,
        rounds=rounds,
        fan_out=FanOut(stores, host),
        upkeep=upkeep,
        garbage=garbage,
        collection=Collection(stores, garbage),
        sweep=sweep_with(_by_queue(rounds)),
        sweep_with=sweep_with,
        explaining=Explaining(stores, purge, grace),
        restores=restores,
        deletions=deletions,
        verification=verification,
        scrub=Scrub(rounds, scrubbing, settings.scrub_bytes_per_day),
    )


def _by_queue(stores: Stores) -> Told:
    """Let the sweep tell by messages."""

    def ask(repository: RepositoryName, digest: Digest) -> Awaitable[None]:
        return stores.collecting.ask(repository, [digest])

    return Told(ask, Healing(stores).ask)
