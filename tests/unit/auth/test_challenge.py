"""The challenge to the letter: rules 1 to 3 of the wire contract."""

import pytest

from shared.auth.challenge import Challenge

REALM = 'Bearer realm="https://reg.example:8443/oauth2/token",service="reg.example:8443"'

HEADERS = [
    ("", "", REALM),
    (
        "repository:team/app:pull",
        "",
        f'{REALM},scope="repository:team/app:pull"',
    ),
    (
        "repository:team/app:pull,push",
        "insufficient_scope",
        f'{REALM},scope="repository:team/app:pull,push",error="insufficient_scope"',
    ),
    ("registry:catalog:*", "", f'{REALM},scope="registry:catalog:*"'),
    ("", "invalid_token", f'{REALM},error="invalid_token"'),
    (
        "repository:a:pull,push repository:b:pull",
        "",
        f'{REALM},scope="repository:a:pull,push repository:b:pull"',
    ),
]


@pytest.mark.parametrize(("scope", "error", "header"), HEADERS)
def test_the_header_is_written_to_the_letter(scope: str, error: str, header: str) -> None:
    refusal = Challenge(scope).refusal("https", "reg.example:8443", error)
    assert refusal.headers == {"WWW-Authenticate": header}


def test_each_action_asked_for_has_an_entry() -> None:
    refusal = Challenge("repository:a/b:pull,push repository:c:pull").refusal("http", "h")
    assert refusal.detail == [
        {"Type": "repository", "Name": "a/b", "Action": "pull"},
        {"Type": "repository", "Name": "a/b", "Action": "push"},
        {"Type": "repository", "Name": "c", "Action": "pull"},
    ]


def test_the_registry_as_such_has_no_detail_and_names_none() -> None:
    refusal = Challenge("").refusal("http", "h")
    assert refusal.detail is None
    assert str(refusal) == "authentication required: log in with docker login"


def test_what_the_message_points_to_is_there() -> None:
    refusal = Challenge("repository:a:pull").refusal("http", "h")
    assert str(refusal).endswith("or ask for the rights in `detail`")
    assert refusal.detail


def test_the_reason_stands_in_the_message_alone() -> None:
    refusal = Challenge("").refusal("http", "h", "invalid_token", 'expired, "really"')
    assert str(refusal).endswith('(expired, "really")')
    assert "expired" not in refusal.headers["WWW-Authenticate"]
