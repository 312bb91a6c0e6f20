import base64
import json
import time
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth.scopes import Access
from shared.auth.tokens import (
    ACCESS_LIFE,
    ANNOUNCED,
    REFRESH_LIFE,
    RETIRED,
    TokenInvalid,
    Tokens,
)
from shared.errors import SizeInvalid
from tests.support.clock import Clock, Ids
from tests.unit.auth.conftest import signing_key
from tests.unit.conftest import GENERATION

HERE = "reg.example"
GRANTED = [Access("repository", "team/app", frozenset({"pull", "push"}))]


@pytest.fixture
def good(tokens: Tokens) -> str:
    return tokens.access("me", HERE, GRANTED, ACCESS_LIFE)


def claims_of(token: str) -> dict[str, object]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def test_an_access_token_reads_as_it_was_issued(tokens: Tokens, good: str) -> None:
    claims = tokens.read(good, HERE)
    assert (claims.kind, claims.subject, claims.access) == ("access_token", "me", GRANTED)


def test_a_refresh_token_holds_the_stamp_and_no_access(tokens: Tokens) -> None:
    claims = tokens.read(tokens.refresh("me", HERE, "stamp"), HERE)
    assert (claims.kind, claims.stamp, claims.access) == ("refresh_token", "stamp", [])


def test_the_claims_are_those_that_clients_look_for(good: str, clock: Clock) -> None:
    now = int(clock().timestamp())
    assert claims_of(good) == {
        "jti": f"{1:016x}{0:016x}",
        "sub": "me",
        "nbf": now - 900,
        "exp": now + 3_600,
        "iat": now - 900,
        "iss": "Azure Container Registry",
        "aud": HERE,
        "version": "1.0",
        "rid": GENERATION,
        "grant_type": "access_token",
        "roles": [],
        "access": [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}],
    }
    groups = kid_of(good).split(":")
    assert [len(group) for group in groups] == [4] * 12


def test_a_token_of_another_key_is_refused(tokens: Tokens, clock: Clock, good: str) -> None:
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    with pytest.raises(TokenInvalid, match="not signed with this registry's key"):
        tokens.read(
            Tokens([signing_key(other)], GENERATION, clock, Ids()).access(
                "me", HERE, [], ACCESS_LIFE
            ),
            HERE,
        )
    borrowed = jwt.encode(claims_of(good), other, "RS256", {"kid": kid_of(good)})
    with pytest.raises(TokenInvalid, match="Signature"):
        tokens.read(borrowed, HERE)


def test_a_token_without_a_signature_is_refused(tokens: Tokens, good: str) -> None:
    for algorithm in ("none", "None", "NONE"):
        header = encoded({"alg": algorithm, "typ": "JWT", "kid": kid_of(good)})
        with pytest.raises(TokenInvalid):
            tokens.read(f"{header}.{good.split('.')[1]}.", HERE)
    with pytest.raises(TokenInvalid):
        tokens.read(good.rpartition(".")[0] + ".", HERE)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_the_public_key_is_no_secret_to_sign_with(
    tokens: Tokens, key: rsa.RSAPrivateKey, good: str, encoding: Encoding
) -> None:
    public = key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    header = encoded({"alg": "HS256", "typ": "JWT", "kid": kid_of(good)})
    signed = f"{header}.{good.split('.')[1]}"
    mac = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), public)
    with pytest.raises(TokenInvalid, match="alg"):
        tokens.read(f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}", HERE)


def test_a_key_that_a_token_brings_along_is_ignored(tokens: Tokens, good: str) -> None:
    own = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    embedded = jwt.get_algorithm_by_name("RS256").to_jwk(own.public_key(), as_dict=True)
    header = {"kid": kid_of(good), "jwk": embedded, "jku": "https://evil.example/keys"}
    with pytest.raises(TokenInvalid, match="Signature"):
        tokens.read(jwt.encode(claims_of(good), own, "RS256", header), HERE)


