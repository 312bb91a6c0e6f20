"""What the last version knows in storage is known under the same names today."""

from typing import Any

import pytest

from tests.upgrades.versions import Version, last_commit

NAMES = """
import json
from shared.storage import keys
from shared.storage.rows import registries
print(json.dumps({
    "tables": keys.TABLES, "queues": keys.QUEUES, "poison": keys.POISON,
    "container": [keys.CONTAINER], "layout": [registries.LAYOUT], "read": registries._READ,
}))
"""


@pytest.fixture(scope="module")
def names(this: Version, last: Version) -> tuple[dict[str, Any], dict[str, Any]]:
    return this.told(NAMES), last.told(NAMES)


@pytest.mark.parametrize("kind", ["tables", "queues", "poison", "container"])
def test_no_name_of_the_last_version_has_gone(
    names: tuple[dict[str, Any], dict[str, Any]], kind: str
) -> None:
    now, then = names
    assert then[kind]
    assert set(then[kind]) <= set(now[kind])


def test_each_version_reads_the_layout_that_the_other_writes(
    names: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    now, then = names
    assert set(then["layout"]) <= set(now["read"])
    assert set(now["layout"]) <= set(then["read"])


def test_the_changelog_names_the_last_version_first() -> None:
    text = "# Changelog\n\n## Unreleased\n\n## 0.2.0, commit abcdef0\n\n## 0.1.0, commit 1234567\n"
    assert last_commit(text) == "abcdef0"
