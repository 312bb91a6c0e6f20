"""Operations of upkeep and of those whom it meets: late, slow, once more, or long after a crash."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from shared.errors import ManifestBlobUnknown, ManifestUnknown, RegistryError, Unavailable
from shared.errors import Unsupported as Locked
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import Tag
from shared.storage import keys
from shared.storage.messages.errands import Kind
from shared.storage.ports import StorageError, Update
from shared.storage.rows.records import TagRecord
from tests.simulation.gates import Gate
from tests.simulation.loop import Loop
from tests.simulation.manifests.operations import (
    Purge,
    PushAnyway,
    Restore,
    RunErrands,
    lives,
)
from tests.simulation.operations import LATEST, Delete, Operation, Others, Push, Untag
from tests.simulation.scenarios import Past
from tests.simulation.world import Process, World
from tests.support.causes import ME


class Before(Past):
    """What happened before, and what died on the way."""

    def died(self, operation: Operation, *, at: str) -> "Before":
        """Let a process have died before a call that names this."""
        gate, loop = Gate(self.world.clock), Loop()
        task = loop.start(operation.run(self.world.process(0x99, gate)))
        loop.settle()
        while gate.asides or at not in gate.waiting[0][0].name:
            gate.let_go(self.world)
            loop.settle()
        task.cancel()
        loop.settle()
        loop.close()
        return self

    def announced(self) -> "Before":
        """Let the events have been handed on, and upkeep be on its way."""
        messages, loop = self.world.messages, Loop()
        process = self.world.process(0xCCCC)
        while (place := messages.next_of(keys.EVENTS)) is not None:
            if messages.sent[place].delay > 1:
                break
            messages.heard.add(place)
            loop.complete(process.hear(messages.sent[place]))
        loop.close()
        return self

    def closed(self, *operations: Operation) -> "Before":
        """Let nobody be allowed to read the repositories that are pushed to."""
        self.did(*operations)
        for repository, _ in [*self.world.repositories()]:
            loop, contents = Loop(), self.world.process(0xCCCD).stores.contents
            shut = [Update(keys.REPOSITORY, {"read_enabled": False})]
            loop.complete(_ignored(contents.commit(repository, shut)))
            loop.close()
            self.world.closed |= {repository}
        return self

    def recorded(self) -> "Before":
        """Let each commit from now on be kept, to be sent once more."""
        self.world.rows.commits = []
        return self


async def _ignored(work: object) -> None:
    await work  # type: ignore[misc]


@dataclass(frozen=True)
class Fetch(Operation):
    """Read a manifest that has to be there."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Read it."""
        await process.manifests.read(self.repository, self.digest)

    def again(self) -> None:
        """Expect nothing where what came before has failed."""


@dataclass(frozen=True)
class DeleteAll(Delete):
    """Delete a manifest with all its tags, of which none comes back by itself."""

    refusals = (ManifestUnknown, Unavailable, Locked)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """No tag leads there but those that were pushed or brought back."""
        yield from super().broken(world, others, since)
        wanted = {each.tag for each in others if isinstance(each, Push)}
        is_restored = any(isinstance(each, Restore) for each in others)
        for key, row in world.contents(self.repository).items():
            if key.startswith("tag|") and not is_restored:
                tag = TagRecord.read(row)
                if tag.digest == self.digest and tag.name not in wanted:
                    yield f"tag {tag.name} leads again to {self.digest}, which was deleted"


@dataclass(frozen=True)
class RestoreAll(Restore):
    """Bring a manifest back, with all its tags."""

    tag: Tag = LATEST

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Its tag is there, whatever it leads to now."""
        yield from super().broken(world, others, since)
        is_taken = any(each.takes(self.repository, self.digest) for each in others)
        if not is_taken and keys.tag(self.tag) not in world.contents(self.repository):
            yield f"{self.digest} was brought back, and its tag {self.tag} was not"


@dataclass(frozen=True)
class PurgeAnyway(Purge):
    """Purge, for however long it takes."""

    refusals = (Unavailable,)


@dataclass(frozen=True)
class PurgeFirst(Operation):
    """Purge the life of a manifest that was over first."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Purge it."""
        for life in (await lives(process, self.repository, self.digest))[:1]:
            await process.purge.purge(self.repository, self.digest, life)


