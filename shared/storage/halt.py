"""The halt: while tables may lack rows, nothing is removed for want of one.

    H1 a call finds no table `contents`, or no `blobs`, though the container of content is there: it
       is made last, so the table was there once, and its rows are lost
    H2 an object says so, beside the content
    H3 the table is made anew, empty

    R1 a remover reads rows: none says that the bytes are needed
    R2 it asks for the object; where it is there, it comes again later
    R3 it removes

Who reads at R1 from the table of H3 finds the object of H2 at R2. It stays until the tables are
complete again, and whoever has made them so takes it away.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from shared.storage import keys
from shared.storage.ports import Conflict, Objects

_log = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)
"""When whoever was halted comes again."""


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

    async def lift(self) -> bool:
        """Let removers go on; False where they were not halted."""
        facts = await self._beside.facts(keys.HALTED)
        return bool(facts and await self._beside.delete(keys.HALTED, facts.etag))
