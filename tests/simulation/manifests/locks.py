"""Operations that lock and unlock, and those that a lock or a policy may refuse."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from shared.errors import ManifestUnknown, NameUnknown, RegistryError, Unavailable, Unsupported
from shared.model.attributes import Attributes, Wanted
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.services.attributes.changes import AttributeChanges
from shared.storage import keys
from shared.storage.ports import Row
from tests.simulation.manifests.operations import PushAnyway, Restore
from tests.simulation.operations import Delete, Operation, Others, Untag
from tests.simulation.world import Process, World

V1 = Tag("v1")
LOCK, UNLOCK = Wanted(write_enabled=False), Wanted(write_enabled=True)
PROTECT, HIDE = Wanted(delete_enabled=False), Wanted(list_enabled=False, read_enabled=False)


async def _no_flag() -> None:
    return


def held(world: World, repository: RepositoryName) -> str:
    """Tell what a repository holds: its manifests, and what its tags point to."""
    rows = world.contents(repository)
    manifests = sorted(key for key in rows if key.startswith("manifest|"))
    tags = sorted((key, row.values["digest"]) for key, row in rows.items() if key[:4] == "tag|")
    return repr((manifests, tags))


@dataclass(frozen=True)
class _Change(Operation):
    """Change attributes."""

    wanted: Wanted = LOCK
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (
        ManifestUnknown,
        NameUnknown,
        Unavailable,
    )

    async def run(self, process: Process) -> None:
        """Change them."""
        await self.change(AttributeChanges(process.stores, _no_flag))

    @abstractmethod
    async def change(self, changes: AttributeChanges) -> None:
        """Change them by the service."""

    @abstractmethod
    def rows(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Give the keys of the rows that are to say so."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """What is locked is there, says so everywhere, and lasts."""
        if any(isinstance(each, _Change) for each in others):
            return
        rows = world.contents(self.repository)
        for key in self.rows(rows):
            if key not in rows:
                yield f"{key} is gone, and was locked"
            elif self.wanted.on(there := Attributes.read(rows[key].values)) != there:
                yield f"{key} has forgotten that it is locked"


@dataclass(frozen=True)
class ChangeRepository(_Change):
    """Change a repository's attributes."""

    async def run(self, process: Process) -> None:
        """Change them; once it is locked, what it holds stays as it is."""
        await process.changes(lambda world: world.frozen.pop(self.repository, None))
        await super().run(process)
        if self.wanted is LOCK:
            await process.changes(self._freeze)

    def _freeze(self, world: World) -> None:
        world.frozen[self.repository] = held(world, self.repository)

    async def change(self, changes: AttributeChanges) -> None:
        """Change them by the service."""
        await changes.repository(self.repository, self.wanted)

    def rows(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Give the keys of the rows that are to say so."""
        return [keys.REPOSITORY]

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """What is locked does not change; what is hidden is not listed."""
        yield from super().broken(world, others, since)
        frozen = world.frozen.get(self.repository)
        if frozen and frozen != held(world, self.repository):
            yield f"{self.repository} is locked and has changed"
        index = world.rows._tables[keys.REPOSITORIES].get("g" * 32, {})
        listed = index.get(keys.encode_repository(self.repository))
        if self.wanted is HIDE and listed and listed.values.get("list_enabled", True):
            yield f"{self.repository} is hidden and in the catalog"


@dataclass(frozen=True)
class ChangeTag(_Change):
    """Change a tag's attributes."""

    tag: Tag = V1

    async def run(self, process: Process) -> None:
        """Change them; once it is locked, it stays where it is."""
        await super().run(process)
        if self.wanted is LOCK:
            await process.changes(self._freeze)

    def _freeze(self, world: World) -> None:
        row = world.contents(self.repository)[keys.tag(self.tag)]
        world.frozen[self.tag] = str(row.values["digest"])

    async def change(self, changes: AttributeChanges) -> None:
        """Change them by the service."""
        await changes.tag(self.repository, self.tag, self.wanted)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It has not moved."""
        yield from super().broken(world, others, since)
        row = world.contents(self.repository).get(keys.tag(self.tag))
        if row and row.values["digest"] != world.frozen.get(self.tag, row.values["digest"]):
            yield "a locked tag has moved"

    def rows(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Give the keys of the rows that are to say so."""
        yield keys.tag(self.tag)
        for key in rows:
            if key.startswith(("tagged|", "newest|")) and key.endswith(f"|{self.tag}"):
                yield key


@dataclass(frozen=True)
class ChangeManifest(_Change):
    """Change a manifest's attributes."""

    digest: Digest = field(default_factory=lambda: Digest.of(b""))

    async def change(self, changes: AttributeChanges) -> None:
        """Change them by the service."""
        await changes.manifest(self.repository, self.digest, self.wanted)

    def rows(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Give the keys of the rows that are to say so."""
        return [keys.manifest(self.digest)]


@dataclass(frozen=True)
class DeleteIfAllowed(Delete):
    """Delete a manifest that may be locked."""

    refusals = (ManifestUnknown, Unavailable, Unsupported)


@dataclass(frozen=True)
class UntagIfAllowed(Untag):
    """Delete a tag that may be locked."""

    refusals = (ManifestUnknown, Unavailable, Unsupported)


@dataclass(frozen=True)
class RestoreIfAllowed(Restore):
    """Bring back a manifest; the repository may be locked."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = (*Restore.refusals, Unsupported)


@dataclass(frozen=True)
class RestoreHidden(Restore):
    """Bring back a manifest that was hidden, and its tag that was."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Both are hidden."""
        yield from super().broken(world, others, since)
        rows = world.contents(self.repository)
        for key in (keys.manifest(self.digest), keys.tag(V1)):
            if key in rows and Attributes.read(rows[key].values) != HIDE.on(Attributes()):
                yield f"{key} has come back and is not hidden"


@dataclass(frozen=True)
class PushOnce(PushAnyway):
    """Push under a tag that never points to something else, from then on and from before."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It never has."""
        yield from super().broken(world, others, since)
        told = world.rows.told.values()
        said = {event["digest"] for event in told if event.get("tag") == self.tag}
        if len(said) > 1:
            yield f"tag {self.tag} has pointed to {len(said)} manifests"
