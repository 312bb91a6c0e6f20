"""A registry as functions behind queues and timers meet it."""

from dataclasses import dataclass

from shared.assembly.derived import derived
from shared.model.progress import ProgressSeal
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.services.deletions.restores import Restores
from shared.services.events.fallback_lists import FallbackLists
from shared.services.events.fan_out import FanOut
from shared.services.upkeep.collection import Collection
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.garbage import Garbage
from shared.services.upkeep.leftovers import Leftovers
from shared.services.upkeep.purge import Purge
from shared.services.upkeep.scrub import Scrub
from shared.services.upkeep.verification import Verification
from shared.settings import Settings
from shared.storage.rows.registries import RegistryRecord
from shared.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Jobs:
    """The services of one registry's generation that nobody's request waits for."""

    stores: Stores
    fan_out: FanOut
    upkeep: Upkeep
    garbage: Garbage
    collection: Collection
    restores: Restores
    deletions: RepositoryDeletions
    verification: Verification
    scrub: Scrub


def jobs_of(settings: Settings, record: RegistryRecord, stores: Stores) -> Jobs:
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
    leftovers = Leftovers(stores, settings.upload_lifetime)
    seal = ProgressSeal(derived(settings.master_key, "verification", record.generation))
    verification = Verification(stores, leftovers, manifests, seal, grace)
    return Jobs(
        stores=stores,
        fan_out=FanOut(stores),
        upkeep=upkeep,
        garbage=garbage,
        collection=Collection(stores, garbage),
        restores=restores,
        deletions=deletions,
        verification=verification,
        scrub=Scrub(stores, verification, settings.scrub_bytes_per_day),
    )
