"""A registry's gate and tokens over memory; passwords hashed at the least cost."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.auth import passwords
from shared.auth.accounts import Accounts
from shared.auth.tokens import Tokens
from tests.support.app import Memory
from tests.support.clock import Clock, Ids
from tests.unit.conftest import GENERATION

NAME, PASSWORD = "admin", "correct horse"


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passwords._COST, "n", 2)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def tokens(key: rsa.RSAPrivateKey, clock: Clock) -> Tokens:
    return Tokens(key, GENERATION, clock, Ids())


@pytest.fixture
async def accounts(prepared: Memory) -> Accounts:
    """The accounts of a registry, with one in it."""
    made = Accounts(prepared.rows, GENERATION)
    await made.set_password(NAME, PASSWORD)
    return made
