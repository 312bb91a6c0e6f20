"""A vault: over memory, and over Azure's SDK with an imitation of Key Vault."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.storage.azure import vaults
from shared.storage.azure.vaults import AzureVault
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import Signature, Vault, VaultRefused, Wrapped
from tests.support.key_vault import BUSY, DOWN, FORBIDDEN, Credential, KeyVault, Refusal

SECRET = b"a secret of sixty-four characters, which is what a master key has"


@pytest.fixture
async def key_vault(tmp_path: Path) -> AsyncIterator[KeyVault]:
    async with KeyVault(tmp_path) as opened:
        yield opened


@pytest.fixture
def credential() -> Credential:
    return Credential()


@pytest.fixture
def azure(key_vault: KeyVault, credential: Credential) -> AzureVault:
    trusted = str(key_vault.authorities)
    return AzureVault(key_vault.key, lambda: credential, authorities=trusted)


class TestBoth:
    @pytest.fixture(params=["memory", "azure"])
    def keeper(self, request: pytest.FixtureRequest) -> MemoryVault | KeyVault:
        if request.param == "memory":
            return MemoryVault()
        found: KeyVault = request.getfixturevalue("key_vault")
        return found

    @pytest.fixture
    def vault(self, keeper: MemoryVault | KeyVault, request: pytest.FixtureRequest) -> Vault:
        if isinstance(keeper, MemoryVault):
            return keeper
        found: Vault = request.getfixturevalue("azure")
        return found

    async def test_what_is_wrapped_is_given_back(self, vault: Vault) -> None:
        wrapped = await vault.wrap(SECRET)
        assert SECRET not in wrapped.data
        assert await vault.unwrap(wrapped) == SECRET
        assert (await vault.wrap(SECRET)).data != wrapped.data

    async def test_the_newest_version_wraps_and_older_ones_unwrap(
        self, vault: Vault, keeper: MemoryVault | KeyVault
    ) -> None:
        old = await vault.wrap(SECRET)
        version = keeper.renew()
        new = await vault.wrap(SECRET)
        assert (old.version != version, new.version) == (True, version)
        assert [await vault.unwrap(old), await vault.unwrap(new)] == [SECRET, SECRET]

    async def test_the_key_has_a_name(self, vault: Vault, keeper: MemoryVault | KeyVault) -> None:
        assert vault.key == keeper.key

    async def test_what_another_version_has_wrapped_is_refused(
        self, vault: Vault, keeper: MemoryVault | KeyVault
    ) -> None:
        wrapped = await vault.wrap(SECRET)
        with pytest.raises(VaultRefused):
            await vault.unwrap(Wrapped(keeper.renew(), wrapped.data))

    @pytest.mark.parametrize("version", ["0" * 32, "", "../secrets", "a/b", "a?b"])
    async def test_a_version_that_is_none_is_refused(self, vault: Vault, version: str) -> None:
        wrapped = await vault.wrap(SECRET)
        with pytest.raises(VaultRefused):
            await vault.unwrap(Wrapped(version, wrapped.data))

    async def test_what_is_signed_is_known(self, vault: Vault) -> None:
        signature = await vault.sign(SECRET)
        assert await vault.verify(SECRET, signature)
        assert not await vault.verify(SECRET + b".", signature)
        other = Signature(signature.version, signature.data[::-1])
        assert not await vault.verify(SECRET, other)
        assert not await vault.verify(SECRET, Signature(signature.version, b""))

    async def test_the_newest_version_signs_and_older_ones_are_known(
        self, vault: Vault, keeper: MemoryVault | KeyVault
    ) -> None:
        old = await vault.sign(SECRET)
        version = keeper.renew()
        new = await vault.sign(SECRET)
        assert (old.version != version, new.version) == (True, version)
        assert await vault.verify(SECRET, old)
        assert await vault.verify(SECRET, new)
        assert not await vault.verify(SECRET, Signature(version, old.data))

    async def test_of_a_version_the_vault_is_asked_once(
        self, vault: Vault, keeper: MemoryVault | KeyVault
    ) -> None:
        signature = await vault.sign(SECRET)
        version = keeper.renew()
        keeper.calls.clear()
        for _ in range(3):
            assert await vault.verify(SECRET, signature)
            assert not await vault.verify(SECRET, Signature(version, signature.data))
        assert keeper.calls == ["get"]

    @pytest.mark.parametrize("version", ["0" * 32, "", "../secrets", "a/b", "a?b"])
    async def test_nothing_is_signed_by_a_version_that_is_none(
        self, vault: Vault, version: str
    ) -> None:
        signature = await vault.sign(SECRET)
        with pytest.raises(VaultRefused):
            await vault.verify(SECRET, Signature(version, signature.data))


async def test_a_version_whose_half_is_known_is_not_asked_for_it_again(
    azure: AzureVault, key_vault: KeyVault, credential: Credential
) -> None:
    wrapped, signature = await azure.wrap(SECRET), await azure.sign(SECRET)
    fresh = AzureVault(key_vault.key, lambda: credential, authorities=str(key_vault.authorities))
    key_vault.calls.clear()
    assert await fresh.verify(SECRET, signature)
    assert await fresh.unwrap(wrapped) == SECRET
    assert key_vault.calls == ["get", "unwrapkey"]


async def test_a_version_that_is_no_rsa_key_signs_nothing(
    azure: AzureVault, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = await azure.sign(SECRET)
    azure._known.clear()
    other = {"kid": f"{azure.key}/{signature.version}", "kty": "EC", "crv": "P-256"}
    monkeypatch.setattr(KeyVault, "_bundle", lambda *_: {"key": other})
    with pytest.raises(VaultRefused, match="is no RSA key"):
        await azure.verify(SECRET, signature)


async def test_a_key_that_may_not_sign_says_what_to_do(
    azure: AzureVault, key_vault: KeyVault
) -> None:
    key_vault.operations = ["wrapKey", "unwrapKey"]
    await azure.unwrap(await azure.wrap(SECRET))
    with pytest.raises(VaultRefused, match=r"KeyOperationForbidden.*set-attributes --ops"):
        await azure.sign(SECRET)


async def test_the_sdk_asks_with_a_token_of_the_vault_and_closes_it(
    azure: AzureVault, key_vault: KeyVault, credential: Credential
) -> None:
    wrapped = await azure.wrap(SECRET)
    await azure.unwrap(wrapped)
    assert key_vault.calls[-1] == "unwrapkey"
    assert all(scope.endswith("/.default") for scope in credential.scopes)
    assert (len(credential.scopes) > 0, credential.closed) == (True, 2)


REFUSALS = [
    (FORBIDDEN, "403 ForbiddenByRbac.*role Key Vault Crypto User"),
    (Refusal(403, "Forbidden", "KeyDisabled"), "KeyDisabled.*enable this version"),
    (Refusal(403, "Forbidden", "KeyOperationForbidden"), "wrapKey, unwrapKey and sign .*--ops"),
    (Refusal(403, "Forbidden", "ForbiddenByFirewall"), "ByFirewall.*the app's network"),
    (Refusal(404, "KeyNotFound"), "404 KeyNotFound.*az keyvault key recover"),
    (
        Refusal(400, "BadParameter"),
        "400 BadParameter.*RSA key that may wrapKey, unwrapKey and sign",
    ),
    (BUSY, "429 Throttled.*this passes"),
    (DOWN, "503 ServiceUnavailable.*see to it that the vault is there"),
]


@pytest.mark.parametrize(("refusal", "told"), REFUSALS)
async def test_a_refusal_says_what_to_do(
    azure: AzureVault, key_vault: KeyVault, refusal: Refusal, told: str
) -> None:
    wrapped = await azure.wrap(SECRET)
    key_vault.always = refusal
    with pytest.raises(VaultRefused, match=f"^{key_vault.key} refuses .*{told}"):
        await azure.unwrap(wrapped)
    for asked in (azure.wrap, azure.sign):
        with pytest.raises(VaultRefused, match=told):
            await asked(SECRET)
    with pytest.raises(VaultRefused, match=told):
        await azure.verify(SECRET, Signature(wrapped.version, b""))


async def test_the_vault_wraps_where_it_does_not_give_the_public_half(
    azure: AzureVault, key_vault: KeyVault
) -> None:
    key_vault.script = [None, FORBIDDEN]
    wrapped = await azure.wrap(SECRET)
    assert key_vault.calls == ["get", "get", "wrapkey"]
    assert await azure.unwrap(wrapped) == SECRET


async def test_a_key_that_is_disabled_or_deleted_unwraps_nothing_until_it_is_back(
    azure: AzureVault, key_vault: KeyVault
) -> None:
    wrapped = await azure.wrap(SECRET)
    key_vault.disabled = {wrapped.version}
    with pytest.raises(VaultRefused, match="KeyDisabled"):
        await azure.unwrap(wrapped)
    key_vault.disabled, key_vault.is_deleted = set(), True
    with pytest.raises(VaultRefused, match="KeyNotFound"):
        await azure.unwrap(wrapped)
    key_vault.is_deleted = False
    assert await azure.unwrap(wrapped) == SECRET


async def test_what_passes_is_tried_again(azure: AzureVault, key_vault: KeyVault) -> None:
    wrapped = await azure.wrap(SECRET)
    key_vault.script = [BUSY, DOWN, None, BUSY, None]
    assert await azure.unwrap(wrapped) == SECRET


async def test_a_pause_that_is_asked_for_is_told(
    azure: AzureVault, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure._options["retry_total"] = 0
    key_vault.always = Refusal(429, "Throttled", Retry_After="7")
    with pytest.raises(VaultRefused) as caught:
        await azure.wrap(SECRET)
    assert caught.value.seconds == 7


async def test_a_slow_vault_is_not_waited_for_for_ever(
    azure: AzureVault, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaults, "_ALL_SECONDS", 0.3)
    key_vault.pause = 1
    began = time.monotonic()
    with pytest.raises(VaultRefused, match=r"did not answer within 0.3 s: see to it that"):
        await azure.wrap(SECRET)
    assert time.monotonic() - began < 3


async def test_a_vault_that_is_not_there_is_told_soon(credential: Credential) -> None:
    vault = AzureVault("https://127.0.0.1:9/keys/master", lambda: credential)
    began = time.monotonic()
    with pytest.raises(
        VaultRefused, match=r"cannot be asked .*: see to it that the vault is there"
    ):
        await vault.wrap(SECRET)
    assert time.monotonic() - began < 20


async def test_a_server_that_nobody_vouches_for_gets_no_token(
    key_vault: KeyVault, credential: Credential
) -> None:
    with pytest.raises(VaultRefused, match="cannot be asked"):
        await AzureVault(key_vault.key, lambda: credential).wrap(SECRET)
    assert (key_vault.calls, credential.scopes) == ([], [])


async def test_a_server_of_another_domain_gets_no_token(
    azure: AzureVault,
    key_vault: KeyVault,
    credential: Credential,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(KeyVault, "_place", "127.vault.azure.net")
    with pytest.raises(VaultRefused, match="does not match"):
        await azure.wrap(SECRET)
    assert credential.scopes == []


async def test_many_may_ask_at_once(azure: AzureVault) -> None:
    wrapped = await azure.wrap(SECRET)
    assert await asyncio.gather(*(azure.unwrap(wrapped) for _ in range(8))) == [SECRET] * 8


def test_who_asks_is_who_the_storage_knows() -> None:
    vault = AzureVault.of("https://v.vault.azure.net/keys/k", {"clientId": "an id"})
    assert type(vault._open_identity()).__name__ == "ManagedIdentityCredential"
