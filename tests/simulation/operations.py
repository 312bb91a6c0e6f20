"""Operations: what a client or the collector does, and what it may rely on afterwards."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from shared.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestUnknown,
    PreconditionFailed,
    RegistryError,
    Unsupported,
)
from shared.events import ManifestDeleted, read
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName, Tag, is_referrers_tag
from shared.model.upload import Upload
from shared.services.content.pushes import Condition
from shared.services.content.uploads import Part
from shared.storage import keys
from tests.simulation.loop import at_once
from tests.simulation.world import GRACE, Process, World
from tests.support.causes import ME

type Others = Sequence[Operation]


LATEST = Tag("latest")


@dataclass(frozen=True)
class Operation(ABC):
    """Something done to a repository. `refusals` are the answers that are fair.

    What `is_slow` may take so long that calls are given up.
    """

    repository: RepositoryName
    is_slow: ClassVar[bool] = False
    refusals: ClassVar[tuple[type[RegistryError], ...]] = ()

    @abstractmethod
    async def run(self, process: Process) -> None:
        """Do it."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Tell which promises do not hold once this was acknowledged at `since`.

        `others` are the operations that did not end before this one began, so may come after it.
        """
        return ()

    def shows(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a blob's link."""
        return False

    def takes(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may take a manifest."""
        return False

    def brings(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a manifest, or bring it back."""
        return False

    def is_refused_unfairly(self, world: World) -> bool:
        """Tell whether a refusal is wrong, since it has been done."""
        return False

    def again(self) -> "Operation | None":
        """Give what is done once this has failed."""
        return self


def _has_event(world: World, event: str, **fields: str) -> bool:
    return any(
        said["event"] == event and all(said[name] == value for name, value in fields.items())
        for said in world.rows.told.values()
    )


def _any(
    others: Others, kind: type[Operation], repository: RepositoryName, **fields: object
) -> bool:
    return any(
        isinstance(each, kind)
        and each.repository == repository
        and all(getattr(each, name) == value for name, value in fields.items())
        for each in others
    )


@dataclass(frozen=True)
class Push(Operation):
    """Push a manifest under a tag. `is_warm`: by a process that has pushed just this before."""

    manifest: Manifest
    tag: Tag = LATEST
    is_warm: bool = False
    is_sparse: bool = False
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (ManifestBlobUnknown,)
    condition: ClassVar[Condition] = Condition()

    @property
    def digest(self) -> Digest:
        """Name what is pushed."""
        return self.manifest.digest

    def brings(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a manifest, or bring it back."""
        return (repository, digest) == (self.repository, self.digest)

    async def run(self, process: Process) -> None:
        """Push it."""
        pushes = process.sparse_pushes if self.is_sparse else process.pushes
        if self.is_warm:
            for hint in (None, self.digest, self.tag):
                pushes._hints.add((self.repository, hint) if hint else self.repository)
        tags, condition = [self.tag], self.condition
        await pushes.put(self.repository, self.manifest, tags, by=ME, condition=condition)

    def again(self) -> Operation:
        """Give the same for a process that has never pushed here."""
        return replace(self, is_warm=False)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It can be pulled by tag and digest, it is in the catalog, its event is kept."""
        is_deleted = any(each.takes(self.repository, self.digest) for each in others)
        if not is_deleted:
            yield from self._unreadable(world)
        row = world.contents(self.repository).get(keys.tag(self.tag))
        found = str(row.values["digest"]) if row else ""
        is_kept_here = is_referrers_tag(self.tag) and _any(others, Follow, self.repository)
        if not is_kept_here and found not in self._possible(others):
            yield f"tag {self.tag} is {found or 'not there'} after a push of {self.digest}"
        if not is_deleted and self.repository not in world.listed():
            yield f"{self.repository} has a manifest and is not in the catalog"
        if not self._is_told(world):
            yield f"the event of a push of {self.tag} is lost"

    def _is_told(self, world: World) -> bool:
        fields = {"digest": str(self.digest), "tag": self.tag}
        return _has_event(world, "ManifestPushed", **fields)

    def _unreadable(self, world: World) -> Iterable[str]:
        manifests = world.process(0xFFFF).manifests
        try:
            _, body = at_once(manifests.read(self.repository, self.digest))
        except ManifestUnknown:
            yield f"manifest {self.digest} was acknowledged and is not there"
        else:
            if body != self.manifest.body:
                yield f"manifest {self.digest} was acknowledged and has another body"

    def _possible(self, others: Others) -> set[str]:
        """Give the digests that the tag may have."""
        pushes = [
            each
            for each in others
            if isinstance(each, Push) and (each.repository, each.tag) == (self.repository, self.tag)
        ]
        possible = {str(each.digest) for each in (self, *pushes)}
        if _any(others, Untag, self.repository, tag=self.tag) or any(
            each.takes(self.repository, Digest.parse(digest))
            for each in others
            for digest in possible
        ):
            possible.add("")
        return possible


@dataclass(frozen=True)
class Pull(Operation):
    """Read what is under a tag that is there all the time."""

    tag: Tag

    async def run(self, process: Process) -> None:
        """Read it."""
        await process.manifests.read(self.repository, self.tag)


@dataclass(frozen=True)
class PushNew(Push):
    """Push a manifest under a tag that must not be there."""

    refusals = (ManifestBlobUnknown, PreconditionFailed)
    condition = Condition(is_new=True)

    def takes(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may take a manifest."""
        return False

    def is_refused_unfairly(self, world: World) -> bool:
        """Tell whether it stumbled over itself."""
        return self._is_told(world)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """Nobody else did the same; and the promises of a push."""
        yield from super().broken(world, others, since)
        for other in others:
            if isinstance(other, PushNew) and other.digest != self.digest and other._is_told(world):
                yield f"tag {self.tag} was new to two"


@dataclass(frozen=True)
class Delete(Operation):
    """Delete a manifest with all its tags."""

    digest: Digest
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (ManifestUnknown,)

    def takes(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may take a manifest."""
        return (repository, digest) == (self.repository, self.digest)

    async def run(self, process: Process) -> None:
        """Delete it."""
        await process.manifests.delete(self.repository, self.digest, by=ME)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is gone, with its tags, and the event is kept."""
        rows = world.contents(self.repository)
        is_brought = any(each.brings(self.repository, self.digest) for each in others)
        if not is_brought and keys.manifest(self.digest) in rows:
            yield f"manifest {self.digest} is there after its deletion"
        if not _has_event(world, "ManifestDeleted", digest=str(self.digest)):
            yield "the event of a deletion is lost"


@dataclass(frozen=True)
class Untag(Operation):
    """Delete a tag."""

    tag: Tag
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (ManifestUnknown,)

    async def run(self, process: Process) -> None:
        """Delete it."""
        await process.manifests.untag(self.repository, self.tag, by=ME)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is gone, and the event is kept."""
        if not _any(others, Push, self.repository, tag=self.tag) and (
            keys.tag(self.tag) in world.contents(self.repository)
        ):
            yield f"tag {self.tag} is there after its deletion"
        if not _has_event(world, "TagDeleted", tag=self.tag):
            yield "the event of a tag's deletion is lost"


@dataclass(frozen=True)
class _Shown(Operation):
    """What makes a blob safe in a repository for the grace period."""

    digest: Digest

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """The blob is there for the grace period."""
        if (
            world.clock.now < since + GRACE
            and keys.blob(self.digest) not in world.contents(self.repository)
            and not _any(others, DeleteBlob, self.repository, digest=self.digest)
            and not world.is_withdrawn(self.repository, self.digest)
        ):
            yield f"{type(self).__name__} promised {self.digest}, and it is gone"


@dataclass(frozen=True)
class PutBlob(_Shown):
    """Finish an upload, all of whose parts are staged."""

    upload: Upload
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (
        BlobUploadUnknown,
        DigestInvalid,
    )

    async def run(self, process: Process) -> None:
        """Finish it."""
        await process.uploads.commit(self.repository, self.upload, self.digest, Part(_nothing()))
        await promised(process, self.repository, self.digest)

    def shows(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a blob's link."""
        return (repository, digest) == (self.repository, self.digest)


@dataclass(frozen=True)
class Mount(_Shown):
    """Mount a blob from another repository."""

    source: RepositoryName
    refusals = (BlobUnknown,)

    async def run(self, process: Process) -> None:
        """Mount it."""
        if not await process.uploads.mount(self.repository, self.digest, self.source):
            raise BlobUnknown
        await promised(process, self.repository, self.digest)

    def shows(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a blob's link."""
        return (repository, digest) == (self.repository, self.digest)


@dataclass(frozen=True)
class Head(_Shown):
    """Ask whether a blob is there."""

    refusals = (BlobUnknown,)

    async def run(self, process: Process) -> None:
        """Ask."""
        await process.blobs.find(self.repository, self.digest)
        await promised(process, self.repository, self.digest)


@dataclass(frozen=True)
class Ensure(PutBlob):
    """Ask whether a blob is there, and upload it where it is not, as clients do."""

    async def run(self, process: Process) -> None:
        """Ask, and upload."""
        try:
            await process.blobs.find(self.repository, self.digest)
            await promised(process, self.repository, self.digest)
        except BlobUnknown:
            await super().run(process)


@dataclass(frozen=True)
class DeleteBlob(Operation):
    """Take a blob out of a repository."""

    digest: Digest
    refusals = (BlobUnknown, Unsupported)

    async def run(self, process: Process) -> None:
        """Delete it."""
        await process.blobs.delete(self.repository, self.digest)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is gone."""
        if keys.blob(self.digest) in world.contents(self.repository) and not any(
            each.shows(self.repository, self.digest) for each in others
        ):
            yield f"{self.digest} is there after its deletion"


@dataclass(frozen=True)
class Collect(Operation):
    """Take the collector's step."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Take it."""
        await process.garbage.collect(self.repository, self.digest)


@dataclass(frozen=True)
class Retire(Operation):
    """Strike the repository off the catalog, if it has no manifest."""

    async def run(self, process: Process) -> None:
        """Retire it."""
        await process.retirement.retire(self.repository)


@dataclass(frozen=True)
class Follow(Operation):
    """Do what the function behind the queue does with each event that waits."""

    async def run(self, process: Process) -> None:
        """Hand them on, one after the other."""
        for key in await process.sees(lambda world: world.waiting(self.repository)):
            for row in await process.stores.contents.rows(self.repository, [key]):
                event = read(row.values)
                await process.fallback_lists.follow(self.repository, event)
                if not isinstance(event, ManifestDeleted):  # of which others are to hear too
                    await self._hand_on(process, key)

    async def _hand_on(self, process: Process, key: str) -> None:
        await process.changes(lambda world: world.hand_on(self.repository, key))


@dataclass(frozen=True)
class Pause(Operation):
    """Let time pass."""

    span: timedelta = field(default=GRACE * 0.9)

    async def run(self, process: Process) -> None:
        """Move the clock, at one's turn."""

        async def move(world: World) -> None:
            world.clock.now += self.span

        await process.turn("pause", move)

    def again(self) -> None:
        """Wait no longer."""


async def promised(process: Process, repository: RepositoryName, digest: Digest) -> None:
    """Remember which object a client has been given."""
    await process.changes(lambda world: world.promise(repository, digest))


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
