"""Operations on blobs that take their time, or are upkeep's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from shared import errors
from shared.errors import RegistryError
from shared.model.digest import Digest
from shared.services.upkeep.healing import Task
from tests.simulation.operations import Operation, PutBlob
from tests.simulation.world import Process


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
        joining, gate = process.uploads._joining, process.gate
        link = joining._link

        async def stalled(*arguments: Any) -> bool:
            if gate:
                await gate.go("stall", _nothing_at_all, is_timed=False)
            return await link(*arguments)

        joining._link = stalled  # type: ignore[method-assign,assignment]
        await super().run(process)


async def _nothing_at_all() -> None:
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
    """Do what is to be done for bad bytes by now."""

    digest: Digest

    async def run(self, process: Process) -> None:
        """Do all tasks that need not wait."""
        tasks = await process.healing.unfinished(self.digest)
        while tasks:
            task = tasks.pop(0)
            later = await process.healing.do(task)
            if later and (later.stage is not task.stage or not later.wait):
                tasks.insert(0, later)


@dataclass(frozen=True)
class Withdraw(Operation):
    """Do a task of the first pass, late or once more."""

    task: Task

    async def run(self, process: Process) -> None:
        """Do it."""
        await process.healing.do(self.task)
