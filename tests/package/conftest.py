"""Packages, built in folders that differ in all that does not matter."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.devhost.storage import Azurite
from infra.package.contents import APP
from tests.support.emulators import emulator, scratch
from tests.support.hosts import ROOT


def build(app: Path, out: Path, umask: int = 0o022, zone: str = "UTC") -> str:
    """Run the command on an app, and give what it says."""
    command = [sys.executable, "-m", "infra.package", "--app", str(app), "--out", str(out)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        umask=umask,
        env={**os.environ, "TZ": zone},  # noqa: TID251 - uv reads its own settings there
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return built.stdout


def copy(folder: Path, mode: int, time: int) -> Path:
    """Copy the app into a folder, with other times and modes."""
    for name in APP:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)
        os.utime(path, (time, time))
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The package of this app, and what the command said of it."""
    with scratch("package") as folder:
        said = build(ROOT, folder)
        yield folder / "registry.zip", said


@pytest.fixture(scope="session")
def unpacked(built: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with ZipFile(built[0]) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with emulator("storage") as azurite:
        yield azurite