@dataclass(frozen=True)
class PushInVain(Push):
    """Push to a repository that is locked."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = (Locked,)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It was not acknowledged."""
        yield f"{self.repository} is locked, and took a push of {self.digest}"


@dataclass(frozen=True)
class PushInTime(PushAnyway):
    """Push a manifest; the tag's times follow one another."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """The tag has not been moved after it came to be what it is."""
        yield from super().broken(world, others, since)
        rows = world.contents(self.repository)
        there = rows.get(keys.tag(self.tag))
        for key, row in rows.items():
            is_of_tag = key.startswith(f"moved|{self.tag}|")
            if there and is_of_tag and str(row.values["at"]) > str(there.values["updated"]):
                yield f"tag {self.tag} was moved after its last change"


@dataclass(frozen=True)
class PushSlowly(PushAnyway):
    """Push while much time may pass, so that the registry may give up."""

    is_slow = True


@dataclass(frozen=True)
class SeeTo(Operation):
    """Let upkeep list a repository of which something deleted is kept."""

    async def run(self, process: Process) -> None:
        """List it, or not."""
        await process.upkeep.keep(self.repository)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """The repository is listed, as long as something is kept."""
        rows = world.contents(self.repository)
        is_kept = any(key.startswith("deleted|") for key in rows)
        if is_kept and self.repository not in world.kept_in():
            yield f"{self.repository} keeps something deleted, and is not listed"


@dataclass(frozen=True)
class EndRestore(RunErrands):
    """Let upkeep end a restore that died."""

    kind: Kind = Kind.END_RESTORE
    tag: Tag = LATEST

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Its tag is there, whatever it leads to."""
        if keys.tag(self.tag) not in world.contents(self.repository):
            yield f"a restore was ended, and its tag {self.tag} is not there"


@dataclass(frozen=True)
class DeleteSlowly(Delete):
    """Delete while much time may pass."""

    is_slow = True
    refusals = (ManifestUnknown, Unavailable)


@dataclass(frozen=True)
class UntagSlowly(Untag):
    """Take a tag while much time may pass."""

    is_slow = True
    refusals = (ManifestUnknown, Unavailable)


@dataclass(frozen=True)
class RestoreSlowly(Restore):
    """Bring back while much time may pass."""

    is_slow = True
    refusals = (ManifestUnknown, ManifestBlobUnknown, Unavailable)


@dataclass(frozen=True)
class PushTogether(Operation):
    """Push two manifests under a tag, by one process and at once: they take turns."""

    one: Manifest
    other: Manifest
    is_slow = True
    refusals = (Unavailable,)

    async def run(self, process: Process) -> None:
        """Push both."""
        pushes = [
            process.pushes.put(self.repository, each, [LATEST], by=ME)
            for each in (self.one, self.other)
        ]
        for answer in await asyncio.gather(*pushes, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    def again(self) -> None:
        """Give up."""


@dataclass(frozen=True)
class Listen(Operation):
    """Read messages of events, each when it is to be seen: until then time passes."""

    times: int

    async def run(self, process: Process) -> None:
        """Read so many."""
        for _ in range(self.times):
            place = await process.turn("listen", _next)
            if place is not None:
                await hear(process, place)

    def again(self) -> None:
        """Listen no longer."""


async def hear(process: Process, place: int) -> None:
    """Do what a message says, and note that: who dies before leaves it to another."""
    await process.hear(await process.sees(lambda world: world.messages.sent[place]))
    await heard(process, place)


async def heard(process: Process, place: int) -> None:
    """Note that a message was heard."""
    await process.changes(lambda world: world.messages.heard.add(place))


async def _next(world: World) -> int | None:
    messages = world.messages
    place = messages.next_of(keys.EVENTS)
    if place is not None:
        due = messages.moments[place] + timedelta(seconds=messages.sent[place][2])
        world.clock.now = max(world.clock.now, due)
    return place


@dataclass(frozen=True)
class Echo(Operation):
    """Send a commit that went well once more: it comes late, when nobody waits for it."""

    place: int

    async def run(self, process: Process) -> None:
        """Send the one at this place, if there is one by now."""

        async def late(world: World) -> None:
            commits = world.rows.commits or []
            if self.place < len(commits):
                with suppress(StorageError):
                    await world.rows.commit(*commits[self.place])

        await process.turn("an echo", late)

    def again(self) -> None:
        """Be silent."""
