"""An account reached as an identity: over TLS, with tokens, and keys borrowed to sign with."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from infra.devhost.storage import ACCOUNT, Azurite, StorageError
from shared.storage.azure.account.account import AzureAccount, Endpoints, identity
from shared.storage.azure.blobs import AzureObjects
from shared.storage.azure.queues import AzureMessages
from shared.storage.azure.tables import AzureRows
from shared.storage.ports import Insert
from tests.contract.conftest import whole
from tests.support.authority import write_certificate

pytestmark = pytest.mark.emulator


class SecureAzurite(Azurite):
    """The emulator over TLS; it checks the form of tokens, and of their claims."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.certificate = folder / "certificate.pem"
        write_certificate(self.certificate, folder / "key.pem")
        self._command += ["--oauth", "basic", "--cert", str(self.certificate)]
        self._command += ["--key", str(folder / "key.pem")]

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(*(f"https://127.0.0.1:{port}/{ACCOUNT}" for port in self.ports))


@dataclass
class Tokens:
    """A credential that needs no directory."""

    scopes: list[str] = field(default_factory=list)
    closed: bool = False

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        return self.token()

    @staticmethod
    def token() -> AccessToken:
        expires = int(time.time()) + 3600
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "oid": "23657296-5cd5-45b0-a809-d972a7f4dfe1",
            "tid": "dd0d0df1-06c3-436c-8034-4b9a153097ce",
            "iat": expires - 3700,
            "nbf": expires - 3700,
            "exp": expires,
        }
        return AccessToken(jwt.encode(claims, "k" * 32), expires)

    async def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        tb: TracebackType | None = None,
    ) -> None:
        await self.close()


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureAzurite]:
    azurite = SecureAzurite(tmp_path_factory.mktemp("secure"))
    try:
        azurite.start()
    except StorageError as error:
        pytest.skip(str(error))
    yield azurite
    azurite.stop()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
async def account(secure: SecureAzurite, tokens: Tokens) -> AsyncIterator[AzureAccount]:
    account = AzureAccount(secure.endpoints, tokens, authorities=str(secure.certificate))
    yield account
    await account.close()


async def test_each_service_takes_our_token(
    account: AzureAccount, tokens: Tokens, name: str
) -> None:
    rows, messages = AzureRows(account), AzureMessages(account)
    await rows.prepare([name])
    await rows.commit(name, "p", [Insert("k", {"n": 1})])
    await messages.prepare([name])
    await messages.send(name, "text")
    objects = AzureObjects(account, container=name)
    await objects.prepare()
    await objects.put("x", b"0123", {})

    row = await rows.get(name, "p", "k")
    assert row is not None
    assert row.values == {"n": 1}
    assert await whole(objects.read("x")) == b"0123"
    assert set(tokens.scopes) == {"https://storage.azure.com/.default"}


async def test_anyone_reads_at_an_address_signed_with_a_borrowed_key(
    account: AzureAccount, name: str
) -> None:
    objects = AzureObjects(account, container=name)
    await objects.prepare()
    await objects.put("x", b"0123", {})
    address = await objects.url("x", 60)

    async with account.session.get(address) as answer:
        assert (answer.status, await answer.read()) == (200, b"0123")
    async with account.session.get(address.replace("/x?", "/y?")) as answer:
        assert answer.status == 403


async def test_a_key_is_borrowed_once_a_day(
    account: AzureAccount, name: str, calls: list[str]
) -> None:
    now = datetime.now(UTC)
    objects = AzureObjects(account, container=name, now=lambda: now)

    def borrowed() -> int:
        return sum("comp=userdelegationkey" in call for call in calls)

    await asyncio.gather(*(objects.url("x", 60) for _ in range(8)))
    assert borrowed() == 1

    now += timedelta(days=1, seconds=-61)
    await objects.url("x", 60)
    assert borrowed() == 1

    before = await objects.url("x", 60)
    now += timedelta(seconds=2)
    assert await objects.url("x", 60) != before  # it is signed with another key
    assert borrowed() == 2


async def test_a_row_is_read_in_one_call_with_a_token_that_is_kept(
    account: AzureAccount, tokens: Tokens, name: str, calls: list[str]
) -> None:
    rows = AzureRows(account)
    await rows.prepare([name])
    await rows.commit(name, "p", [Insert("k", {"n": 1})])
    calls.clear()
    tokens.scopes.clear()

    for _ in range(3):
        assert await rows.get(name, "p", "k")

    assert len(calls) == 3
    assert len(tokens.scopes) == 1


async def test_closing_an_account_closes_its_credential(
    secure: SecureAzurite, tokens: Tokens
) -> None:
    account = AzureAccount(secure.endpoints, tokens)

    await account.close()

    assert tokens.closed


async def test_endpoints_without_a_credential_are_refused(secure: SecureAzurite) -> None:
    account = AzureAccount(secure.endpoints)

    with pytest.raises(ValueError, match="credential is missing"):
        await AzureRows(account).get("t", "p", "k")
    await account.close()


async def test_an_identity_is_named_or_found() -> None:
    async with identity("client-id") as managed, identity(None) as found:
        assert isinstance(managed, ManagedIdentityCredential)
        assert isinstance(found, DefaultAzureCredential)
