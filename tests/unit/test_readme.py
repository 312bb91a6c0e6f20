"""The READMEs name every setting, every function and every folder."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_table() -> None:
    readers = (ROOT / folder / "settings.py" for folder in ("shared", "infra/host"))
    settings = {
        name
        for reader in readers
        for name in re.findall(r'"(REGISTRY_[A-Z_]+)"', reader.read_text())
    }

    assert settings
    assert settings == set(re.findall(r"^\| `(REGISTRY_[A-Z_]+)`", README, re.MULTILINE))


def test_every_function_is_in_the_table() -> None:
    modules = (ROOT / "functions").rglob("*.py")
    functions = {
        name
        for module in modules
        for name in re.findall(r"^async def ([a-z]\w+)\(", module.read_text(), re.MULTILINE)
    }

    assert functions
    assert functions <= set(re.findall(r"`([a-z]\w+)`", (ROOT / "functions/README.md").read_text()))


@pytest.mark.parametrize("folder", ["functions", "shared", "tests", "infra"])
def test_every_folder_has_a_readme_and_a_row(folder: str) -> None:
    assert f"| `{folder}/` |" in README
    assert (ROOT / folder / "README.md").read_text().startswith(f"# {folder}")


def test_the_conformance_table_is_what_the_run_wrote() -> None:
    results = (ROOT / "tests/conformance/RESULTS.md").read_text()
    rows = [line for line in results.splitlines() if line.startswith("|")]

    assert len(rows) > 4
    assert "\n".join(rows) in README
