"""The locks are what pyproject.toml says, and no file names where packages come from."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "infra/admin/requirements.txt", "tests/requirements.txt")
HOSTS = ("pypi.org", "pythonhosted.org", "npmjs.org", "golang.org/dl", "proxy.golang", "debian.org")


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_the_locks_are_what_the_project_asks_for(tmp_path: Path) -> None:
    for lock in LOCKS:
        (tmp_path / lock).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / lock, tmp_path / lock)

    subprocess.run([ROOT / "infra/toolchain/lock.sh", tmp_path], check=True)

    for lock in LOCKS:
        assert (tmp_path / lock).read_text() == (ROOT / lock).read_text(), f"{lock}: run make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line and not line.startswith("#")]

    assert packages
    for package in packages:
        assert re.match(r"[a-z0-9.-]+==[^ ]+ .*--hash=sha256:", package), package


def test_each_lock_is_part_of_the_next() -> None:
    pinned = [
        set(re.findall(r"^([a-z0-9.-]+==[^ ]+)", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in LOCKS
    ]

    assert pinned[0] < pinned[1] < pinned[2]


def test_azurite_is_pinned_without_addresses() -> None:
    lock = (ROOT / "infra/toolchain/azurite/package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 100


def test_no_file_names_a_package_registrys_host() -> None:
    for file in tracked_files():
        if file == Path(__file__) or not file.exists():
            continue
        text = file.read_text(errors="replace")
        assert not [host for host in HOSTS if host in text], file


def test_no_file_names_a_folder_of_one_machine() -> None:
    here = str(ROOT)
    for file in tracked_files():
        if file.exists():
            text = file.read_text(errors="replace")
            assert here not in text, file
            assert not re.search(r"/root/|/home/[a-z]", text) or file == Path(__file__), file
