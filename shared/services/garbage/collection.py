"""Collection: what a message of the queue `garbage` asks for, a blob after the other.

    C1 each blob that it names is looked at (`garbage`), whatever becomes of the others
    C2 those that it is too early for go into one message more, seen when the last of them is due
    C3 the message is deleted

Where one fails C2 is left out: the whole message comes again, and finds the others done. Whoever
dies before C3 leaves it to come again, too, and after C2 there are two of those to come: each looks
at what is there, and ends where nothing is to be waited for.

Each upload that makes an object sends a message, also one of a blob that is here. If each waited
for the last use of all, none would end while somebody goes on. So a message tells since when a blob
is suspected, and where it was used later than L after that, it is left out of C2. Of the messages
that wait for a blob, when they come,

    that of the last use        goes on: its object was made at most L before the link was written
    those of uses before        end: who uploaded later has sent one of his own
    of whatever uses, where     end: these send none. The sweep finds each link that nothing uses,
    that was a HEAD, a mount,   and each holder without a link, within a day after it is old enough;
    a manifest PUT              and the manifest's purge, or the blob's DELETE, sends one

So those that wait were sent within one wait. Nothing is taken earlier by this, and nothing stays
that the sweep would not find. A host's clock tells when a message was sent, storage's when the blob
was used: where the two differ, one ends too soon, or goes on for nothing.
"""

import logging
from datetime import datetime, timedelta

from shared.model.digest import Digest
from shared.services.garbage.garbage import Collected, Garbage
from shared.storage import ages
from shared.storage.messages.collecting import Suspects
from shared.storage.stores import Stores

_log = logging.getLogger(__name__)


class Collection:
    """Runs the messages of one registry generation."""

    def __init__(self, stores: Stores, garbage: Garbage) -> None:
        self._collecting = stores.collecting
        self._garbage = garbage
        self._clock = stores.clock

    async def run(self, suspects: Suspects) -> None:
        """Collect what a message names; raises what failed, once all have been looked at."""
        waits: dict[Digest, timedelta] = {}
        failed: list[Exception] = []
        since = suspects.since or self._clock()
        for digest in suspects.digests:
            try:
                collected = await self._garbage.collect(suspects.repository, digest)
            except Exception as error:  # noqa: BLE001 - whatever it is, others are waiting
                _log.warning("%s of %s is not collected: %r", digest, suspects.repository, error)
                failed.append(error)
            else:
                if collected.again is not None and not self._is_used(collected, since):
                    waits[digest] = collected.again
        if failed:
            raise failed[0]
        if waits:
            after = max(waits.values())
            await self._collecting.ask(suspects.repository, waits, after=after, since=since)

    def _is_used(self, collected: Collected, since: datetime) -> bool:
        """Tell whether a blob was used later than it was suspected, but for who has sent that."""
        return collected.used is not None and collected.used + ages.L < self._clock() - since
