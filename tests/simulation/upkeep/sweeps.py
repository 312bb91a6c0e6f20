"""Scenarios of the sweep: it goes through all there is while somebody is at work."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model.manifests.manifest import Manifest
from shared.services.sweep.findings import Told
from shared.services.sweep.sweep import Sweep
from shared.services.verification.healing import Task
from shared.storage import keys
from shared.storage.ages import L
from shared.storage.messages.errands import Kind
from shared.storage.ports import Row
from shared.storage.rows.records import DeletedRecord
from tests.simulation.explorer import Scenario
from tests.simulation.manifests.operations import (
    PushAnyway,
    RunErrands,
)
from tests.simulation.manifests.scenarios import LATE, OVER, PURGE, RESTORE
from tests.simulation.operations import Delete, Operation, Others, Push, Untag
from tests.simulation.scenarios import (
    BLOBS,
    DELETE,
    EMPTY,
    MOUNT,
    OLD,
    ONE,
    TWO,
    V1,
    A,
    Past,
    X,
    Y,
)
from tests.simulation.world import GRACE, Process, World

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class SweepAll(Operation):
    """Sweep a whole round, or only one walk of it; whoever is told does it at once."""

    walk: str = ""

    async def run(self, process: Process) -> None:
        """Sweep it."""

        async def heal(task: Task) -> None:
            await process.healing.do(task)

        told = Told(process.garbage.collect, heal)
        sweep = Sweep(process.stores, told, grace=GRACE, kept=GRACE, lifetime=timedelta(days=7))
        swept = await sweep.sweep(f"{self.walk}|" if self.walk else "")
        while swept.position.startswith(self.walk) and swept.position:
            swept = await sweep.sweep(swept.position)

    def broken(self, world: World, others: Others, since: datetime) -> Iterable[str]:
        """What can come back still has all its edges."""
        rows = world.contents(self.repository)
        for manifest in (ONE, TWO):
            for key, row in rows.items():
                is_life = key.startswith(f"deleted|{manifest.digest}|")
                if is_life and world.clock.now < DeletedRecord.read(row).until + 4 * L:
                    yield from self._bare(rows, manifest, keys.last_part(key))

    def _bare(self, rows: Mapping[str, Row], manifest: Manifest, life: str) -> Iterable[str]:
        for blob in manifest.blobs:
            if keys.edge(blob.digest, manifest.digest, life) not in rows:
                yield f"{manifest.digest} can come back, and has lost its edge to {blob.digest}"


ROUND: list[Operation] = [SweepAll(A)]
LISTED, CONTENTS = [SweepAll(A, "listed")], [SweepAll(A, "contents")]

USED = Past().held(A, X, Y).did(Push(A, ONE)).ago(HOUR)
TAGGED = Past().held(A, X, Y).did(Push(A, ONE), Push(A, ONE, V1)).ago(HOUR)
DELETED = Past().held(A, X, Y).did(Push(A, TWO), Push(A, ONE, V1), Delete(A, ONE.digest)).ago(HOUR)
NOBODY = EMPTY.ago(HOUR)

SMALL: Mapping[str, Scenario] = {
    "a push of an old blob": OLD.meets([Push(A, ONE)], CONTENTS),
    "a mount of an old blob": OLD.meets(MOUNT, ROUND),
    "a deletion": USED.meets(DELETE, ROUND),
    "a push of another life": DELETED.meets([Push(A, ONE, V1)], CONTENTS),
    "a restore": DELETED.meets(RESTORE, CONTENTS),
    "a tag that moves": TAGGED.meets([Push(A, TWO, V1)], CONTENTS),
    "a tag that goes": TAGGED.meets([Untag(A, V1)], CONTENTS),
    "a push where there is nothing": NOBODY.meets([PushAnyway(A, TWO)], LISTED),
}
"""The sweep meets one."""

WIDE: Mapping[str, Scenario] = {
    "an upload of an old blob": OLD.meets([OLD.put(A, X)], ROUND),
    "another sweep": OLD.meets(CONTENTS, CONTENTS),
    "a purge": OVER.meets(PURGE, CONTENTS),
    "a push, and the errand": NOBODY.meets(
        [PushAnyway(A, TWO)], [*LISTED, RunErrands(A, Kind.RETIRE)]
    ),
}
"""The same, in so many ways that only those without a crash are tried."""

LARGE: Mapping[str, Scenario] = {
    "a build": BLOBS.meets([PushAnyway(A, TWO)], [LATE, *CONTENTS]),
    "a deletion of two tags": TAGGED.meets(DELETE, CONTENTS),
}
"""The sweep meets what takes several transactions."""
