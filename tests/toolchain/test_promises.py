"""The page of promises names tests, and all of them are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS / "PROMISES.md").read_text()
_NAMED = re.compile(r"`([a-z_/0-9]*(?:\.py|/))?(?:::(test_\w+))?`")


def named() -> list[tuple[str, str]]:
    """Give each place that the page names, and the test in it, if it names one."""
    place, found = "", []
    for match in _NAMED.finditer(PAGE):
        place = match[1] or place
        found.append((place, match[2] or ""))
    return found


def test_each_test_that_is_named_is_there() -> None:
    missing = [
        f"{place}::{test}"
        for place, test in named()
        if not (TESTS / place).exists()
        or (test and f"def {test}(" not in (TESTS / place).read_text())
    ]
    assert not missing


def test_each_promise_names_some() -> None:
    for promise in PAGE.split("\n## ")[1:]:
        assert "test_" in promise, promise.partition("\n")[0]
