"""rebuild: the rows of all registries again, for the day when tables are lost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, progress, table
from shared.bootstrap import recovery
from shared.services.rebuild.recovery import Recovery
from shared.services.rebuild.report import Fault, Report, Revived, Step

rebuild = Group("", "What concerns a storage account as a whole.")

_TAGS = "tags do not come back: push them again, or point them to the digests above"
_ANEW = "access tokens end, and the admin user's password is that of the settings, if they are lost"
_WEBHOOKS = "webhooks do not come back: create anew those that webhook list does not show"
_UNFINISHED = (
    "some of this may yet come back: until then nothing is removed from this storage; see to what"
    " is said, then repeat the command, or give it up with registry resume"
)
_SHOWN = (
    "blobs are shown again where they were uploaded, as rows that would say which were deleted are"
    " lost: what nothing uses goes after the grace period"
)
_READ_LOCKS = "something in it was locked against reading, and can be read now: lock it again"
_OTHERS = (
    "nothing is removed from this storage until another rebuild ends, begun {}; if none is under"
    " way, it was killed: then go on with registry resume"
)
_DELETED = "these manifests are there again; some of them may have been deleted before:"


@dataclass(frozen=True, slots=True)
class _Back:
    """A manifest that came back, as people want to see it."""

    repository: str
    digest: str
    made: datetime
    why: str


@rebuild.command("rebuild")
async def rebuild_rows(
    desk: Desk,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it, even if nothing seems to be lost.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come back, and write nothing.")
    ] = False,
) -> Answer:
    """Make rows that were lost again from the objects, for all registries of this storage."""
    async with recovery(desk.settings) as here:
        lost = await here.lost()
    if not (lost or yes or dry_run):
        raise AdminError(
            "nothing seems to be lost in this storage; if rows are missing all the same, say --yes"
        )
    async with recovery(desk.settings, is_dry=dry_run) as here:
        reports = await _run(here)
        others = [] if dry_run else await here.others()
    return _answer(lost, reports, others, is_dry=dry_run)


async def _run(here: Recovery) -> Sequence[Report]:
    with progress("rebuild") as steps:

        def tell(step: Step, done: int) -> None:
            steps.say(f"rebuild: {step} {done:,}")

        return await here.run(tell)


def _answer(
    lost: Sequence[str], reports: Sequence[Report], others: Sequence[timedelta], *, is_dry: bool
) -> Answer:
    document = {
        "dry_run": is_dry,
        "lost": lost,
        "other_rebuilds": [int(age.total_seconds()) for age in others],
        "registries": [_document(report) for report in reports],
    }
    shown: list[str | Table] = [f"lost: {', '.join(lost) or 'nothing that shows'}"]
    for report in reports:
        shown += _shown(report)
    shown += [_TAGS, _WEBHOOKS, _ANEW] if any(report.revived for report in reports) else []
    shown += ["this was a dry run: nothing is written"] if is_dry else []
    is_unfinished = any(report.is_unfinished for report in reports)
    shown += [_UNFINISHED] if is_unfinished and not is_dry else []
    begun = ", ".join(f"{age.total_seconds():,.0f} seconds ago" for age in others)
    shown += [_OTHERS.format(begun)] if others else []
    return Answer(document, shown, is_done=not is_unfinished)


def _document(report: Report) -> dict[str, object]:
    counts = {name.replace(" ", "_"): count for name, count in report.counts().items()}
    return {
        "registry": report.registry,
        "generation": report.generation,
        **counts,
        "is_unfinished": report.is_unfinished,
        "had_read_locks": report.had_read_locks,
        "manifests": [{**asdict(it), "why": it.why} for it in _sorted(report)],
        "not_brought_back": report.faults,
    }


def _shown(report: Report) -> list[str | Table]:
    counts = ", ".join(f"{count:,} {name}" for name, count in report.counts().items())
    shown: list[str | Table] = [f"registry {report.registry}: {counts}"]
    if report.revived:
        rows = [_Back(it.repository, it.digest, it.made, it.why) for it in _sorted(report)]
        shown += [_DELETED, table(_Back, rows)]
        shown += [_READ_LOCKS] if report.had_read_locks else []
    shown += [_SHOWN] if report.shown else []
    if report.faults:
        shown += ["this did not come back:", table(Fault, report.faults)]
    return shown


def _sorted(report: Report) -> list[Revived]:
    return sorted(report.revived.values(), key=lambda it: (it.repository, it.made))
