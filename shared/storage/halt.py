"""The halt: while tables may lack rows, nothing is removed for want of one.

    H1 a call finds no table `contents`, or no `blobs`, though the container of content is there: it
       is made last, so the table was there once, and its rows are lost
    H2 an object says so, beside the content
    H3 the table is made anew, empty

    R1 a remover reads rows: none says that the bytes are needed
    R2 it asks for the object; where it is there, it comes again later
    R3 it removes

Who reads at R1 from the table of H3 finds the object of H2 at R2. It stays until the tables are
complete again, and whoever has made them so takes it away:

    E1 a rebuild notes beside the halt that it is under way, before it looks for the halt
    E2 it relies on the halt once its own note is 2 L old, and the halt is there and as old
    E3 when all is back, it takes its note away
    E4 it looks for notes of others, and lifts the halt if there are none

E4 takes half of L, and takes effect within L. So who noted too late for another's E4 finds at E2
that the halt is gone, and who noted in time keeps it. Of two that end at once the last one to take
its note away lifts the halt, or both do. A rebuild that is killed leaves its note, and the halt
stays: nobody can tell it from one that takes long. An operator can, and lifts it (`resume`).
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from shared.storage import keys
from shared.storage.ages import Span
from shared.storage.ports import Conflict, Objects

_log = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)
"""When whoever was halted comes again."""

_PAGE = 1_000


class Halt:
    """Says whether anything may be removed from a storage account."""

    def __init__(self, beside: Objects) -> None:
        self._beside = beside

    async def put(self, lost: Sequence[str]) -> None:
        """Halt all removers, as these tables are lost."""
        _log.error("rows are lost (%s): nothing is removed until they are rebuilt", ", ".join(lost))
        with suppress(Conflict):
            await self._beside.put(keys.HALTED, b"", {"lost": " ".join(lost)})

    async def age(self) -> timedelta | None:
        """Tell for how long removers have been halted; None where they are not."""
        facts = await self._beside.facts(keys.HALTED)
        return facts.age if facts else None

    async def lost(self) -> list[str]:
        """Give the words that say what was lost when removers were halted, tables among them."""
        facts = await self._beside.facts(keys.HALTED)
        return facts.metadata.get("lost", "").split() if facts else []

    async def is_on(self) -> bool:
        """Tell whether removers are to wait."""
        facts = await self._beside.facts(keys.HALTED)
        if facts:
            _log.warning(
                "nothing is removed, as rows may be missing (lost: %s): bring them back with"
                " python -m infra.admin rebuild, or, if you have, go on with registry resume",
                facts.metadata.get("lost"),
            )
        return facts is not None

    async def resume(self) -> bool:
        """Let removers go on, whatever rebuilds are under way; False where they were not halted."""
        for name in await self._rebuilds():
            await self._take(name)
        return await self._take(keys.HALTED)

    async def begin(self, rebuild: str) -> None:
        """Note that a rebuild is under way, by its id, before it looks for the halt."""
        await self._beside.put(keys.rebuilding(rebuild), b"", {})

    async def begun(self, rebuild: str) -> timedelta | None:
        """Tell for how long a rebuild has been noted; None where its note was taken away."""
        facts = await self._beside.facts(keys.rebuilding(rebuild))
        return facts.age if facts else None

    async def end(self, rebuild: str) -> None:
        """Take the note of a rebuild away."""
        await self._take(keys.rebuilding(rebuild))

    async def others(self) -> list[timedelta]:
        """Tell for how long each rebuild that is noted has been under way, or dead."""
        found = [await self._beside.facts(name) for name in await self._rebuilds()]
        return [facts.age for facts in found if facts]

    async def lift(self, ticks: Callable[[], float] = time.monotonic) -> bool:
        """Let removers go on, as all is back; False where nothing halts, or a rebuild is noted."""
        while True:
            sent = Span(ticks)
            halt = await self._beside.facts(keys.HALTED)
            if halt is None or await self._rebuilds():
                return False
            if not sent.is_over:
                return await self._beside.delete(keys.HALTED, halt.etag)

    async def _rebuilds(self) -> list[str]:
        found: list[str] = []
        position = ""
        while True:
            names, position = await self._beside.page(keys.rebuilding(""), position, _PAGE)
            found += names
            if not position:
                return found

    async def _take(self, name: str) -> bool:
        facts = await self._beside.facts(name)
        return bool(facts and await self._beside.delete(name, facts.etag))
