"""A registry's gate and tokens over memory; passwords hashed at the least cost."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.auth import passwords
from shared.auth.accounts import Accounts
from shared.auth.passwords import Passwords
from shared.auth.tokens import Tokens
from shared.storage.rows.signing_keys import SigningKey, key_id
from tests.support.app import LONG_AGO, Memory
from tests.support.clock import Clock, Ids
from tests.unit.conftest import GENERATION

NAME, PASSWORD = "admin", "correct horse"


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passwords._COST, "n", 2)


class Now:
    """The time that a process counts from its own start."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Now]:
    """Time that stands still until it is moved; with it no timer ends."""
    made = Now()
    monkeypatch.setattr(time, "monotonic", made)
    yield made
    monkeypatch.undo()


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def tokens(key: rsa.RSAPrivateKey, clock: Clock) -> Tokens:
    return Tokens([signing_key(key)], GENERATION, clock, Ids())


def signing_key(key: rsa.RSAPrivateKey, made: datetime = LONG_AGO) -> SigningKey:
    return SigningKey(key_id(key.public_key()), made, key)


@pytest.fixture
async def accounts(prepared: Memory) -> Accounts:
    """The accounts of a registry, with one in it."""
    made = Accounts(prepared.rows, GENERATION, Passwords(), Ids())
    await made.set_password(NAME, PASSWORD)
    return made


@pytest.fixture
async def stamp(accounts: Accounts) -> str:
    caller = await accounts.get(NAME)
    assert caller
    return caller.stamp
