import base64
from dataclasses import replace

import pytest

from shared.auth.accounts import Accounts
from shared.auth.gate import TOKEN_USER, Credentials, Gate, Identity, basic_credentials
from shared.auth.scopes import Access, Action
from shared.auth.tokens import ACCESS_LIFE, ANONYMOUS_LIFE, Tokens
from shared.errors import Unauthorized
from shared.model.names import RepositoryName
from tests.support.clock import Clock
from tests.unit.auth.conftest import NAME, PASSWORD

HERE = "reg.example"
APP, LIB = RepositoryName("team/app"), RepositoryName("team/lib")
NOBODY = "Basic Og=="  # no name and no password
REALM = f'Bearer realm="https://{HERE}/oauth2/token",service="{HERE}"'


@pytest.fixture
def gate(tokens: Tokens, accounts: Accounts) -> Gate:
    return Gate(tokens, accounts, "none")


def credentials(authorization: str) -> Credentials:
    return Credentials(authorization, HERE, "https")


def basic(name: str, password: str) -> Credentials:
    return credentials("Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())


STAMP = "0" * 15 + "1" + "0" * 16  # the first that Ids gives


def bearer(tokens: Tokens, *granted: Access, name: str = NAME, stamp: str = STAMP) -> Credentials:
    return credentials("Bearer " + tokens.access(name, HERE, granted, ACCESS_LIFE, stamp))


def access(name: str, *actions: str, kind: str = "repository") -> Access:
    return Access(kind, name, frozenset(actions))


async def refusal(gate: Gate, who: Credentials, action: Action = Action.PULL) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        await gate.admit(who, APP, action)
    return caught.value


async def test_a_token_admits_to_what_it_holds(gate: Gate, tokens: Tokens) -> None:
    who = await gate.admit(bearer(tokens, access(APP, "pull")), APP, Action.PULL)
    assert who.name == NAME
    assert who.may(APP, Action.PULL)
    assert not who.may(APP, Action.PUSH)
    assert not who.may(LIB, Action.PULL)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_written_in_any_case(gate: Gate, tokens: Tokens, kind: str) -> None:
    value = bearer(tokens, access(APP, "pull")).authorization.partition(" ")[2]
    assert await gate.admit(credentials(f"{kind}  {value} "), APP, Action.PULL)


async def test_the_right_password_admits_to_everything(gate: Gate) -> None:
    for action in Action:
        who = await gate.admit(basic(NAME, PASSWORD), APP, action)
        assert who.name == NAME
    assert await gate.admit_to_catalog(basic(NAME, PASSWORD))
    assert await gate.admit_anyone(basic(NAME, PASSWORD))
    assert await gate.admit_known(basic(NAME, PASSWORD))


async def test_without_credentials_the_challenge_asks_for_the_scope(gate: Gate) -> None:
    for authorization in ("", NOBODY, "Digest x", "Bear", "ä"):
        error = await refusal(gate, credentials(authorization), Action.PUSH)
        assert error.headers["WWW-Authenticate"] == f'{REALM},scope="repository:{APP}:pull,push"'


@pytest.mark.parametrize(
    "granted",
    [
        [],
        [access(APP, "push")],
        [access(LIB, "pull")],
        [access("team", "pull")],
        [access("catalog", "*", kind="registry")],
    ],
)
async def test_a_good_token_without_the_right_is_told_so(
    gate: Gate, tokens: Tokens, granted: list[Access]
) -> None:
    error = await refusal(gate, bearer(tokens, *granted))
    header = f'{REALM},scope="repository:{APP}:pull",error="insufficient_scope"'
    assert error.headers["WWW-Authenticate"] == header


async def test_a_bad_token_is_told_so(gate: Gate, tokens: Tokens, clock: Clock) -> None:
    clock.move(hours=-2)
    late = bearer(tokens, access(APP, "pull"))
    refresh = credentials("Bearer " + tokens.refresh(NAME, HERE, ""))
    for who in (credentials("Bearer x"), credentials("Bearer"), late, refresh):
        error = await refusal(gate, who)
        assert error.headers["WWW-Authenticate"].endswith(',error="invalid_token"')


async def test_a_refresh_token_is_no_access_token(gate: Gate, tokens: Tokens) -> None:
    error = await refusal(gate, credentials("Bearer " + tokens.refresh(NAME, HERE, "")))
    assert "a refresh token is not an access token" in str(error)


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !",
        "Basic ä",
        "Basic /w==",
        "Basic eA==",
        "Basic Og==, Basic Og==",
        "Digest x",
        "x",
        ",",
    ],
)
@pytest.mark.parametrize("mode", ["none", "pull", "all"])
async def test_credentials_that_cannot_be_read_are_refused(
    tokens: Tokens, accounts: Accounts, mode: str, authorization: str
) -> None:
    error = await refusal(Gate(tokens, accounts, mode), credentials(authorization))
    assert error.headers["WWW-Authenticate"] == f'{REALM},scope="repository:{APP}:pull"'
    assert "the credentials cannot be read" in str(error)


