"""The registry runs from the package, unpacked anywhere, and from its own packages alone.

The dev host is not in the package, as Azure's own host is not. So it lies in a folder of its own,
and Python starts without this machine's packages: what the host needs must be in the package, too.
"""

import shutil
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from infra.package.contents import PACKAGES
from tests.support import flows
from tests.support.hosts import ROOT, Registry, settings_of
from tests.support.images import image
from tests.support.isolated import IsolatedHost, require_azures_platform
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.emulator,
    pytest.mark.xdist_group("package"),
]


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
    require_azures_platform()
    settings = settings_of(storage)
    pushed = image(seed=5, layers=2)
    folders = unpacked / PACKAGES, lent
    with IsolatedHost(settings, tmp_path / "log", root=unpacked, folders=folders) as host:
        user, password = settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
        registry = Registry(host.login_server, user, password)
        flows.push(registry, "packaged/app", pushed, "v1")
        assert flows.pull(registry, "packaged/app", "v1") == flows.pulled(pushed)
        until(lambda: "Executed 'Functions.verify_blob' (Succeeded" in host.log(), 20)
        until(lambda: "Executed 'Functions.fan_out_event' (Succeeded" in host.log(), 20)
        assert host.packages() == {unpacked / PACKAGES}
