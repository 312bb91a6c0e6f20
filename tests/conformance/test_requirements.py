"""The table of requirements and the tests that show them belong together."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.requirements import BEYOND, REQUIREMENTS

KNOWN = REQUIREMENTS | BEYOND


def found_tests() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give each test of this folder, and the requirements that it says it shows."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path != Path(__file__):
            module = importlib.import_module(f"tests.conformance.{path.stem}")
            for name, found in vars(module).items():
                if name.startswith("test_"):
                    marks = getattr(found, "pytestmark", [])
                    shown = [mark.args for mark in marks if mark.name == "shows"]
                    yield f"{path.stem}.{name}", tuple(one for args in shown for one in args)


TESTS = dict(found_tests())


@pytest.mark.parametrize("name", KNOWN)
def test_each_requirement_has_a_test(name: str) -> None:
    assert [test for test, shown in TESTS.items() if name in shown]


@pytest.mark.parametrize("test", TESTS)
def test_each_test_names_requirements_of_the_table(test: str) -> None:
    assert TESTS[test]
    assert not set(TESTS[test]) - set(KNOWN)


def test_names_are_not_used_twice() -> None:
    assert not set(REQUIREMENTS) & set(BEYOND)