@pytest.mark.parametrize(
    "who", [(NAME, "wrong"), ("nobody", PASSWORD), ("", PASSWORD), (NAME, ""), (TOKEN_USER, "")]
)
@pytest.mark.parametrize("mode", ["none", "pull", "all"])
async def test_a_wrong_password_is_refused_in_every_mode(
    tokens: Tokens, accounts: Accounts, mode: str, who: tuple[str, str]
) -> None:
    gate = Gate(tokens, accounts, mode)
    wrong = basic(*who)
    assert "wrong user name or password" in str(await refusal(gate, wrong))
    for admit in (gate.admit_anyone, gate.admit_known, gate.admit_to_catalog):
        with pytest.raises(Unauthorized, match="wrong user name or password"):
            await admit(wrong)
    with pytest.raises(Unauthorized, match="wrong user name or password"):
        await gate.admit_to_mount(wrong, APP, LIB)


async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(gate: Gate) -> None:
    one, two = await refusal(gate, basic(NAME, "x")), await refusal(gate, basic("nobody", "x"))
    assert (one.entries(), one.headers) == (two.entries(), two.headers)


async def test_the_catalog_asks_for_its_own_scope(gate: Gate, tokens: Tokens) -> None:
    allowed = bearer(tokens, access("catalog", "*", kind="registry"))
    assert await gate.admit_to_catalog(allowed)
    with pytest.raises(Unauthorized) as caught:
        await gate.admit_to_catalog(bearer(tokens, access("*", "pull")))
    wanted = f'{REALM},scope="registry:catalog:*",error="insufficient_scope"'
    assert caught.value.headers["WWW-Authenticate"] == wanted


async def test_the_registry_as_such_admits_anyone_known(gate: Gate, tokens: Tokens) -> None:
    assert await gate.admit_anyone(bearer(tokens))
    with pytest.raises(Unauthorized) as caught:
        await gate.admit_anyone(credentials(""))
    assert caught.value.headers["WWW-Authenticate"] == REALM


async def test_callers_without_a_name_may_what_the_setting_says(
    tokens: Tokens, accounts: Accounts
) -> None:
    gate = Gate(tokens, accounts, "pull")
    for who in (credentials(""), credentials(NOBODY)):
        assert (await gate.admit(who, APP, Action.PULL)).name == ""
        assert await gate.admit_to_catalog(who)
        assert await gate.admit_anyone(who)
        error = await refusal(gate, who, Action.PUSH)
        assert "error=" not in error.headers["WWW-Authenticate"]
    assert await refusal(gate, credentials("Bearer x"))


@pytest.mark.parametrize("mode", ["none", "pull", "all"])
async def test_who_says_nothing_gets_the_bare_challenge_in_every_mode(
    tokens: Tokens, accounts: Accounts, mode: str
) -> None:
    gate = Gate(tokens, accounts, mode)
    for authorization in ("", NOBODY):
        with pytest.raises(Unauthorized) as caught:
            await gate.admit_known(credentials(authorization))
        assert caught.value.headers["WWW-Authenticate"] == REALM
    nameless = tokens.access("", HERE, [], ANONYMOUS_LIFE)
    assert (await gate.admit_known(credentials(f"Bearer {nameless}"))).name == ""


