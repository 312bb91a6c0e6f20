"""The registry runs from the package, unpacked anywhere, and from its own packages alone.

The dev host is not in the package, as Azure's own host is not. So it lies in a folder of its own,
and Python starts without this machine's packages: what the host needs must be in the package, too.
"""

import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from infra.devhost.storage import Azurite
from infra.package.contents import PACKAGES
from tests.support import flows
from tests.support.hosts import ROOT, Host, Registry, settings_of
from tests.support.images import image
from tests.support.tools import unavailable
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.emulator,
    pytest.mark.xdist_group("package"),
]

LAUNCHER = """
import runpy, sys
sys.path += sys.argv[1:3]
del sys.argv[1:3]
runpy.run_module("infra.devhost", run_name="__main__", alter_sys=True)
"""


class PackagedHost(Host):
    """The dev host over an unpacked package; `lent` is where the host itself is."""

    lent: ClassVar[Path]

    def command(self) -> Sequence[str]:
        """Start Python in isolation: no site, no environment, no current folder."""
        packages = str(self._root / PACKAGES)
        return sys.executable, "-I", "-S", "-c", LAUNCHER, packages, str(self.lent)


@pytest.fixture
def lent(tmp_path: Path) -> Path:
    """A folder with the dev host alone."""
    (tmp_path / "infra").mkdir()
    shutil.copy(ROOT / "infra/__init__.py", tmp_path / "infra")
    shutil.copytree(ROOT / "infra/devhost", tmp_path / "infra/devhost")
    return tmp_path


def test_a_registry_runs_from_an_empty_folder(
    unpacked: Path, lent: Path, storage: Azurite, tmp_path: Path
) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        unavailable("the package is for Linux on x86_64")
    PackagedHost.lent = lent
    settings = settings_of(storage)
    pushed = image(seed=5, layers=2)
    with PackagedHost(settings, tmp_path / "log", root=unpacked) as host:
        user, password = settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
        registry = Registry(host.login_server, user, password)
        flows.push(registry, "packaged/app", pushed, "v1")
        assert flows.pull(registry, "packaged/app", "v1") == flows.pulled(pushed)
        until(lambda: "Executed 'Functions.verify_blob' (Succeeded" in host.log(), 20)
        until(lambda: "Executed 'Functions.fan_out_event' (Succeeded" in host.log(), 20)
        mapped = Path(f"/proc/{host.pid}/maps").read_text()
    assert str(unpacked / PACKAGES) in mapped
    assert "site-packages" not in mapped.replace(str(unpacked / PACKAGES), "")
