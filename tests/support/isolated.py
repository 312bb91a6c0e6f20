"""Python that finds modules in given folders alone: none of this machine's packages, none of ours.

That is how an unpacked package is run: what it needs must be in it.
"""

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.hosts import Host
from tests.support.tools import unavailable

_RUN = "import runpy\nrunpy.run_module({!r}, run_name='__main__', alter_sys=True)"


def require_azures_platform() -> None:
    """Go on where what is compiled for Azure's machines runs."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        unavailable("the package is for Linux on x86_64")


def isolated(script: str, folders: Sequence[Path]) -> Sequence[str]:
    """Give what starts a script: no site, no environment, no current folder."""
    paths = [str(folder) for folder in folders]
    return sys.executable, "-I", "-S", "-c", f"import sys\nsys.path += {paths}\n{script}"


def isolated_module(module: str, folders: Sequence[Path]) -> Sequence[str]:
    """Give what starts a module."""
    return isolated(_RUN.format(module), folders)


class IsolatedHost(Host):
    """A host over an app's folder, by what is in these folders."""

    def __init__(
        self,
        settings: Mapping[str, str],
        log: Path,
        module: str = "infra.devhost",
        *,
        root: Path,
        folders: Sequence[Path],
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__(settings, log, module, root=root, arguments=arguments)
        self._started_by = isolated_module(module, folders)

    def command(self) -> Sequence[str]:
        """Start Python in isolation."""
        return self._started_by

    def packages(self) -> set[Path]:
        """Give the folders of packages from which it has loaded what is compiled."""
        mapped = Path(f"/proc/{self.pid}/maps").read_text()
        return {Path(found) for found in re.findall(r"(/\S+/site-packages)/", mapped)}
