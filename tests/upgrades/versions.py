"""The two versions: this one, and the last that the changelog names, as git has it.

The last one runs as Azure has it: from its package, unpacked, with the packages in that and no
others. What Azure lends it, a host, and what operators have is of the same commit.
"""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.package.contents import PACKAGES
from tests.support.hosts import Host
from tests.support.isolated import IsolatedHost, isolated, isolated_module
from tests.support.tools import environment
from tests.upgrades.packages import APP, OPERATORS, package_of

_HEADING = re.compile(r"^## \d+\.\d+\.\d+, commit ([0-9a-f]{7,40})$", re.MULTILINE)
_FUNCTION = re.compile(r"^async def ([a-z]\w+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the app: a folder with its code, by the packages that are at hand."""

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
        return Host(settings, log, module, root=self.root, arguments=_named(only))

    def admin(self, settings: dict[str, str], *arguments: str) -> Any:
        """Run an operator's command of this version, and give its document."""
        return self._told(self.command(), settings, *arguments, "-o", "json")

    def told(self, script: str) -> Any:
        """Run a script over this version's code, and give what it prints."""
        return self._told(self.python(script), {})

    def command(self) -> Sequence[str]:
        """Give what starts the operators' commands."""
        return sys.executable, "-m", "infra.admin"

    def python(self, script: str) -> Sequence[str]:
        """Give what starts a script."""
        return sys.executable, "-c", script

    def _told(self, command: Sequence[str], settings: dict[str, str], *arguments: str) -> Any:
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.root,
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (self.name, arguments, done.stdout, done.stderr)
        return json.loads(done.stdout)


@dataclass(frozen=True, slots=True)
class Packaged(Version):
    """A version as its package has it, by its own packages; its operators have theirs."""

    operators: Path

    def host(
        self,
        settings: dict[str, str],
        log: Path,
        module: str = "infra.devhost",
        only: Collection[str] = (),
    ) -> IsolatedHost:
        """Make a host of this version, with all functions or only these."""
        folders = self.root / PACKAGES, self.root
        return IsolatedHost(
            settings, log, module, root=self.root, folders=folders, arguments=_named(only)
        )

    def command(self) -> Sequence[str]:
        """Give what starts the operators' commands."""
        return isolated_module("infra.admin", (self.operators, self.root))

    def python(self, script: str) -> Sequence[str]:
        """Give what starts a script."""
        return isolated(script, (self.root / PACKAGES, self.root))


def _named(functions: Collection[str]) -> Sequence[str]:
    return ["--functions", *functions] if functions else []


def last_commit(changelog: str) -> str:
    """Give the commit of the last version that a changelog names."""
    found = _HEADING.search(changelog)
    assert found, "CHANGELOG.md names no version with its commit: ## 0.1.0, commit 0123456"
    return found[1]


def packaged(commit: str) -> Packaged:
    """Give the version of a commit, from its package."""
    folder = package_of(commit)
    return Packaged(f"the last one, {commit}", folder / APP, folder / OPERATORS)
