"""python -m tests.support.scaled_host: the dev host, in a world where time goes by faster.

What is taken for granted of time (L, the quarter of an hour, schedules, how long the host hides a
message that it works on) is divided by the number in TIME_FACTOR; grace periods are settings.
"""

import argparse
import asyncio
import os
from datetime import datetime
from pathlib import Path

from infra.devhost.command import command, serve
from infra.devhost.triggers import ncrontab, queues, timers
from shared.services.upkeep import leftovers, scrub
from shared.storage import ages

ROOT = Path(__file__).parents[2]


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
    for name in ("SETTLED", "LATELY", "_DAY", "_SLACK"):
        setattr(scrub, name, getattr(scrub, name) / factor)
    queues.VISIBILITY /= factor
    parse = ncrontab.parse
    vars(timers)["parse"] = lambda schedule: Faster(parse(schedule), factor)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    scale(float(os.environ["TIME_FACTOR"]))  # noqa: TID251 - a host
    with command("scaled_host"):
        asyncio.run(serve(ROOT, parser.parse_args().port))


if __name__ == "__main__":
    main()
