"""Operations on blobs that take their time, or are upkeep's."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from shared import errors
from shared.errors import BlobUnknown, BlobUploadUnknown, RegistryError
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.model.upload import Upload, listed_block_ids
from shared.services.content.uploads import Part
from shared.services.verification.healing import Task
from shared.storage import keys
from tests.simulation.operations import (
    Collect,
    DeleteBlob,
    Operation,
    Others,
    PutBlob,
    _Shown,
    promised,
)
from tests.simulation.world import GENERATION, Process, World

_TASKS = 40
"""No healing here has so many."""

_PAGES = 4
"""Of one row each: the content, `good|`, the repository itself, and another."""


@dataclass(frozen=True)
class PutSlowly(PutBlob):
    """Finish an upload while much time may pass, so that the registry may give up.

    The process may stall before it writes the link, for however long.
    """

    is_slow = True
    refusals: ClassVar[tuple[type[RegistryError], ...]] = (
        *PutBlob.refusals,
        errors.Unavailable,
    )

    async def run(self, process: Process) -> None:
        """Finish it, and stall."""
        joining = process.uploads._joining
        link = joining._link

        async def stalled(*arguments: Any) -> bool:
            await process.turn("stall", _nothing_at_all, is_timed=False)
            return await link(*arguments)

        joining._link = stalled  # type: ignore[method-assign,assignment]
        await super().run(process)


async def _nothing_at_all(_: World) -> None:
    return


@dataclass(frozen=True)
class Verify(Operation):
    """Hash an object once more."""

    name: str

    async def run(self, process: Process) -> None:
        """Verify it."""
        await process.verification.verify(self.name)


@dataclass(frozen=True)
class Look(Operation):
    """Look whether an object is of no use."""

    name: str

    async def run(self, process: Process) -> None:
        """Look at it."""
        await process.leftovers.look_at(self.name)


@dataclass(frozen=True)
class Heal(Operation):
    """Do what is to be done for bad bytes by now; each task so many `times`, as messages come."""

    digest: Digest
    times: int = 1

    async def run(self, process: Process) -> None:
        """Do all tasks that need not wait."""
        tasks = await process.healing.unfinished(self.digest)
        for _ in range(_TASKS):
            if not tasks:
                return
            task = tasks.pop(0)
            for _ in range(self.times):
                later = await process.healing.do(task)
            if later and (later.stage is not task.stage or not later.wait):
                tasks.insert(0, later)
        raise AssertionError(f"the healing of {self.digest} does not end")


@dataclass(frozen=True)
class DoTask(Operation):
    """Do a task of healing, late or once more."""

    task: Task

    async def run(self, process: Process) -> None:
        """Do it."""
        await process.healing.do(self.task)


@dataclass(frozen=True)
class DoTaskSlowly(DoTask):
    """Do a task of healing, and stall for however long before a link is written."""

    is_slow = True
    refusals = (errors.Unavailable,)

    async def run(self, process: Process) -> None:
        """Do it, and stall."""
        joining = process.healing._joining
        restore = joining.restore

        async def stalled(*arguments: Any) -> bool:
            await process.turn("stall", _nothing_at_all, is_timed=False)
            return await restore(*arguments)

        joining.restore = stalled  # type: ignore[method-assign,assignment]
        await super().run(process)


@dataclass(frozen=True)
class CollectBriefly(Collect):
    """Take the collector's step for a blob that many others hold, and read few of them."""

    async def run(self, process: Process) -> None:
        """Take it, and count the pages that each try has read."""
        await super().run(process)
        pages = 0
        for call in process.gate.gone if process.gate else ():
            if call.startswith("scan blobs"):
                pages = 1 if call.endswith("''") else pages + 1
            if pages > _PAGES:
                raise AssertionError(f"the collector of {self.digest} reads {pages} pages")


@dataclass(frozen=True)
class PutSurely(PutBlob):
    """Finish an upload that nothing can be in the way of, not even an answer that is lost."""

    refusals: ClassVar[tuple[type[RegistryError], ...]] = ()

    def is_refused_unfairly(self, world: World) -> bool:
        """Tell that every refusal is."""
        return True

    def again(self) -> Operation:
        """Give what a client does that has heard nothing: its upload may be unknown by now."""
        return PutBlob(self.repository, self.digest, self.upload)


@dataclass(frozen=True)
class PutRest(PutBlob):
    """Send the rest of a blob with the last step of its upload."""

    rest: bytes

    async def run(self, process: Process) -> None:
        """Send it, and finish the upload."""
        part = Part(_once(self.rest))
        await process.uploads.commit(self.repository, self.upload, self.digest, part)
        await promised(process, self.repository, self.digest)


@dataclass(frozen=True)
class PutStaged(PutBlob):
    """Finish an upload once more, whose one block was staged once more, late."""

    block: bytes

    async def run(self, process: Process) -> None:
        """Stage it, and finish the upload."""
        name = keys.object_name(GENERATION, self.upload.object)
        (block_id,) = listed_block_ids(self.upload.pieces or ())
        await process.turn("late", _nothing_at_all)  # elsewhere nobody notices the staging
        await process.stores.objects.stage(name, block_id, self.block)
        await super().run(process)


@dataclass(frozen=True)
class PutLongAfter(PutBlob):
    """Finish an upload, and stall for however long between making the object and naming it."""

    is_slow = True
    refusals: ClassVar[tuple[type[RegistryError], ...]] = PutSlowly.refusals

    async def run(self, process: Process) -> None:
        """Finish it, and stall."""
        joining = process.uploads._joining
        bring = joining.bring

        async def stalled(*arguments: Any) -> None:
            await process.turn("stall", _nothing_at_all, is_timed=False)
            await bring(*arguments)

        joining.bring = stalled  # type: ignore[method-assign,assignment]
        await super().run(process)


@dataclass(frozen=True)
class Discover(_Shown):
    """Mount a blob from wherever it is shown."""

    refusals = (BlobUnknown,)

    async def run(self, process: Process) -> None:
        """Mount it."""
        if not await process.uploads.discover(self.repository, self.digest, lambda _: True):
            raise BlobUnknown
        await promised(process, self.repository, self.digest)

    def shows(self, repository: RepositoryName, digest: Digest) -> bool:
        """Tell whether it may bring a blob's link."""
        return (repository, digest) == (self.repository, self.digest)


@dataclass(frozen=True)
class DiscoverInVain(Discover):
    """Mount a blob that nobody shows (any more)."""

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It was there to be mounted."""
        yield f"{self.digest} was discovered where it is deleted"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


@dataclass(frozen=True)
class StaysDeleted(DeleteBlob):
    """Have deleted a blob, before all this."""

    async def run(self, process: Process) -> None:
        """Do nothing more."""


@dataclass(frozen=True)
class Cancel(Operation):
    """Cancel the upload of a blob that is there by no other way."""

    digest: Digest
    upload: Upload
    refusals = (BlobUploadUnknown,)

    async def run(self, process: Process) -> None:
        """Cancel it."""
        await process.uploads.cancel(self.repository, self.upload)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """It is not there, and never will be."""
        if keys.blob(self.digest) in world.contents(self.repository):
            yield f"{self.digest} is there though its upload was cancelled"
