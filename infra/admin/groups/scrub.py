"""scrub: all that is kept is read again, and what was bad or missing is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, progress, table
from shared.services.verification.scrub import Report
from shared.storage.rows.rounds.scrubs import Damage, Round

scrub = Group("scrub", "Whether what is kept is still what was pushed.")


@dataclass(frozen=True, slots=True)
class Found:
    """An object that was found bad or missing, as it is listed."""

    repository: str
    digest: str
    kind: str
    what: str
    found: datetime
    healed: datetime | None
    is_needed: bool
    state: str
    object: str


@scrub.command("run")
async def run(
    desk: Desk,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was read within a week.")
    ] = False,
) -> Answer:
    """Read all there is now, but for what was read within a week, whatever the day's budget."""
    async with desk.opened() as here:
        with progress("verifying") as steps:
            done = await here.jobs.scrub.run(lambda _: steps.advance(), is_all=everything)
    if done is None:
        raise AdminError(
            "another scrub goes on at the same time, or died in the last quarter of an hour:"
            " repeat this later"
        )
    told = _told(done)
    return Answer({"message": told, "round": done}, [told], is_done=not done.failed)


@scrub.command("report")
async def report(desk: Desk) -> Answer:
    """Tell what the scrub has read, what was found bad or missing, and whether it is healed."""
    async with desk.opened() as here:
        found = await here.jobs.scrub.report()
    damages = [_listed(damage, found) for damage in found.damages]
    shown: list[str | Table] = [f"last round: {_told(found.last)}" if found.last else _NONE_YET]
    if found.round:
        shown.append(f"this round: {_told(found.round)}")
    shown.append(
        table(Found, damages, only=_SHOWN) if damages else "nothing was found bad or missing"
    )
    if found.more:
        shown.append(f"and {found.more:,} more, which are not shown")
    document: Mapping[str, object] = {
        "round": found.round,
        "last": found.last,
        "damages": damages,
        "more": found.more,
    }
    return Answer(document, shown)


_SHOWN = ("repository", "digest", "kind", "what", "found", "state")
_NONE_YET = "no round has ended yet"


def _listed(damage: Damage, report: Report) -> Found:
    state = "not healed: push it again"
    if damage.object in report.lost:
        state = "nobody needs it any more"
    if damage.healed:
        state = f"healed {damage.healed:%Y-%m-%d %H:%M:%S}"
    return Found(
        repository=damage.repository,
        digest=str(damage.digest),
        kind=damage.kind,
        what=damage.what,
        found=damage.found,
        healed=damage.healed,
        is_needed=damage.object not in report.lost,
        state=state,
        object=damage.object,
    )


def _told(done: Round) -> str:
    """Say in a line what a round came upon."""
    span = f"{done.began:%Y-%m-%d %H:%M} to {done.ended:%H:%M}" if done.ended else "under way"
    parts = [
        f"{done.objects:,} objects verified ({done.bytes:,} bytes)",
        f"{done.skipped:,} verified lately, or just made",
        f"{done.bad:,} bad",
        f"{done.missing:,} missing",
    ]
    if done.handed:
        parts.append(f"{done.handed:,} large ones go on behind the queue")
    if done.failed:
        parts.append(f"{done.failed:,} could not be read")
    return f"{', '.join(parts)} ({span})"
