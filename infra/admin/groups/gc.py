"""gc: what nothing uses any more: go through all there is now, and ask why something is kept."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

import typer

from infra.admin.app import Group
from infra.admin.naming import manifest_of
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, Steps, progress, table
from shared.assembly.jobs import Jobs
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.explaining.words import lines
from shared.services.sweep.findings import Finding, Told, What
from shared.services.sweep.sweep import Swept
from shared.services.verification.healing import Healing

gc = Group("gc", "Garbage: what nothing uses any more.")

_TOLD = 1_000
_HALTED = "nothing is removed for now, as rows may be missing: see rebuild, and registry resume"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: where, and the keys of its rows, or its object."""

    what: What
    where: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was found."""

    what: What
    found: int
    left: int


@dataclass(slots=True)
class _Round:
    """A round, and what has come of it so far."""

    pages: int = 0
    found: Counter[What] = field(default_factory=Counter)
    left: Counter[What] = field(default_factory=Counter)
    first: list[Found] = field(default_factory=list)
    rows: int = 0
    objects: int = 0

    def add(self, swept: Swept) -> None:
        """Count what a page showed."""
        self.pages += 1
        self.found.update(finding.what for finding in swept.findings)
        self.left.update(finding.what for finding in swept.left)
        room = _TOLD - len(self.first)
        self.first += [_found(finding) for finding in swept.findings[:room]]

    def note(self, taken: tuple[str, ...]) -> None:
        """Count what the collector took: keys of rows, and names of objects, which have a slash."""
        objects = sum("/" in each for each in taken)
        self.objects += objects
        self.rows += len(taken) - objects

    def counts(self) -> list[Count]:
        """Give how often each was found, the most frequent first."""
        return [Count(what, count, self.left[what]) for what, count in self.found.most_common()]


@gc.command("run")
async def run(
    desk: Desk,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be seen to.")
    ] = False,
) -> Answer:
    """Go through all rows and objects now, and see to what crashes have left and nothing uses."""
    so_far = _Round()
    async with desk.opened() as here:
        with progress("going through the registry") as steps:
            await _go_round(here.jobs, so_far, steps, is_dry=dry_run)
        is_halted = await here.halt.age() is not None
    found, left = so_far.found.total(), so_far.left.total()
    told = _told(so_far, found, left, is_dry=dry_run)
    document = {
        "dry_run": dry_run,
        "message": told,
        "halted": is_halted,
        "pages": so_far.pages,
        "counts": so_far.counts(),
        "findings": so_far.first,
        "and_more": found - len(so_far.first),
        "rows_collected": so_far.rows,
        "objects_collected": so_far.objects,
    }
    tables = [table(Count, so_far.counts())] if found else []
    halted = [_HALTED] if is_halted else []
    return Answer(document, [*tables, told, *halted], is_done=not left)


@gc.command("explain")
async def explain(
    desk: Desk,
    repository: Annotated[str, typer.Argument(help="Where it is; or REPOSITORY@DIGEST.")],
    digest: Annotated[str, typer.Argument(help="Of a blob or a manifest.")] = "",
) -> Answer:
    """Say why a blob or a manifest is kept, or when it goes and why."""
    name, wanted = manifest_of(desk, repository, digest)
    async with desk.opened() as here:
        explanation = await here.jobs.explaining.explain(name, wanted)
    if explanation.is_empty:
        raise AdminError(f"there is nothing of {wanted} in {name}, and nothing there uses it")
    said = [*lines(explanation)]
    return Answer({"words": said, "facts": explanation}, said)


async def _go_round(jobs: Jobs, so_far: _Round, steps: Steps, *, is_dry: bool) -> None:
    """Sweep from the first page to the last; the collector's part is done at once."""

    async def collect(repository: RepositoryName, digest: Digest) -> None:
        collected = await jobs.garbage.collect(repository, digest)
        so_far.note(collected.taken)

    sweep = jobs.sweep_with(Told(collect, Healing(jobs.rounds).ask))
    position, is_first = "", True
    while position or is_first:
        swept = await sweep.sweep(position, is_dry=is_dry)
        so_far.add(swept)
        steps.advance()
        steps.say(f"{so_far.found.total()} found")
        position, is_first = swept.position, False


def _told(so_far: _Round, found: int, left: int, *, is_dry: bool) -> str:
    if not found:
        return f"nothing is left over ({so_far.pages} pages)"
    if is_dry:
        return f"{found} found, and nothing was changed ({so_far.pages} pages)"
    done = f"{found - left} of {found} seen to, at once or by message ({so_far.pages} pages)"
    taken = f"the collector took {so_far.rows} rows and {so_far.objects} objects"
    why = f"; {left} are left, as that failed or removal is halted: repeat it" if left else ""
    return f"{done}; {taken}{why}"


def _found(finding: Finding) -> Found:
    return Found(finding.what, str(finding.where), finding.keys)
