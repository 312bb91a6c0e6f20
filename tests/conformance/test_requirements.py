"""The table of requirements and the tests that show them belong together."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conformance.conftest import logged_in_otherwise
from tests.conformance.requirements import BEYOND, REQUIREMENTS
from tests.support.ways import Way

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


def item(test: str, way: Way | None, case: int = 0) -> Any:
    """Give what pytest collects: a case of a test, in one way of logging in."""
    called = SimpleNamespace(params={"way": way} if way else {"case": case})
    name, path = f"test_{test}.py::test_it[{way}-{case}]", Path(f"test_{test}.py")
    return SimpleNamespace(nodeid=name, path=path, callspec=called)


def in_all_ways(test: str) -> list[Any]:
    return [item(test, way, case) for way in Way for case in range(3)]


def test_the_first_case_of_a_test_is_asked_in_all_ways_the_others_in_one() -> None:
    alone = [item("anonymous", Way.ANONYMOUS, case) for case in range(3)]
    items = [*in_all_ways("push"), *alone, item("plain", None)]
    left_out = [*logged_in_otherwise(items, is_behind=False)]
    others = [way for way in Way if way is not Way.BEARER_CACHED]
    assert left_out == [item("push", way, case) for way in others for case in (1, 2)]


def test_behind_the_front_pulls_alone_are_asked_in_all_ways() -> None:
    left_out = [*logged_in_otherwise([*in_all_ways("push"), *in_all_ways("pull")], is_behind=True)]
    asked = [one for one in in_all_ways("push") + in_all_ways("pull") if one not in left_out]
    pushes = [item("push", Way.BEARER_CACHED, case) for case in range(3)]
    assert [one for one in asked if one.path.stem == "test_push"] == pushes
    assert {one.callspec.params["way"] for one in asked if one not in pushes} == set(Way)
