"""The package of a commit: made by the commit's own code, once, and kept for later runs.

A folder of the cache, named by the commit, has in `app` what the zip holds, and beside that what
an operator has: the commit's `infra` and `tests`, from which its dev host comes. In `operators` are
the packages that its operators' commands are locked to.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from tests.support.hosts import ROOT
from tests.support.tools import unavailable

APP, OPERATORS = "app", "operators"
_LENT = "infra", "tests"
_BRING = """
import sys
from pathlib import Path
from infra.package import wheels
wheels.bring(Path("infra/admin/requirements.txt"), Path(sys.argv[1]))
"""


def package_of(commit: str) -> Path:
    """Give the folder of a commit; it is made by whoever comes first, while others wait."""
    found = _cache() / _whole(commit)
    found.parent.mkdir(parents=True, exist_ok=True)
    with (found.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=found.parent) as folder:
                _make(found.name, Path(folder)).rename(found)
    return found


def _whole(commit: str) -> str:
    """Give a commit's whole id; skip, or fail in CI, where git has no such commit."""
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
    answer = subprocess.run(asked, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        unavailable(f"git has no commit {commit}: fetch it (git fetch --unshallow)")
    return answer.stdout.strip()


def _make(commit: str, folder: Path) -> Path:
    """Check the commit out, run its own make package, and unpack what comes of it."""
    source, made = folder / "source", folder / "made"
    source.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    _python(source, "-m", "infra.package", "--out", str(folder / "out"))
    _python(source, "-c", _BRING, str(made / OPERATORS))
    (package,) = (folder / "out").glob("*.zip")
    with ZipFile(package) as written:
        written.extractall(made / APP)
    for name in _LENT:
        (source / name).rename(made / APP / name)
    return made


def _python(source: Path, *arguments: str) -> None:
    """Run that code, which finds uv where ours is, instead of installing its own."""
    uv = subprocess.run([ROOT / "infra/toolchain/uv.sh"], check=True, stdout=subprocess.PIPE)
    folder = str(Path(uv.stdout.decode().strip()).parent)
    given = dict(os.environ)  # noqa: TID251 - uv reads its own settings there
    given["PATH"] = f"{folder}{os.pathsep}{given['PATH']}"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=source,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stdout)


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - no setting of ours
    return Path(named or Path.home() / ".cache") / "registry-test-versions"
