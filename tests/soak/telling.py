"""What storage and the hosts know of the digests that a broken promise names.

Of a run that fails elsewhere one sees what it prints, and nothing else.
"""

import asyncio
import re
from collections.abc import Iterator

from azure.data.tables import TableServiceClient

from shared.storage import keys
from tests.soak import leftovers
from tests.soak.asking import BrokenPromise
from tests.soak.worlds import World

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_LONG = {"body", "event"}
_LINES = 40


async def tell(world: World, group: ExceptionGroup[BrokenPromise]) -> None:
    """Add to each broken promise what is known of it."""
    for broken in group.exceptions:
        if isinstance(broken, ExceptionGroup):
            await tell(world, broken)
        elif found := set(_DIGEST.findall(str(broken))):
            broken.add_note("\n".join(await asyncio.to_thread(_known, world, found)))


def _known(world: World, digests: set[str]) -> list[str]:
    storage = world.emulator.connection_string
    waiting = leftovers.messages(storage)
    return [*_rows(storage, digests), f"messages: {waiting}", *_lines(world, digests)]


def _rows(storage: str, digests: set[str]) -> Iterator[str]:
    with TableServiceClient.from_connection_string(storage) as tables:
        for row in tables.get_table_client(keys.CONTENTS).list_entities():
            key = row["RowKey"]
            if any(digest in key for digest in digests) and not key.startswith("edge|sha256:"):
                values = {name: it for name, it in row.items() if name not in _LONG}
                yield f"{values} written {row.metadata['timestamp']}"


def _lines(world: World, digests: set[str]) -> list[str]:
    lines = world.told_of(digests)
    return lines[-_LINES:]
