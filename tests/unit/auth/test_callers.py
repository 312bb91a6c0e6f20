import pytest

from shared.auth.callers import Caller, anonymous
from shared.auth.scopes import EVERYTHING, Access, Action

PULLER = Caller("p", frozenset({Action.PULL}))
ADMIN = Caller("a", EVERYTHING)


def access(name: str, *actions: str, kind: str = "repository") -> Access:
    return Access(kind, name, frozenset(actions))


GRANTED = [
    (ADMIN, access("x", "pull", "push"), [access("x", "pull", "push")]),
    (ADMIN, access("x", "*"), [access("x", *EVERYTHING)]),
    (ADMIN, access("x", "fly"), []),
    (ADMIN, access("x"), []),
    (ADMIN, access("catalog", "*", kind="registry"), [access("catalog", "*", kind="registry")]),
    (ADMIN, access("catalog", "pull", kind="registry"), []),
    (ADMIN, access("None", "*", kind="registry"), []),
    (ADMIN, access("x", "pull", kind="repository(plugin)"), []),
    (PULLER, access("x", "pull", "push"), [access("x", "pull")]),
    (PULLER, access("x", "push", "delete"), []),
    (PULLER, access("x", "*"), [access("x", "pull")]),
    (Caller("n", frozenset()), access("x", "*"), []),
    (Caller("n", frozenset()), access("catalog", "*", kind="registry"), []),
]


@pytest.mark.parametrize(("caller", "asked", "granted"), GRANTED)
def test_granted_is_what_is_asked_and_may_be_done(
    caller: Caller, asked: Access, granted: list[Access]
) -> None:
    assert caller.granted([asked]) == granted


def test_everything_is_all_repositories_and_the_catalog() -> None:
    assert PULLER.everything() == [access("*", "pull"), access("catalog", "*", kind="registry")]


@pytest.mark.parametrize(
    ("setting", "actions"),
    [("none", None), ("pull", {"pull", "metadata_read"}), ("all", set(EVERYTHING))],
)
def test_callers_without_a_name_may_what_the_setting_says(
    setting: str, actions: set[str] | None
) -> None:
    caller = anonymous(setting)
    assert (set(caller.actions) if caller else None) == actions
    assert caller is None or caller.is_anonymous
    assert not ADMIN.is_anonymous
