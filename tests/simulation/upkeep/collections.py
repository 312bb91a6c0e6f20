"""Scenarios of collection by messages: nobody goes through all there is to find what is unused."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from shared.errors import RegistryError
from shared.model.digest import Digest
from shared.storage import keys
from shared.storage.messages.collecting import Suspects
from tests.simulation import aftermath
from tests.simulation.explorer import Scenario
from tests.simulation.loop import Loop
from tests.simulation.manifests.operations import Purge, PushAnyway, Restore, sent
from tests.simulation.operations import Delete, DeleteBlob, Head, Mount, Operation, Push
from tests.simulation.scenarios import ONE, TWO, A, B, Past, X, Y, digest
from tests.simulation.upkeep.operations import heard
from tests.simulation.world import GRACE, Process, World
from tests.support.messages import awake

D, E = digest(X), digest(Y)


@dataclass(frozen=True)
class Ask(Operation):
    """Ask the collector to look in time, as whoever verifies a new object does."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Ask it."""
        asking = process.stores.collecting
        await asking.ask(self.repository, [self.digest], after=GRACE * 3 / 2)


@dataclass(frozen=True)
class ReadMessages(Operation):
    """Read the messages to the collector that have been sent by now, whatever their time."""

    async def run(self, process: Process) -> None:
        """Read them, from a moment of its own; one that fails comes again."""
        await process.stores.index.row(self.repository)
        for place, message in enumerate(await sent(process)):
            queue, body, _ = awake(message)
            if queue == keys.GARBAGE and not await self._is_heard(process, place):
                with suppress(RegistryError):
                    await process.collection.run(Suspects.read(body.encode()))
                    await heard(process, place)

    async def _is_heard(self, process: Process, place: int) -> bool:
        return await process.sees(lambda world: place in world.messages.heard)


def by_messages(world: World, loop: Loop) -> None:
    """Let all messages be read, and nothing else be looked at but the objects."""
    aftermath.hand_on(world, loop)
    process = world.process(0x200)
    for name in world.objects_now().keys() - world.strange.keys():
        loop.complete(process.leftovers.look_at(name))


READ = [ReadMessages(A)]
USED = Past().held(A, X, Y).did(Push(A, TWO)).ago()
OVER = Past().held(A, X, Y).did(Push(A, TWO)).ago().did(Delete(A, TWO.digest)).ago()
UNUSED = Past().held(A, X).did(Ask(A, D)).ago()
FRESH = Past().held(A, X).did(Ask(A, D))
BLOBS = Past().held(A, X, Y).did(Ask(A, D), Ask(A, E))
MOUNTED = Past().held(A, X).did(Ask(A, D), Mount(B, D, A)).ago()
PURGE = [Purge(A, TWO.digest)]
REMOVE = [DeleteBlob(A, D)]

SMALL: Mapping[str, Scenario] = {
    "a purge": OVER.meets(PURGE),
    "a purge, and its message": OVER.meets(PURGE, READ),
    "a purge, and a push": OVER.meets(PURGE, [Push(A, ONE), Delete(A, ONE.digest)]),
    "a purge, and a restore": OVER.meets(PURGE, [Restore(A, TWO.digest)]),
    "a deletion of a manifest": USED.meets([Delete(A, TWO.digest)]),
    "a deletion of a blob": FRESH.meets(REMOVE),
    "a deletion of a blob, and its message": UNUSED.meets(REMOVE, READ),
    "an early message": FRESH.meets(READ),
    "a message twice": UNUSED.meets(READ, READ),
    "a push, and the message": UNUSED.meets([Push(A, ONE), Delete(A, ONE.digest)], READ),
}
"""By messages alone, with a crash at every call."""

WIDE: Mapping[str, Scenario] = {
    "a deletion of a mounted blob, and the messages": MOUNTED.meets([DeleteBlob(B, D)], READ),
    "HEAD and a push, and the message": UNUSED.meets([Head(A, D), Push(A, ONE)], READ),
    "an upload of the same, and the message": UNUSED.meets([UNUSED.put(A, X), Ask(A, D)], READ),
    "a mount, and the message": UNUSED.meets([Mount(B, D, A), Ask(B, D)], READ),
    "a purge, a push, and the message": OVER.meets(PURGE, [Push(A, ONE)], READ),
}
"""The same, in so many ways, or with clients whom only the sweep follows, that none dies."""

LARGE: Mapping[str, Scenario] = {"a build": BLOBS.meets([PushAnyway(A, TWO)])}
"""A push of several transactions; its blobs are looked at while it is under way."""
