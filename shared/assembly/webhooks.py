"""The webhooks of a registry as operators see them, put together."""

from shared.model.master_keys import MasterKeys
from shared.model.outbound.posting import Poster
from shared.model.webhooks.callbacks import CallbackSeal
from shared.services.webhooks.configuration.registering import Registering
from shared.storage.stores import Stores


def seal_of(master_keys: MasterKeys, generation: str) -> CallbackSeal:
    """Give what seals the secrets of a registry's webhooks."""
    return CallbackSeal(*master_keys.derived("webhooks", generation))


def registering_of(master_keys: MasterKeys, stores: Stores, poster: Poster) -> Registering:
    """Put together what makes and changes webhooks."""
    return Registering(stores, seal_of(master_keys, stores.generation), poster)
