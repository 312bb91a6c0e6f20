"""Collection: what a message of the queue `garbage` asks for, a blob after the other.

    C1 each blob that it names is looked at (`garbage`), whatever becomes of the others
    C2 those that it is too early for go into one message more, seen when the last of them is due
    C3 the message is deleted

Where one fails C2 is left out: the whole message comes again, and finds the others done. Whoever
dies before C3 leaves it to come again, too, and after C2 there are two of those to come: each looks
at what is there, and ends where nothing is to be waited for.
"""

import logging
from datetime import timedelta

from shared.model.digest import Digest
from shared.services.upkeep.garbage import Garbage
from shared.storage.collecting import Suspects
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)


class Collection:
    """Runs the messages of one registry generation."""

    def __init__(self, stores: Stores, garbage: Garbage) -> None:
        self._collecting = stores.collecting
        self._garbage = garbage

    async def run(self, suspects: Suspects) -> None:
        """Collect what a message names; raises what failed, once all have been looked at."""
        waits: dict[Digest, timedelta] = {}
        failed: list[Exception] = []
        for digest in suspects.digests:
            try:
                collected = await self._garbage.collect(suspects.repository, digest)
            except Exception as error:  # noqa: BLE001 - whatever it is, others are waiting
                _log.warning("%s of %s is not collected: %r", digest, suspects.repository, error)
                failed.append(error)
            else:
                if collected.again is not None:
                    waits[digest] = collected.again
        if failed:
            raise failed[0]
        if waits:
            await self._collecting.ask(suspects.repository, waits, after=max(waits.values()))
