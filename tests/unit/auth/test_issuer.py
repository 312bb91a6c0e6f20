import pytest

from shared.auth.accounts import Accounts
from shared.auth.gate import TOKEN_USER, Gate
from shared.auth.issuer import Asked, Issuer
from shared.auth.scopes import Access
from shared.auth.tokens import Tokens
from shared.errors import Unauthorized
from tests.support.clock import Clock
from tests.unit.auth.conftest import NAME, PASSWORD

HERE = "reg.example"
WANTED = Access("repository", "team/app", frozenset({"pull", "push"}))


def issuer(tokens: Tokens, accounts: Accounts, anonymous: str = "none") -> Issuer:
    return Issuer(Gate(tokens, accounts, anonymous), tokens)


def asked(**fields: object) -> Asked:
    usual: dict[str, object] = {
        "grant": "password",
        "service": HERE,
        "scopes": [WANTED],
        "name": NAME,
        "password": PASSWORD,
    }
    return Asked(**{**usual, **fields})  # type: ignore[arg-type]


async def test_a_password_gets_what_is_asked(tokens: Tokens, accounts: Accounts) -> None:
    answer = await issuer(tokens, accounts).issue(asked(), HERE)
    assert set(answer) == {"access_token", "expires_in"}
    assert answer["expires_in"] == 3_600
    assert tokens.read(str(answer["access_token"]), HERE).access == [WANTED]


async def test_unknown_scopes_get_an_empty_token(tokens: Tokens, accounts: Accounts) -> None:
    unknown = Access("registry", "None", frozenset("*"))
    answer = await issuer(tokens, accounts).issue(asked(scopes=[unknown]), HERE)
    assert tokens.read(str(answer["access_token"]), HERE).access == []


async def test_a_refresh_token_comes_offline_alone(tokens: Tokens, accounts: Accounts) -> None:
    here = issuer(tokens, accounts)
    refresh = (await here.issue(asked(is_offline=True), HERE))["refresh_token"]
    again = asked(grant="refresh_token", name="", password="", refresh_token=refresh)
    assert "refresh_token" not in await here.issue(again, HERE)
    assert await here.issue(asked(name=TOKEN_USER, password=refresh), HERE)


@pytest.mark.parametrize("way", ["grant", "password"])
async def test_no_refresh_token_renews_itself(
    tokens: Tokens, accounts: Accounts, clock: Clock, way: str
) -> None:
    clock.move(hours=-1)
    here = issuer(tokens, accounts)
    first = (await here.issue(asked(is_offline=True), HERE))["refresh_token"]
    clock.move(minutes=59)
    again = (
        asked(grant="refresh_token", refresh_token=first, is_offline=True)
        if way == "grant"
        else asked(name=TOKEN_USER, password=first, is_offline=True)
    )
    second = (await here.issue(again, HERE))["refresh_token"]
    assert second != first
    assert tokens.read(str(second), HERE).end == tokens.read(str(first), HERE).end


async def test_callers_without_a_name_get_a_short_token(tokens: Tokens, accounts: Accounts) -> None:
    nameless = asked(name="", password="", is_offline=True)
    answer = await issuer(tokens, accounts, "pull").issue(nameless, HERE)
    assert (answer["expires_in"], "refresh_token" in answer) == (300, False)
    (granted,) = tokens.read(str(answer["access_token"]), HERE).access
    assert granted.actions == {"pull"}


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "wrong"},
        {"name": "nobody"},
        {"name": "", "password": ""},
        {"name": ""},
        {"grant": ""},
        {"grant": "client_credentials"},
        {"grant": "refresh_token", "refresh_token": "x"},
        {"service": "other.example"},
        {"service": f"{HERE}:443"},
        {"service": f"{HERE},{HERE}"},
    ],
)
async def test_anyone_else_gets_none(
    tokens: Tokens, accounts: Accounts, fields: dict[str, object]
) -> None:
    with pytest.raises(Unauthorized) as caught:
        await issuer(tokens, accounts).issue(asked(**fields), HERE)
    assert caught.value.detail is None


@pytest.mark.parametrize("service", ["", HERE.upper(), f"{HERE}."])
async def test_the_service_may_be_left_out_or_shouted(
    tokens: Tokens, accounts: Accounts, service: str
) -> None:
    assert await issuer(tokens, accounts).issue(asked(service=service), HERE)


async def test_who_names_nobody_is_told_to_log_in(tokens: Tokens, accounts: Accounts) -> None:
    with pytest.raises(Unauthorized, match="wants a login"):
        await issuer(tokens, accounts).issue(Asked("password", "", []), HERE)
