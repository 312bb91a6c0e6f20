"""What is asked of a package by those who take it to Azure, and the commands by which they do."""

import re
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from infra.package.contents import PACKAGES
from tests.package.commands import commands, option
from tests.support.hosts import ROOT

pytestmark = pytest.mark.xdist_group("package")

MIB = 1 << 20
LARGEST, LARGEST_UNPACKED = 32 * MIB, 128 * MIB
"""Each cold start brings it to an instance and unpacks it there."""

BUILDS = {".deployment", "pyproject.toml", "setup.py", "Pipfile", "poetry.lock", "manage.py"}
"""What has Azure's build do something else than unpack."""


def test_what_the_host_looks_for_is_at_the_root(built: tuple[Path, str]) -> None:
    with ZipFile(built[0]) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "LICENSE", "function_app.py", "host.json", "requirements.txt",
        "__pycache__", "functions", "shared", PACKAGES.split("/")[0],
    }  # fmt: skip
    assert f"{PACKAGES}/azure_functions_runtime/__init__.py" in names


def test_nothing_in_it_asks_for_a_build(built: tuple[Path, str]) -> None:
    with ZipFile(built[0]) as archive:
        assert not BUILDS & set(archive.namelist())


def test_every_tool_that_unpacks_puts_its_files_into_the_same_places(
    built: tuple[Path, str],
) -> None:
    with ZipFile(built[0]) as archive:
        entries = archive.infolist()
    names = [entry.orig_filename for entry in entries]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[!-\[\]-~]+", name), name
        assert not {"", ".", ".."} & set(name.split("/")), name
    plain = {(entry.compress_type, entry.flag_bits, entry.extract_version) for entry in entries}
    assert plain == {(ZIP_DEFLATED, 0, 20)}


def test_it_is_small(built: tuple[Path, str]) -> None:
    assert built[0].stat().st_size < LARGEST
    with ZipFile(built[0]) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) < LARGEST_UNPACKED


def test_the_commands_name_what_is_there() -> None:
    main = (ROOT / "infra/azure/main.bicep").read_text()
    outputs = set(re.findall(r"^output (\w+) ", main, re.MULTILINE))
    deploy = commands()["az deployment sub create"]
    assert (ROOT / option(deploy, "--parameters")).is_file()
    publish = commands()["az functionapp deployment source config-zip"]
    assert {option(publish, "-g"), option(publish, "-n")} <= outputs
    assert option(publish, "--src") == "build/registry.zip"


def test_az_is_told_to_build_nothing() -> None:
    """Where it is not told, it has Azure build whatever is in Python, and install it anew."""
    publish = commands()["az functionapp deployment source config-zip"]
    assert option(publish, "--build-remote") == "false"
