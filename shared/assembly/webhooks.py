"""The webhooks of a registry as operators see them, put together."""

from shared.assembly.derived import derived
from shared.model.outbound.posting import Poster
from shared.model.webhooks.callbacks import CallbackSeal
from shared.services.webhooks.configuration.registering import Registering
from shared.settings import Settings
from shared.storage.stores import Stores


def seal_of(settings: Settings, generation: str) -> CallbackSeal:
    """Give what seals the secrets of a registry's webhooks."""
    return CallbackSeal(derived(settings.master_key, "webhooks", generation))


def registering_of(settings: Settings, stores: Stores, poster: Poster) -> Registering:
    """Put together what makes and changes webhooks."""
    return Registering(stores, seal_of(settings, stores.generation), poster)