def test_a_token_for_another_login_server_is_refused(tokens: Tokens, good: str) -> None:
    with pytest.raises(TokenInvalid, match="Audience"):
        tokens.read(good, "other.example")


def test_a_token_of_another_generation_is_refused(
    key: rsa.RSAPrivateKey, clock: Clock, good: str
) -> None:
    with pytest.raises(TokenInvalid, match="for another registry"):
        Tokens([signing_key(key)], "h" * 32, clock, Ids()).read(good, HERE)


def test_a_token_is_good_until_it_expires(tokens: Tokens, clock: Clock) -> None:
    clock.move(minutes=-59)
    almost = tokens.access("me", HERE, GRANTED, ACCESS_LIFE)
    clock.move(minutes=-2)
    late = tokens.access("me", HERE, GRANTED, ACCESS_LIFE)
    assert tokens.read(almost, HERE)
    with pytest.raises(TokenInvalid, match="expired"):
        tokens.read(late, HERE)


def test_a_refresh_token_lives_for_three_hours(tokens: Tokens, clock: Clock) -> None:
    claims = claims_of(tokens.refresh("me", HERE, ""))
    assert claims["exp"] == int((clock() + timedelta(hours=3)).timestamp())
    assert timedelta(hours=3) == REFRESH_LIFE


@pytest.mark.parametrize("missing", ["exp", "nbf", "iat", "aud", "sub", "iss", "rid", "grant_type"])
def test_a_token_without_a_claim_is_refused(
    tokens: Tokens, key: rsa.RSAPrivateKey, good: str, missing: str
) -> None:
    claims = {name: value for name, value in claims_of(good).items() if name != missing}
    with pytest.raises(TokenInvalid):
        tokens.read(jwt.encode(claims, key, "RS256", {"kid": kid_of(good)}), HERE)


@pytest.mark.parametrize(
    ("claim", "value"),
    [("iss", "someone else"), ("nbf", 2**40), ("grant_type", "other"), ("rid", None)],
)
def test_a_token_with_a_wrong_claim_is_refused(
    tokens: Tokens, key: rsa.RSAPrivateKey, good: str, claim: str, value: object
) -> None:
    claims = {**claims_of(good), claim: value}
    with pytest.raises(TokenInvalid):
        tokens.read(jwt.encode(claims, key, "RS256", {"kid": kid_of(good)}), HERE)


@pytest.fixture(scope="module")
def newer_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def with_both(
    key: rsa.RSAPrivateKey, newer_key: rsa.RSAPrivateKey, clock: Clock, **age: float
) -> Tokens:
    """Give the tokens of a registry whose newer key was made so long ago."""
    made = clock() - timedelta(**age)
    return Tokens([signing_key(key), signing_key(newer_key, made)], GENERATION, clock, Ids())


def test_a_new_key_is_accepted_at_once_and_signs_when_all_know_it(
    key: rsa.RSAPrivateKey, newer_key: rsa.RSAPrivateKey, clock: Clock
) -> None:
    old, new = (signing_key(one) for one in (key, newer_key))
    alone = Tokens([new], GENERATION, clock, Ids()).access("me", HERE, [], ACCESS_LIFE)
    both = with_both(key, newer_key, clock, seconds=0)
    assert both.read(alone, HERE)
    for seconds, signing in ((0, old), (119, old), (120, new), (9_999, new)):
        both = with_both(key, newer_key, clock, seconds=seconds)
        assert kid_of(both.access("me", HERE, [], ACCESS_LIFE)) == signing.kid


def test_the_oldest_signs_where_none_is_known_to_all(
    key: rsa.RSAPrivateKey, newer_key: rsa.RSAPrivateKey, clock: Clock
) -> None:
    made = [signing_key(one, clock()) for one in (key, newer_key)]
    both = Tokens(made, GENERATION, clock, Ids())
    assert kid_of(both.access("me", HERE, [], ACCESS_LIFE)) == made[0].kid


