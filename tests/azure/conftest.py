"""The compiler, once a session, and what each example would deploy."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.bicep import FOLDER, Bicep, Deployed

EXAMPLES = sorted(file.stem for file in (FOLDER / "examples").glob("*.bicepparam"))


@pytest.fixture(scope="session")
def bicep() -> Iterator[Bicep]:
    with Bicep() as running:
        yield running


class _Examples(Mapping[str, Deployed]):
    """Each evaluated when it is first asked for."""

    def __init__(self, bicep: Bicep) -> None:
        self._bicep = bicep
        self._known: dict[str, Deployed] = {}

    def __getitem__(self, name: str) -> Deployed:
        if name not in self._known:
            file = FOLDER / f"examples/{name}.bicepparam"
            self._known[name] = self._bicep.deployed(file)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(EXAMPLES)

    def __len__(self) -> int:
        return len(EXAMPLES)


@pytest.fixture(scope="session")
def examples(bicep: Bicep) -> Mapping[str, Deployed]:
    return _Examples(bicep)


@pytest.fixture(params=EXAMPLES)
def deployed(request: pytest.FixtureRequest, examples: Mapping[str, Deployed]) -> Deployed:
    """What an example would deploy; each test sees all of them."""
    return examples[request.param]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker run all of this room: another would start the compiler once more."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("bicep"))
