"""Wheels: the locked packages, for the machines of Azure Functions, whatever this one is."""

import subprocess
import sys
from pathlib import Path

PYTHON = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
"""Wheels for glibc 2.28 or newer; the hosts of Python 3.13 have a newer one."""

_REPOSITORY = Path(__file__).parents[2]
_UV = _REPOSITORY / "infra/toolchain/uv.sh"


class WheelsMissing(Exception):
    """The locked wheels could not be brought; the message is uv's own."""


def bring(lock: Path, folder: Path) -> None:
    """Install what a lock names into a folder, each wheel by its hash; raises WheelsMissing.

    No package is built here: who builds one runs its code, and gives other bytes each time.
    """
    found = subprocess.run([_UV], check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:")
    where = ("--target", folder, "--link-mode=copy", "--no-compile-bytecode")
    platform = ("--python", sys.executable, "--python-version", PYTHON, "--python-platform")
    install = (found.stdout.strip(), "pip", "install", *options, *where, *platform, PLATFORM)
    ended = subprocess.run(  # noqa: S603 - our own tool, no shell
        [*install, "-r", lock], check=False, capture_output=True, text=True
    )
    if ended.returncode:
        raise WheelsMissing(f"the wheels of {lock} were not brought:\n{ended.stderr.strip()}")
