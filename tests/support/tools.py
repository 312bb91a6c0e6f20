"""What a test needs of the machine: without it a test is skipped, or fails where CI runs it."""

import os
import shutil
from pathlib import Path

import pytest

_FRONT = "functions-front"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def is_ci() -> bool:
    """Tell whether continuous integration runs us, where a skip is a failure."""
    return _variable("CI").lower() in {"1", "true"}


def unavailable(reason: str) -> None:
    """Skip the test for a reason; in CI fail it."""
    if is_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require(*programs: str) -> None:
    """Go on if the programs are installed."""
    missing = [each for each in programs if not shutil.which(each, path=SYSTEM_PATH)]
    if missing:
        unavailable(f"not installed: {', '.join(missing)} (see infra/toolchain/clients.sh)")


def front() -> Path:
    """Give the Functions host's HTTP path as a program."""
    return brought(_FRONT)


def brought(program: str) -> Path:
    """Give a program that is not the project's own, from PATH.

    Where REQUIRED_PROGRAMS does not name it, its tests skip.
    """
    found = shutil.which(program)
    if not found and program in _variable("REQUIRED_PROGRAMS").split():
        pytest.fail(f"{program} is not on PATH", pytrace=False)
    if not found:
        pytest.skip(f"{program} is not on PATH")
    return Path(found)


def find_front() -> Path | None:
    """Look on PATH for the Functions host's HTTP path as a program."""
    found = shutil.which(_FRONT)
    return Path(found) if found else None


def _variable(name: str) -> str:
    return os.environ.get(name, "")  # noqa: TID251 - no setting of ours


def environment(**more: str) -> dict[str, str]:
    """Give a program an environment of its own, with nothing of ours but the path."""
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", **more}
