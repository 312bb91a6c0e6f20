"""The stores of one registry, as one handful for the services."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from shared.model.digest import Digest
from shared.storage.bodies import Bodies
from shared.storage.halt import Halt
from shared.storage.layers.later import LateMessages
from shared.storage.messages.collecting import Collecting
from shared.storage.messages.delivering import Delivering
from shared.storage.messages.errands import Errands
from shared.storage.messages.verifying import Verifying
from shared.storage.ports import Messages, Objects, Rotten, Rows
from shared.storage.rows.contents import Contents
from shared.storage.rows.deleted import Deleted
from shared.storage.rows.holdings import Holdings
from shared.storage.rows.index import Index
from shared.storage.rows.outbox import Outbox
from shared.storage.rows.records import ManifestRecord
from shared.storage.rows.registries import USUAL, Policies
from shared.storage.rows.rounds.scrubs import Scrubs
from shared.storage.rows.rounds.walks import Walks
from shared.storage.rows.webhooks.deliveries import Deliveries
from shared.storage.rows.webhooks.drains import Drains
from shared.storage.rows.webhooks.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Stores:
    """What a registry keeps its state in, and where it takes time and chance from.

    `clock` gives the time in UTC; `ticks` counts seconds that never go back, for what is measured
    within a process; `new_id` gives 32 hexadecimal digits, never the same twice; `pause` waits for
    a random part of so many seconds. `flags` and `policies` are those of the registry's record.
    """

    generation: str
    contents: Contents
    deleted: Deleted
    holdings: Holdings
    index: Index
    walks: Walks
    scrubs: Scrubs
    webhooks: Webhooks
    objects: Objects
    outbox: Outbox
    errands: Errands
    collecting: Collecting
    verifying: Verifying
    deliveries: Deliveries
    delivering: Delivering
    halt: Halt
    bodies: Bodies
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    pause: Callable[[float], Awaitable[None]]
    ticks: Callable[[], float]
    messages: Messages
    flags: frozenset[str]
    policies: Policies

    @classmethod
    def over(  # noqa: PLR0913 - four ports, a cache, time and chance, what is agreed
        cls,
        rows: Rows,
        objects: Objects,
        messages: Messages,
        generation: str,
        *,
        beside: Objects,
        bodies: Bodies,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        pause: Callable[[float], Awaitable[None]],
        ticks: Callable[[], float] = time.monotonic,
        flags: frozenset[str] = frozenset(),
        policies: Policies = USUAL,
    ) -> Self:
        """Put together the stores of a registry's generation over the ports."""
        late = LateMessages(messages, clock, new_id)
        errands = Errands(late, generation)
        return cls(
            generation=generation,
            contents=Contents(rows, generation),
            deleted=Deleted(rows, generation),
            holdings=Holdings(rows, generation, errands),
            index=Index(rows, generation),
            walks=Walks(rows, generation),
            scrubs=Scrubs(rows, generation),
            webhooks=Webhooks(rows, generation),
            objects=objects,
            outbox=Outbox(late, generation, new_id),
            errands=errands,
            collecting=Collecting(late, generation),
            verifying=Verifying(late, generation, ticks),
            deliveries=Deliveries(rows, generation),
            delivering=Delivering(late, generation, Drains(rows, generation), new_id),
            halt=Halt(beside),
            bodies=bodies,
            clock=clock,
            new_id=new_id,
            pause=pause,
            ticks=ticks,
            messages=messages,
            flags=flags,
            policies=policies,
        )

    def of_rounds(self) -> Self:
        """Give the same for the sweep and the scrub, which come again: so do their letters."""
        late = LateMessages(self.messages, self.clock, self.new_id, is_of_rounds=True)
        return replace(
            self,
            outbox=Outbox(late, self.generation, self.new_id),
            errands=Errands(late, self.generation),
            collecting=Collecting(late, self.generation),
            verifying=Verifying(late, self.generation, self.ticks),
        )

    async def removal_is_halted(self) -> bool:
        """Tell whether bytes, and rows that keep them, have to stay, as other rows may be missing.

        Asked once it is known what would go, just before it does.
        """
        return await self.halt.is_on()

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
