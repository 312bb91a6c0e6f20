import tomllib

from shared.version import VERSION
from tests.support.hosts import ROOT


def test_it_is_the_one_that_the_project_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
