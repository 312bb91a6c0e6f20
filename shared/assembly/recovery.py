"""A storage account as it is met on the day when its tables are lost."""

import asyncio
from collections.abc import Callable

from shared.services.rebuild.rebuild import Rebuild
from shared.services.rebuild.recovery import Recovery
from shared.settings import Settings
from shared.storage.master_key.source import MasterKeySource
from shared.storage.ports import Ports
from shared.storage.rows.registries import RegistryRecord
from shared.storage.stores import Stores


def recovery_of(
    settings: Settings,
    master_keys: MasterKeySource,
    ports: Ports,
    stores: Callable[[RegistryRecord], Stores],
    *,
    rebuild_id: str,
    is_dry: bool,
) -> Recovery:
    """Put together what rebuilds all registries of an account; `stores` gives those of one."""

    def open_rebuild(record: RegistryRecord) -> Rebuild:
        allowed = settings.sparse_manifests
        return Rebuild(stores(record), record.name, is_sparse_allowed=allowed)

    return Recovery(
        ports,
        master_keys,
        open_rebuild,
        asyncio.sleep,
        rebuild_id=rebuild_id,
        is_dry=is_dry,
    )
