"""What the package holds: all that Azure runs, and nothing else."""

import re
import struct
import subprocess
import sys
from email import message_from_string
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.package import wheels
from infra.package.contents import PACKAGES, contents
from infra.package.wheels import WheelsMissing
from tests.package.conftest import build, copy
from tests.support.hosts import ROOT

pytestmark = pytest.mark.xdist_group("package")

ELF_X86_64 = b"\x7fELF\x02\x01", (62).to_bytes(2, "little")


def listed(*options: str) -> set[str]:
    command = ["git", "ls-files", "-z", "--cached", *options]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in found.stdout.split("\0") if name}


def app_files(path: Path) -> set[str]:
    with ZipFile(path) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"{PACKAGES}/")}
    return {name for name in names if not name.endswith(".pyc")}


def pinned(metadata: str) -> str:
    """Give a package's name and version as a lock writes them."""
    fields = message_from_string(metadata)
    return f"{re.sub(r'[-_.]+', '-', fields['Name']).lower()}=={fields['Version']}"


def test_the_same_bytes_come_of_another_folder_time_zone_and_umask(
    built: tuple[Path, str], tmp_path: Path
) -> None:
    app = copy(tmp_path / "elsewhere", mode=0o600, time=1_000_000_000)
    build(app, tmp_path, umask=0o077, zone="Pacific/Apia")
    assert (tmp_path / "registry.zip").read_bytes() == built[0].read_bytes()


def test_it_has_what_funcignore_does_not_leave_out(built: tuple[Path, str]) -> None:
    left_out = listed("--ignored", "--exclude-from=.funcignore")
    assert app_files(built[0]) == listed() - left_out


def test_nothing_that_lies_about_is_published(tmp_path: Path) -> None:
    app = copy(tmp_path / "app", mode=0o644, time=1_000_000_000)
    before = contents(app, ROOT / "functions").keys()
    for name in ("local.settings.json", "notes.txt", ".env", "shared/.env", "functions/a.pyc"):
        (app / name).write_text("a secret")
    for name in ("shared/.cache", "functions/.data"):
        (app / name).mkdir()
        (app / name / "key.py").write_text("a secret")
    for name in ("functions/local.settings.json", "shared/key.pem", "shared/a.py~"):
        (app / name).write_text("a secret")
    (app / ".data").mkdir()
    (app / ".data/secrets.json").write_text("a secret")
    (app / "shared/__pycache__").mkdir()
    (app / "shared/__pycache__/a.cpython-313.pyc").write_text("bytecode")
    assert contents(app, ROOT / "functions").keys() == before


def test_every_locked_package_is_there_and_no_other(built: tuple[Path, str]) -> None:
    lock = (ROOT / "requirements.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9.-]+==[^ ]+)", lock, re.MULTILINE))
    with ZipFile(built[0]) as archive:
        found = {
            pinned(archive.read(name).decode())
            for name in archive.namelist()
            if re.fullmatch(rf"{PACKAGES}/[^/]+\.dist-info/METADATA", name)
        }
    assert found == locked


def test_what_is_compiled_is_for_azures_machines(built: tuple[Path, str]) -> None:
    with ZipFile(built[0]) as archive:
        libraries = [name for name in archive.namelist() if re.search(r"\.so[.\d]*$", name)]
        assert len(libraries) > 10
        for name in libraries:
            with archive.open(name) as file:
                head = file.read(20)
            assert (head[:6], head[18:20]) == ELF_X86_64, name
            assert re.search(r"\.(cpython-313-x86_64-linux-gnu|abi3)\.so$", name), name


def test_it_has_no_tests_no_launchers_and_no_name_of_a_folder_here(
    built: tuple[Path, str],
) -> None:
    here = str(ROOT).encode(), sys.prefix.encode(), str(built[0].parent).encode()
    with ZipFile(built[0]) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            assert not {"tests", "bin"} & set(parts), name
            content = archive.read(name)
            assert not [folder for folder in here if folder in content], name


def test_every_module_is_compiled_and_never_compared_with_its_source(
    built: tuple[Path, str],
) -> None:
    with ZipFile(built[0]) as archive:
        names = set(archive.namelist())
        sources = {name for name in names if name.endswith(".py")}
        compiled = {cache_from_source(name) for name in sources}
        assert {name for name in names if name.endswith(".pyc")} == compiled
        for name in sources:
            magic, flags, of = struct.unpack("<4sI8s", archive.read(cache_from_source(name))[:16])
            assert (magic, flags) == (MAGIC_NUMBER, 0b01), name
            assert of == source_hash(archive.read(name)), name


def test_entries_are_in_order_and_have_one_time_and_one_mode(built: tuple[Path, str]) -> None:
    with ZipFile(built[0]) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    about = {(entry.date_time, entry.external_attr >> 16, entry.create_system) for entry in entries}
    assert about == {((1980, 1, 1, 0, 0, 0), 0o100644, 3)}


def test_it_says_its_size_and_lies_there_unpacked_too(built: tuple[Path, str]) -> None:
    path, said = built
    size = path.stat().st_size / 2**20
    assert re.fullmatch(
        rf"{path}: {size:.1f} MiB, [\d.]+ MiB unpacked, [\d,]+ files, sha256:[0-9a-f]{{64}}\n", said
    )
    beside = path.parent / "registry"
    there = {each.relative_to(beside).as_posix() for each in beside.rglob("*") if each.is_file()}
    with ZipFile(path) as archive:
        assert there == set(archive.namelist())


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        (f"orjson==3.13.0 --hash=sha256:{'0' * 64}\n", "[Hh]ash"),
        ("orjson==3.13.0\n", "[Hh]ash"),
        ("no-package-of-this-name-at-all @ file:///nowhere\n", "nowhere|[Hh]ash"),
    ],
)
def test_a_wheel_that_is_not_the_locked_one_is_refused(lock: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(lock)
    with pytest.raises(WheelsMissing, match=why):
        wheels.bring(tmp_path / "requirements.txt", tmp_path / "site")
