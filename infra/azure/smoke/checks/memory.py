"""Memory: how much the instances of the app took while all this went on, as Azure Monitor knows.

No answer of the registry tells it. The figures of a minute come some minutes later; so this check
waits for those of the minute after the last upload.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from infra.azure.smoke.asking.bodies import MIB, size_text
from infra.azure.smoke.asking.monitor import App, Busy, Figure, Monitor, monitor
from infra.azure.smoke.checking import USUAL_SECONDS, Room
from infra.azure.smoke.findings import Differs, NotChecked
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site
from infra.azure.smoke.waiting import tries

room = Room("size")

_BEFORE = timedelta(minutes=5)
_MINUTE = timedelta(minutes=1)
_PAUSE_SECONDS = 10
_LEFT = 4
"""One part of so many of an instance's memory has to be left."""

_OWN = 256 * MIB
"""What an app may take more after a while, whatever it is sent."""


def _promise(options: Options) -> str:
    left = "a quarter of an instance's memory is left, whatever is pushed"
    is_streaming = options.resource is None or options.resource.kind.streams
    return f"{left}, and no body is held whole" if is_streaming else left


@room.check("memory", _promise, lambda it: it.waits + USUAL_SECONDS)
async def memory(site: Site) -> str:
    """Hold the highest figure since it all began against what an instance has."""
    app, now = site.options.resource, datetime.now(UTC)
    if app is None:
        raise NotChecked(
            "no answer tells it: give --resource ID, the resource id of the app that serves HTTP"
            f" (or look at Azure Monitor's figures of the minutes before {now:%H:%M} UTC)"
        )
    async with monitor(app) as asked:
        size = await asked.size()
        figures, is_whole = await _followed(asked, site, now)
    told = _judged(app, site.options.largest, size, figures)
    if not is_whole:
        raise NotChecked(f"{told}; what came after is not known within {site.options.waits:.0f} s")
    return told


async def _followed(asked: Monitor, site: Site, ended: datetime) -> tuple[Sequence[Figure], bool]:
    """Give the figures once the minute after the end has some; say if it has."""
    figures: Sequence[Figure] = ()
    why = "no instance has a figure"
    async for _ in tries(site.options.waits, _PAUSE_SECONDS):
        try:
            figures = await asked.figures(site.began - _BEFORE, datetime.now(UTC) + _MINUTE)
        except Busy as error:
            why = str(error)
            continue
        if any(one.minute > ended for one in figures):
            return figures, True
    if not figures:
        raise NotChecked(f"{why} within {site.options.waits:.0f} s")
    return figures, False


def _judged(app: App, largest: int, size: int, figures: Sequence[Figure]) -> str:
    """Say what was seen; raises Differs."""
    most = max(figures, key=lambda one: one.taken)
    least = min(one.taken for one in figures)
    instances = len({one.instance for one in figures})
    told = (
        f"{app.name}: {_mib(least)} to {_mib(most.taken)} of {size_text(size)}"
        f" (most at {most.minute:%H:%M} UTC, {instances} instances)"
    )
    if most.taken > size - size // _LEFT:
        raise Differs(f"{told}: less than a quarter is left for others who push")
    if app.kind.streams and most.taken - least > max(largest // 2, _OWN):
        raise Differs(f"{told}: it grows with a body of {size_text(largest)}")
    return told


def _mib(taken: int) -> str:
    return f"{taken / MIB:.0f} MiB"
