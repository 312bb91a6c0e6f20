"""python -m tests.support.scaled_host: the dev host, in a world where time goes by faster.

What is taken for granted of time (L, the quarter of an hour, schedules, how long a message is
hidden that is worked on, how long and in which rhythm receivers of webhooks are tried) is divided
by the number in TIME_FACTOR; grace periods are settings. A day between two rounds, of the sweep or
the scrub, or for which webhooks keep events, becomes twenty minutes of that world; what fails waits
no longer than that, and webhooks are tended every ten minutes. The app's clock jumps by up to
CLOCK_JUMPS seconds, and what its consumers have been told of events goes into the file WITNESS;
none of both, unless set.
"""

import argparse
import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from infra.devhost import host
from infra.devhost.command import command, serve
from infra.devhost.settings import HostSettings
from infra.devhost.triggers import ncrontab, queues, timers
from shared import bootstrap
from shared.assembly import delivering as assembly
from shared.services.garbage import leftovers
from shared.services.letters import poison, retries, sleepers
from shared.services.sweep import rounds
from shared.services.verification import scrub
from shared.services.webhooks import delivering, holding, outcomes, probing, tending
from shared.storage import ages
from tests.support import witness
from tests.support.jumping_clock import JumpingClock

ROOT = Path(__file__).parents[2]

_TENDING = "0 41 * * * *"
_TENDINGS_AN_HOUR = 6


class Faster:
    """A schedule that fires so many times as often."""

    def __init__(self, schedule: ncrontab.Schedule, factor: float) -> None:
        self._schedule = schedule
        self._factor = factor

    def next_after(self, moment: datetime) -> datetime:
        """Give the first occurrence later than the moment."""
        first = self._schedule.next_after(moment)
        return moment + (self._schedule.next_after(first) - first) / self._factor


def scale(factor: float) -> None:
    """Let time go by so much faster."""
    ages.L /= factor
    leftovers._SETTLED /= factor
    rounds.DAY = scrub._DAY = scrub.LATELY = timedelta(minutes=20) / factor
    scrub.SETTLED /= factor
    retries._LONGEST = 12
    sleepers._HIDDEN_SECONDS = poison._HIDDEN_SECONDS = int(poison._HIDDEN_SECONDS / factor)
    scrub._SLACK /= factor
    queues.VISIBILITY /= factor
    _hurry_webhooks(factor)
    parse, read = ncrontab.parse, HostSettings.read
    vars(timers)["parse"] = lambda schedule: Faster(
        parse(schedule), factor * (_TENDINGS_AN_HOUR if schedule == _TENDING else 1)
    )
    vars(host)["HostSettings"] = SimpleNamespace(read=lambda app: _hurried(read(app), factor))


def _hurry_webhooks(factor: float) -> None:
    outcomes.LIFE /= factor
    for one in (delivering, probing, tending):
        vars(one)["LIFE"] = outcomes.LIFE
    outcomes._SHORTEST /= factor
    outcomes._LONGEST /= factor
    outcomes._LONGEST_PAUSE /= factor
    delivering._SHORTEST_WAIT /= factor
    delivering._LONGEST_WAIT /= factor
    holding._FIRST_PAUSE /= factor
    probing._NEXT /= factor
    probing._CROWDED /= factor
    outcomes.LATE /= factor
    vars(tending)["LATE"] = outcomes.LATE
    vars(assembly)["timedelta"] = lambda days: timedelta(minutes=20) / factor * days


def _hurried(settings: HostSettings, factor: float) -> HostSettings:
    """Show a message that failed again so much sooner; queues count whole seconds."""
    pause = max(settings.queues.visibility_timeout / factor, timedelta(seconds=1))
    return replace(settings, queues=replace(settings.queues, visibility_timeout=pause))


def prepare(said: Mapping[str, str]) -> None:
    """Make this process a host of that world."""
    scale(float(said["TIME_FACTOR"]))
    if jumps := float(said.get("CLOCK_JUMPS", "0")):
        vars(bootstrap)["now"] = JumpingClock(jumps, said.get("CLOCK_SEED", ""))
    if file := said.get("WITNESS"):
        witness.watch(Path(file))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    prepare(os.environ)  # noqa: TID251 - a host
    with command("scaled_host"):
        asyncio.run(serve(ROOT, parser.parse_args().port))


if __name__ == "__main__":
    main()
