"""The compiler, once a session, and what each example would deploy."""

from collections.abc import Iterator, Mapping

import pytest

from tests.support.bicep import FOLDER, Bicep, Deployed

EXAMPLES = sorted(file.stem for file in (FOLDER / "examples").glob("*.bicepparam"))


@pytest.fixture(scope="session")
def bicep() -> Iterator[Bicep]:
    with Bicep() as running:
        yield running


@pytest.fixture(scope="session")
def examples(bicep: Bicep) -> Mapping[str, Deployed]:
    return {name: bicep.deployed(FOLDER / f"examples/{name}.bicepparam") for name in EXAMPLES}


@pytest.fixture(params=EXAMPLES)
def deployed(request: pytest.FixtureRequest, examples: Mapping[str, Deployed]) -> Deployed:
    """What an example would deploy; each test sees all of them."""
    return examples[request.param]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker run all of this room: another would start the compiler once more."""
    for item in items:
        if "/azure/" in item.path.as_posix():
            item.add_marker(pytest.mark.xdist_group("bicep"))
