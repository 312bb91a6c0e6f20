"""The stores of one registry, as one handful for the services."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from shared.model.digest import Digest
from shared.storage.bodies import Bodies
from shared.storage.errands import Errands
from shared.storage.ports import Messages, Objects, Rotten, Rows
from shared.storage.rows.contents import Contents
from shared.storage.rows.holdings import Holdings
from shared.storage.rows.index import Index
from shared.storage.rows.outbox import Outbox
from shared.storage.rows.records import ManifestRecord


@dataclass(frozen=True, slots=True)
class Stores:
    """What a registry keeps its state in, and where it takes time and chance from.

    `clock` gives the time in UTC; `ticks` counts seconds that never go back, for what is measured
    within a process; `new_id` gives 32 hexadecimal digits, never the same twice; `pause` waits for
    a random part of so many seconds.
    """

    generation: str
    contents: Contents
    holdings: Holdings
    index: Index
    objects: Objects
    outbox: Outbox
    errands: Errands
    bodies: Bodies
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    pause: Callable[[float], Awaitable[None]]
    ticks: Callable[[], float]

    @classmethod
    def over(  # noqa: PLR0913 - three ports, a cache, time and chance
        cls,
        rows: Rows,
        objects: Objects,
        messages: Messages,
        generation: str,
        *,
        bodies: Bodies,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        pause: Callable[[float], Awaitable[None]],
        ticks: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Put together the stores of a registry's generation over the ports."""
        errands = Errands(messages, generation)
        return cls(
            generation=generation,
            contents=Contents(rows, generation),
            holdings=Holdings(rows, generation, errands),
            index=Index(rows, generation),
            objects=objects,
            outbox=Outbox(messages, generation, new_id),
            errands=errands,
            bodies=bodies,
            clock=clock,
            new_id=new_id,
            pause=pause,
            ticks=ticks,
        )

    async def discard(self, name: str) -> None:
        """Remove an object that nothing names any more, as it is now."""
        facts = await self.objects.facts(name)
        if facts:
            await self.objects.delete(name, facts.etag)

    async def body(self, record: ManifestRecord) -> bytes:
        """Give a manifest's body: kept in the process, read with its row, or from its object.

        Raises:
            NotFound: the object is gone.
            Rotten: what is there does not hash to the digest.
        """
        body = self.bodies.get(record.digest)
        if body is not None:
            return body
        body = record.body
        if body is None:
            body = b"".join([piece async for piece in self.objects.read(record.object)])
        if Digest.of(body, record.digest.algorithm) != record.digest:
            raise Rotten(f"the sound body of {record.digest}")
        self.bodies.keep(record.digest, body)
        return body
