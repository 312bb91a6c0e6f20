import pytest

from shared.auth.scopes import (
    SCOPES,
    Access,
    Action,
    parse_scopes,
    permits,
    permits_catalog,
    repository_scope,
)

PARSED = [
    ("repository:team/app:pull", ("repository", "team/app", {"pull"})),
    ("repository:team/app:pull,push", ("repository", "team/app", {"pull", "push"})),
    ("repository:team/app:*", ("repository", "team/app", {"*"})),
    ("repository:host:5000/app:pull", ("repository", "host:5000/app", {"pull"})),
    ("repository(plugin):a:pull", ("repository(plugin)", "a", {"pull"})),
    ("registry:catalog:*", ("registry", "catalog", {"*"})),
    ("registry:None:*", ("registry", "None", {"*"})),
    ("repository:a:", ("repository", "a", set())),
    ("repository:a:pull,,push,", ("repository", "a", {"pull", "push"})),
    ("repository::pull", ("repository", "", {"pull"})),
]


@pytest.mark.parametrize(("text", "wanted"), PARSED)
def test_a_scope_is_parsed(text: str, wanted: tuple[str, str, set[str]]) -> None:
    (access,) = parse_scopes([text])
    assert (access.type, access.name, set(access.actions)) == wanted


@pytest.mark.parametrize("text", ["", "repository", "repository:a", ":a:pull", "a b", "x y:z"])
def test_what_is_no_scope_is_passed_over(text: str) -> None:
    assert parse_scopes([text]) == []


def test_scopes_may_come_in_one_parameter_or_in_several() -> None:
    one = parse_scopes(["repository:a:pull repository:b:push"])
    assert one == parse_scopes(["repository:a:pull", "repository:b:push"])
    assert len(one) == 2


def test_only_so_many_scopes_are_read() -> None:
    assert len(parse_scopes(["repository:a:pull "] * 10 * SCOPES)) == SCOPES


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        (Action.PULL, "repository:a/b:pull"),
        (Action.PUSH, "repository:a/b:pull,push"),
        (Action.DELETE, "repository:a/b:delete"),
    ],
)
def test_pushing_is_asked_for_with_pulling(action: Action, scope: str) -> None:
    assert repository_scope("a/b", action) == scope


PULL = frozenset({"pull"})
PERMITTED = [
    (Access("repository", "a/b", PULL), True),
    (Access("repository", "*", PULL), True),
    (Access("repository", "a/b", frozenset({"push", "delete"})), False),
    (Access("repository", "a/b", frozenset({"*"})), False),
    (Access("repository", "a", PULL), False),
    (Access("repository", "a/b/c", PULL), False),
    (Access("repository", "a/*", PULL), False),
    (Access("repository(plugin)", "a/b", PULL), False),
    (Access("registry", "a/b", PULL), False),
]


@pytest.mark.parametrize(("access", "is_permitted"), PERMITTED)
def test_access_is_to_one_repository_or_to_all(access: Access, is_permitted: bool) -> None:
    assert permits([access], "a/b", Action.PULL) is is_permitted


def test_nothing_granted_permits_nothing() -> None:
    assert not permits([], "a", Action.PULL)
    assert not permits_catalog([])


@pytest.mark.parametrize(
    ("access", "is_permitted"),
    [
        (Access("registry", "catalog", frozenset("*")), True),
        (Access("registry", "catalog", PULL), False),
        (Access("registry", "*", frozenset("*")), False),
        (Access("repository", "catalog", frozenset("*")), False),
    ],
)
def test_the_catalog_has_its_own_scope(access: Access, is_permitted: bool) -> None:
    assert permits_catalog([access]) is is_permitted


def test_a_claim_has_lower_case_keys_and_sorted_actions() -> None:
    access = Access("repository", "a", frozenset({"push", "pull"}))
    assert access.as_claim() == {"type": "repository", "name": "a", "actions": ["pull", "push"]}
