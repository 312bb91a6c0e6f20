"""Operations on what was deleted, on repositories as a whole, and what upkeep does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from shared.errors import (
    ManifestBlobUnknown,
    ManifestUnknown,
    NameUnknown,
    RegistryError,
    Unavailable,
    Unsupported,
)
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.storage import keys
from shared.storage.memory.messages import Sent
from shared.storage.messages.errands import Errand, Kind
from shared.storage.ports import Change, Conflict, Delete, NotFound, Update
from tests.simulation.operations import Delete as DeleteManifest
from tests.simulation.operations import Operation, Others, Push, Untag
from tests.simulation.world import Process, World
from tests.support.causes import ME
from tests.support.messages import awake


async def lives(process: Process, repository: RepositoryName, digest: Digest) -> list[str]:
    """Give the lives of a manifest that are over, as they are now."""
    rows = await process.sees(lambda world: [*world.contents(repository)])
    return sorted(keys.last_part(key) for key in rows if key.startswith(f"deleted|{digest}|"))


async def sent(process: Process) -> Sequence[Sent]:
    """Give the messages that have been sent by now."""
    return await process.sees(lambda world: [*world.messages.sent])


@dataclass(frozen=True)
class PushAnyway(Push):
    """Push to a repository that may be locked, or being deleted."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = (
        ManifestBlobUnknown,
        Unavailable,
        Unsupported,
    )


@dataclass(frozen=True)
class DeleteAnyway(DeleteManifest):
    """Delete a manifest of a repository that may be being deleted."""

    refusals = (ManifestUnknown, Unavailable)


@dataclass(frozen=True)
class UntagAnyway(Untag):
    """Delete a tag of a repository that may be being deleted."""

    refusals = (ManifestUnknown, Unavailable)


@dataclass(frozen=True)
class PushBoth(Push):
    """Push under two tags at once."""

    other: ClassVar[Tag] = Tag("v2")

    async def run(self, process: Process) -> None:
        """Push it."""
        tags = [self.tag, self.other]
        await process.pushes.put(self.repository, self.manifest, tags, by=ME)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Both tags are of one push."""
        yield from super().broken(world, others, since)
        rows = world.contents(self.repository)
        found = {str(rows[keys.tag(tag)].values["digest"]) for tag in (self.tag, self.other)}
        if len(found) > 1:
            yield f"{self.tag} and {self.other} are of two pushes, each of which moved both"


@dataclass(frozen=True)
class Restore(Operation):
    """Bring a manifest back out of each life that is kept."""

    digest: Digest
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (
        ManifestUnknown,
        ManifestBlobUnknown,
        Unavailable,
    )

    async def run(self, process: Process) -> None:
        """Bring it back."""
        for life in await lives(process, self.repository, self.digest):
            await process.restores.manifest(self.repository, self.digest, life, by=ME)

    def brings(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a manifest, or bring it back."""
        return (repository, digest) == (self.repository, self.digest)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is there."""
        is_taken = any(each.takes(self.repository, self.digest) for each in others)
        if not is_taken and keys.manifest(self.digest) not in world.contents(self.repository):
            yield f"manifest {self.digest} was brought back and is not there"


@dataclass(frozen=True)
class Purge(Operation):
    """Purge what is kept of a manifest."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Purge it."""
        for life in await lives(process, self.repository, self.digest):
            await process.purge.purge(self.repository, self.digest, life)


@dataclass(frozen=True)
class DeleteRepository(Operation):
    """Delete a repository with all it holds."""

    refusals = (NameUnknown, Unsupported, Unavailable)

    async def run(self, process: Process) -> None:
        """Delete it."""
        await process.deletions.delete(self.repository, by=ME)

    def takes(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may take a manifest."""
        return repository == self.repository

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Nothing is there but what was pushed meanwhile or later."""
        if any(isinstance(each, Push | Restore) for each in others):
            return
        for key in world.contents(self.repository):
            if key.startswith("manifest|"):
                yield f"{key} is there after the deletion of {self.repository}"


@dataclass(frozen=True)
class Lock(Operation):
    """Lock a repository, as a change of its attributes does."""

    refusals = (Unavailable,)

    async def run(self, process: Process) -> None:
        """Lock it."""
        contents = process.stores.contents
        row = await contents.repository(self.repository)
        if row is None or row.values.get("deletion"):
            raise Unavailable
        locked: list[Change] = [Update(keys.REPOSITORY, {"write_enabled": False}, row.etag)]
        try:
            await contents.commit(self.repository, [*locked, Delete(keys.WRITABLE)])
        except (Conflict, NotFound):
            raise Unavailable from None


@dataclass(frozen=True)
class RunErrands(Operation):
    """Run the errands of one kind that have been sent by now, whatever their time."""

    kind: Kind

    async def run(self, process: Process) -> None:
        """Run them, from a moment of its own."""
        await process.stores.index.row(self.repository)
        for message in await sent(process):
            queue, body, _ = awake(message)
            if queue == keys.UPKEEP and Errand.read(body.encode()).kind is self.kind:
                await process.hear(message)


@dataclass(frozen=True)
class HandOn(Operation):
    """Read every message of events that has been sent by now."""

    async def run(self, process: Process) -> None:
        """Read them, from a moment of its own."""
        await process.stores.index.row(self.repository)
        for message in await sent(process):
            if awake(message).queue == keys.EVENTS:
                await process.hear(message)
