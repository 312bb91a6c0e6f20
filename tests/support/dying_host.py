"""python -m tests.support.dying_host: the scaled host, which dies on the events that it hands on.

It does so as often as the number in the file DEATHS says, each time in the midst of the function,
as a process does that runs out of memory: nobody gets to put anything in order.
"""

import os
from pathlib import Path

from shared.services.events.fan_out import Announcement, FanOut
from tests.support import scaled_host


def is_to_die(deaths: Path) -> bool:
    """Count down; True until that was done as often as the file says."""
    left = int(deaths.read_text())
    deaths.write_text(str(max(left - 1, 0)))
    return left > 0


def deadly(deaths: Path) -> None:
    """Let the process die when it follows an announcement."""
    follow = FanOut.follow

    async def die_or_follow(fan_out: FanOut, announcement: Announcement) -> None:
        if is_to_die(deaths):
            os._exit(1)
        await follow(fan_out, announcement)

    setattr(FanOut, "follow", die_or_follow)  # noqa: B010 - a method is not assigned to


if __name__ == "__main__":
    deadly(Path(os.environ["DEATHS"]))  # noqa: TID251 - a host
    scaled_host.main()
