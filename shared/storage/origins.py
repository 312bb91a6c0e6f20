"""Where an object comes from: what its metadata says, for those who find it without its rows."""

from collections.abc import Mapping
from datetime import datetime

from shared.storage.ports import Facts


def origin(kind: str, now: datetime, **more: str) -> Mapping[str, str]:
    """Give the metadata of an object made now: a blob, a manifest, or an upload cancelled."""
    return {"kind": kind, "made": now.isoformat(), **more}


def made_at(facts: Facts) -> datetime:
    """Tell when an object was made."""
    return datetime.fromisoformat(facts.metadata["made"])