async def test_a_mount_asks_for_both_repositories(gate: Gate, tokens: Tokens) -> None:
    both = bearer(tokens, access(APP, "pull", "push"), access(LIB, "pull"))
    assert await gate.admit_to_mount(both, APP, LIB)
    for granted in ([access(APP, "pull", "push")], [access(LIB, "pull")], []):
        with pytest.raises(Unauthorized) as caught:
            await gate.admit_to_mount(bearer(tokens, *granted), APP, LIB)
        assert (
            f'scope="repository:{APP}:pull,push repository:{LIB}:pull"'
            in (caught.value.headers["WWW-Authenticate"])
        )


async def test_who_may_never_pull_from_the_source_is_let_in_without_it(
    gate: Gate, tokens: Tokens
) -> None:
    nameless = bearer(tokens, access(APP, "pull", "push"), name="", stamp="")
    who = await gate.admit_to_mount(nameless, APP, LIB)
    assert not who.may(LIB, Action.PULL)


@pytest.mark.parametrize("change", ["password", "disabled", "another name", "none"])
async def test_a_token_ends_with_the_credentials_it_was_issued_for(
    gate: Gate, tokens: Tokens, accounts: Accounts, change: str
) -> None:
    who = bearer(tokens, access(APP, "pull"))
    assert await gate.admit(who, APP, Action.PULL)
    if change == "password":
        await accounts.set_password(NAME, PASSWORD)
    elif change == "disabled":
        await accounts.disable(NAME)
    elif change == "another name":
        who = bearer(tokens, access(APP, "pull"), name="other")
    else:
        who = bearer(tokens, access(APP, "pull"), stamp="")
    error = await refusal(gate, who)
    assert error.headers["WWW-Authenticate"].endswith(',error="invalid_token"')
    assert "log in again" in str(error)


async def test_what_is_mounted_from_anywhere_is_what_the_token_grants(
    gate: Gate, tokens: Tokens, accounts: Accounts
) -> None:
    who = await gate.admit(bearer(tokens, access(APP, "pull", "push")), APP, Action.PUSH)
    assert not (await gate.discoverer(who)).may(LIB, Action.PULL)
    lenient = Gate(tokens, accounts, "none", is_discovery_by_caller=True)
    assert (await lenient.discoverer(who)).may(LIB, Action.PULL)


async def test_the_owner_of_a_token_has_all_their_rights(
    gate: Gate, tokens: Tokens, accounts: Accounts
) -> None:
    assert (await gate.owner(Identity(NAME, []))).may(LIB, Action.DELETE)
    assert (await gate.owner(Identity("gone", []))).granted == []
    assert (await gate.owner(Identity("", []))).granted == []
    public = Gate(tokens, accounts, "pull")
    assert (await public.owner(Identity("", []))).may(LIB, Action.PULL)


async def test_a_refresh_token_stands_in_for_the_password(
    gate: Gate, tokens: Tokens, accounts: Accounts
) -> None:
    caller = await accounts.get(NAME)
    assert caller
    refresh = tokens.refresh(NAME, HERE, caller.stamp)
    redeemed = await gate.redeem(refresh, HERE)
    assert redeemed == replace(caller, until=tokens.read(refresh, HERE).end)
    assert await gate.admit(basic(TOKEN_USER, refresh), APP, Action.PULL)
    await accounts.set_password(NAME, "another")
    assert await gate.redeem(refresh, HERE) is None


async def test_only_a_refresh_token_for_here_does(gate: Gate, tokens: Tokens) -> None:
    assert await gate.redeem("x", HERE) is None
    assert await gate.redeem(tokens.access(NAME, HERE, [], ACCESS_LIFE), HERE) is None
    assert await gate.redeem(tokens.refresh(NAME, "other.example", ""), HERE) is None


@pytest.mark.parametrize(
    ("decoded", "read"),
    [
        (b"me:secret", ("me", "secret")),
        (b"me:with:colons", ("me", "with:colons")),
        (b"me:", ("me", "")),
        (b":secret", ("", "secret")),
        ("mé:sécret".encode(), ("mé", "sécret")),
        (b":", ("", "")),
        (b"\xff:x", None),
        (b"x", None),
        (b"", None),
    ],
)
def test_basic_credentials_are_read(decoded: bytes, read: tuple[str, str] | None) -> None:
    value = base64.b64encode(decoded).decode()
    assert basic_credentials(f"Basic {value}") == read
    assert basic_credentials(f"bASIC  {value} ") == read
    assert basic_credentials(f"Digest {value}") is None
