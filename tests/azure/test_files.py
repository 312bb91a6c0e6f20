"""Every file compiles without a word from the linter, and looks as the formatter would have it."""

import re
from pathlib import Path

import pytest

from tests.support.bicep import FOLDER, Bicep

FILES = sorted(str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.bicep*") if file.is_file())
SOURCES = [name for name in FILES if name != "bicepconfig.json"]


@pytest.mark.parametrize("name", SOURCES)
def test_it_compiles_without_a_word(bicep: Bicep, name: str) -> None:
    template, said = bicep.compile(FOLDER / name)

    assert not said
    assert template


@pytest.mark.parametrize("name", SOURCES)
def test_it_is_formatted(bicep: Bicep, name: str) -> None:
    assert (FOLDER / name).read_text() == bicep.formatted(FOLDER / name)


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_suppressed_says_why(name: str) -> None:
    for line in (FOLDER / name).read_text().splitlines():
        if "#disable" in line:
            assert re.search(r"#disable-next-line \S+ // \S+ ", line), line


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_new_at_each_deployment(name: str) -> None:
    """A name or a key that was drawn anew would make every registry unreadable."""
    assert not re.search(r"\b(newGuid|utcNow|deployment)\(", (FOLDER / name).read_text())


@pytest.mark.parametrize("name", SOURCES)
def test_no_secret_is_read_or_given(name: str) -> None:
    found = re.search(
        r"\b(listKeys|listAccountSas|getSecret)\b|@secure", (FOLDER / name).read_text()
    )
    assert not found


def test_the_modules_are_all_used(bicep: Bicep) -> None:
    main = (FOLDER / "main.bicep").read_text()
    for module in (FOLDER / "modules").glob("*.bicep"):
        assert f"'modules/{module.name}'" in main


def test_each_parameter_can_be_set_by_azd() -> None:
    def named(file: str) -> set[str]:
        return set(re.findall(r"^param (\w+)", (FOLDER / file).read_text(), re.MULTILINE))

    assert named("main.bicepparam") == named("main.bicep")


def test_what_azd_reads_is_in_the_readme() -> None:
    variables = set(re.findall(r"Variable\(\s*'(\w+)'", (FOLDER / "main.bicepparam").read_text()))
    told = set(
        re.findall(r"`(DEPLOY_\w+|REGISTRY_NAME|AZURE_\w+)`", (FOLDER / "README.md").read_text())
    )

    assert {name for name in variables if name.startswith(("DEPLOY_", "REGISTRY_"))} <= told


def test_the_defaults_of_azd_are_those_of_the_parameters(bicep: Bicep) -> None:
    by_default = bicep.varied(FOLDER / "main.bicepparam", operators=[])
    bare = bicep.varied(FOLDER / "examples/functions-public.bicepparam", operators=[])

    assert by_default == bare


def test_operators_are_named_with_a_blank_between_them_or_without() -> None:
    def granted(operators: str) -> set[str]:
        with Bicep(DEPLOY_OPERATORS=operators) as bicep:
            deployed = bicep.deployed(FOLDER / "main.bicepparam")
        roles = [it for it in deployed.resources if it["type"].endswith("/roleAssignments")]
        return {it["properties"]["principalId"] for it in roles}

    assert granted("one, other,") == granted("one,other") > {"one", "other"}


def test_the_package_of_azd_is_what_make_writes() -> None:
    text = (FOLDER.parents[1] / "azure.yaml").read_text()

    assert re.search(r"^    dist: build/registry$", text, re.MULTILINE)
    assert re.search(r"^    remoteBuild: false$", text, re.MULTILINE)
    assert re.search(r"prepackage:\n.*\n +run: make package$", text, re.MULTILINE)
    assert Path(FOLDER.parents[1], re.findall(r"path: (\S+)", text)[0]) == FOLDER
