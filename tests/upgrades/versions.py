"""The two versions: this one, and the last that the changelog names, as git has it.

The last one runs from a folder of its own, with its own code. Packages are those of today: what
differs is what we wrote.
"""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.hosts import ROOT, Host
from tests.support.tools import environment, unavailable

_HEADING = re.compile(r"^## \d+\.\d+\.\d+, commit ([0-9a-f]{7,40})$", re.MULTILINE)
_FUNCTION = re.compile(r"^async def ([a-z]\w+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the app: a folder with its code."""

    name: str
    root: Path

    def functions(self, *, are_jobs: bool) -> Sequence[str]:
        """Name the functions that are triggered by HTTP, or all the others."""
        jobs = self.root / "functions/jobs"
        modules = (self.root / "functions").rglob("*.py")
        texts = [one.read_text() for one in modules if (one.parent == jobs) == are_jobs]
        return [name for text in texts for name in _FUNCTION.findall(text)]

    def host(
        self,
        settings: dict[str, str],
        log: Path,
        module: str = "infra.devhost",
        only: Collection[str] = (),
    ) -> Host:
        """Make a host of this version, with all functions or only these."""
        arguments = ["--functions", *only] if only else []
        return Host(settings, log, module, root=self.root, arguments=arguments)

    def admin(self, settings: dict[str, str], *arguments: str) -> Any:
        """Run an operator's command of this version, and give its document."""
        done = self._run(settings, "-m", "infra.admin", *arguments, "-o", "json")
        return json.loads(done)

    def told(self, script: str) -> Any:
        """Run a script over this version's code, and give what it prints."""
        return json.loads(self._run({}, "-c", script))

    def _run(self, settings: dict[str, str], *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (self.name, arguments, done.stdout, done.stderr)
        return done.stdout


def last_commit(changelog: str) -> str:
    """Give the commit of the last version that a changelog names."""
    found = _HEADING.search(changelog)
    assert found, "CHANGELOG.md names no version with its commit: ## 0.1.0, commit 0123456"
    return found[1]


def unpack(commit: str, folder: Path) -> None:
    """Unpack what git has under a commit; skip, or fail in CI, where it has no such commit."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=False, capture_output=True)
    if archive.returncode:
        unavailable(f"git has no commit {commit}: fetch it (git fetch --unshallow)")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
