"""What a process has used, as Linux tells it."""

import re
import time
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Give the user and system time of a process's threads so far.

    It is the sum in /proc/PID/stat, from the process's clock: in nanoseconds instead of ticks.
    """
    return time.clock_gettime(~pid << 3 | 2)


def children(pid: int) -> list[int]:
    """List the processes that a process has started, and those that they have."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            found += [child, *children(child)]
    return found


def resident_mib(pid: int | str = "self") -> float:
    """Give how much memory a process holds."""
    (kibibytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kibibytes) / 1024