def test_a_retired_key_is_accepted_until_its_tokens_have_ended(
    key: rsa.RSAPrivateKey, newer_key: rsa.RSAPrivateKey, clock: Clock, good: str
) -> None:
    assert with_both(key, newer_key, clock, hours=3, minutes=6).read(good, HERE)
    with pytest.raises(TokenInvalid, match="not signed with this registry's key"):
        with_both(key, newer_key, clock, hours=3, minutes=8).read(good, HERE)
    assert ANNOUNCED + REFRESH_LIFE < RETIRED


def test_a_token_is_verified_once_and_its_key_asked_for_each_time(
    key: rsa.RSAPrivateKey,
    newer_key: rsa.RSAPrivateKey,
    clock: Clock,
    good: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both, verified, decode = with_both(key, newer_key, clock, hours=3), [], jwt.decode

    def counted(token: str, *args: object, **options: object) -> object:
        verified.append(token)
        return decode(token, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(jwt, "decode", counted)
    first = both.read(good, HERE)
    assert both.read(good, HERE) is first
    assert verified == [good]
    with pytest.raises(TokenInvalid, match="Audience"):
        both.read(good, "other.example")
    clock.move(minutes=8)
    with pytest.raises(TokenInvalid, match="not signed with this registry's key"):
        both.read(good, HERE)


def test_a_token_that_was_verified_ends_when_it_ends(
    tokens: Tokens, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.move(minutes=-59)
    almost = tokens.access("me", HERE, GRANTED, ACCESS_LIFE)
    assert tokens.read(almost, HERE)
    real = time.time
    monkeypatch.setattr(tokens._remembered, "_now", lambda: real() + 61)
    assert len(tokens._remembered) == 1
    tokens.read(almost, HERE)  # by the real time it is good, so it was read again
    monkeypatch.setattr(tokens._remembered, "_now", real)
    clock.move(minutes=-2)
    late = tokens.access("me", HERE, GRANTED, ACCESS_LIFE)
    for _ in range(2):
        with pytest.raises(TokenInvalid, match="expired"):
            tokens.read(late, HERE)


GARBAGE = [
    "",
    "a",
    "a.b",
    "a.b.c",
    "....",
    "ä.ö.ü",
    "\0",
    encoded([]) + ".e30.AA",
    encoded({"alg": "RS256", "kid": 1}) + ".e30.AA",
    encoded({"alg": "RS256"}) + ".e30.AA",
    base64.urlsafe_b64encode(b"[" * 12_000).decode().rstrip("=") + ".e30.AA",
    base64.urlsafe_b64encode(b'{"a":' * 2_400).decode().rstrip("=") + ".e30.AA",
    base64.urlsafe_b64encode(b"9" * 12_000).decode().rstrip("=") + ".e30.AA",
    base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("=") + ".e30.AA",
]


@pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_token_is_refused(tokens: Tokens, token: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens.read(token, HERE)


def test_no_token_is_issued_that_would_not_be_accepted(tokens: Tokens) -> None:
    def scopes(count: int) -> list[Access]:
        return [
            Access("repository", f"{number:0250}", frozenset({"pull"})) for number in range(count)
        ]

    most = next(count for count in range(100) if _is_refused(tokens, scopes(count + 1)))
    assert most > 10
    longest = tokens.access("me", HERE, scopes(most), ACCESS_LIFE)
    assert tokens.read(longest, HERE).access == scopes(most)
    with pytest.raises(SizeInvalid, match="up to 16384: ask for fewer scopes at once"):
        tokens.access("me", HERE, scopes(most + 1), ACCESS_LIFE)


def _is_refused(tokens: Tokens, granted: list[Access]) -> bool:
    try:
        tokens.access("me", HERE, granted, ACCESS_LIFE)
    except SizeInvalid:
        return True
    return False


def test_a_long_token_is_not_even_looked_at(tokens: Tokens) -> None:
    with pytest.raises(TokenInvalid, match="too long"):
        tokens.read("a" * 16_385, HERE)
