"""The key in Azure Key Vault (or a managed HSM) that wraps and signs the master keys.

    wrap     keys/get, and the SDK wraps with the public half; where that is not given, keys/wrapKey
    unwrap   keys/unwrapKey
    sign     keys/get for the newest version, and keys/sign: PS256
    verify   keys/get, once for each version; then here, with the public half

All are asked for seldom, so identity and connections last for one call, and the SDK is loaded with
the first.

What goes wrong is for an operator to mend: so each failure is told with what to do, and all are
VaultRefused, as roles take minutes to reach a vault, and a key that was deleted can be recovered.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.rest import HttpResponse
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.storage.azure.account.account import identity
from shared.storage.azure.account.tries import RETRIES
from shared.storage.ports import Signature, VaultRefused, Wrapped

if TYPE_CHECKING:
    from azure.keyvault.keys import KeyVaultKey
    from azure.keyvault.keys.aio import KeyClient
    from azure.keyvault.keys.crypto.aio import CryptographyClient

_CONNECT_SECONDS = 5
_READ_SECONDS = 10
_ALL_SECONDS = 30
_FIRST_PAUSE = 0.2
_TOLD = 300
_PS256 = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
_VERSION = re.compile(r"[0-9a-zA-Z-]{1,64}")

_OPERATIONS = "wrapKey, unwrapKey and sign"
_ROLE = "give the app's identity the role Key Vault Crypto User on it (that takes some minutes)"
_REACH = (
    "see to it that the vault is there, that its name leads to it from the app's network, and that"
    " the app has an identity"
)
_TO_DO: Mapping[int, str] = {
    400: f"it must be an RSA key that may {_OPERATIONS}",
    401: "the identity must be of the vault's tenant",
    403: _ROLE,
    404: "recover the key (az keyvault key recover), or the vault (az keyvault recover)",
    429: "it is asked too often: this passes",
}
_TO_DO_BY_CODE: Mapping[str, str] = {
    "ForbiddenByFirewall": "let the app's network into the vault",
    "ForbiddenByConnection": "let the app's network into the vault, or give it an endpoint there",
    "KeyOperationForbidden": f"let the key {_OPERATIONS} (az keyvault key set-attributes --ops)",
    "KeyDisabled": "enable this version of the key (az keyvault key set-attributes --enabled)",
}


class AzureVault:
    """One key, named by its identifier without a version."""

    def __init__(
        self,
        key: str,
        open_identity: Callable[[], AsyncTokenCredential],
        *,
        authorities: str | None = None,
    ) -> None:
        """Note where the key is; nothing is opened yet.

        Args:
            key: `https://NAME.vault.azure.net/keys/KEY`.
            open_identity: Gives who we are, for one call.
            authorities: A file of certificates to trust instead of the system's.
        """
        self._key = key
        self._address, _, self._name = key.rpartition("/keys/")
        self._open_identity = open_identity
        self._options: dict[str, Any] = {
            "retry_total": RETRIES,
            "retry_backoff_factor": _FIRST_PAUSE,
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }
        if authorities:
            self._options["connection_verify"] = authorities
        self._known: dict[str, KeyVaultKey] = {}

    @classmethod
    def of(cls, key: str, storage: Mapping[str, str]) -> Self:
        """Give it to the identity that the parts of the storage's setting name."""
        return cls(key, lambda: identity(storage.get("clientId")))

    @property
    def key(self) -> str:
        """The key's identifier, without a version."""
        return self._key

    async def wrap(self, secret: bytes) -> Wrapped:
        """Wrap a short secret with the newest version."""
        return await self._in_time(self._wrapped(secret))

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        """Give back what was wrapped."""
        self._check(wrapped.version)
        return await self._in_time(self._unwrapped(wrapped))

    async def sign(self, message: bytes) -> Signature:
        """Sign a message with the newest version."""
        return await self._in_time(self._signed(hashlib.sha256(message).digest()))

    async def verify(self, message: bytes, signature: Signature) -> bool:
        """Tell whether a version has signed this."""
        self._check(signature.version)
        if signature.version not in self._known:
            await self._in_time(self._get(signature.version))
        half = _public_half(self._known[signature.version])
        try:
            half.verify(signature.data, message, _PS256, hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def _check(self, version: str) -> None:
        if not _VERSION.fullmatch(version):
            raise VaultRefused(f"{version[:_TOLD]!r} is no version of {self._key}")

    async def _wrapped(self, secret: bytes) -> Wrapped:
        async with self._open_identity() as credential, self._client(credential) as client:
            newest = await client.get_key(self._name)
            async with self._crypto(newest.id or "", credential) as crypto:
                done = await crypto.wrap_key(_wrapping(), secret)
        return Wrapped(str(newest.properties.version), done.encrypted_key)

    async def _unwrapped(self, wrapped: Wrapped) -> bytes:
        version = self._known.get(wrapped.version) or f"{self._key}/{wrapped.version}"
        async with (
            self._open_identity() as credential,
            self._crypto(version, credential) as crypto,
        ):
            return (await crypto.unwrap_key(_wrapping(), wrapped.data)).key

    async def _signed(self, digest: bytes) -> Signature:
        from azure.keyvault.keys.crypto import SignatureAlgorithm  # noqa: PLC0415 - as below

        async with self._open_identity() as credential, self._client(credential) as client:
            newest = await client.get_key(self._name)
            async with self._crypto(newest, credential) as crypto:
                done = await crypto.sign(SignatureAlgorithm.ps256, digest)
        version = str(newest.properties.version)
        self._known[version] = newest
        return Signature(version, done.signature)

    async def _get(self, version: str) -> None:
        async with self._open_identity() as credential, self._client(credential) as client:
            found = await client.get_key(self._name, version)
        _public_half(found)
        self._known[version] = found

    @asynccontextmanager
    async def _client(self, credential: AsyncTokenCredential) -> "AsyncIterator[KeyClient]":
        from azure.keyvault.keys.aio import KeyClient  # noqa: PLC0415 - few processes need it

        async with KeyClient(self._address, credential, **self._options) as client:
            yield client

    @asynccontextmanager
    async def _crypto(
        self, version: "KeyVaultKey | str", credential: AsyncTokenCredential
    ) -> "AsyncIterator[CryptographyClient]":
        from azure.keyvault.keys.crypto.aio import CryptographyClient  # noqa: PLC0415 - as above

        async with CryptographyClient(version, credential, **self._options) as crypto:
            yield crypto

    async def _in_time[T](self, call: Awaitable[T]) -> T:
        """Await a call, with all its tries; raises VaultRefused for whatever fails."""
        try:
            async with asyncio.timeout(_ALL_SECONDS):
                return await call
        except TimeoutError:
            raise VaultRefused(
                f"{self._key} did not answer within {_ALL_SECONDS} s: {_REACH}", 5
            ) from None
        except (AzureError, ValueError) as error:
            raise self._refused(error) from error

    def _refused(self, error: AzureError | ValueError) -> VaultRefused:
        """Say what went wrong and what to do."""
        if not isinstance(error, HttpResponseError) or error.response is None:
            return VaultRefused(f"{self._key} cannot be asked ({_short(str(error))}): {_REACH}", 5)
        # The SDK's type of a response leaves out what all its responses have.
        response = cast("HttpResponse", error.response)
        code, message = _said(error)
        to_do = _TO_DO_BY_CODE.get(code) or _TO_DO.get(response.status_code, _REACH)
        pause = response.headers.get("Retry-After", "")
        return VaultRefused(
            f"{self._key} refuses ({response.status_code} {code}: {_short(message)}): {to_do}",
            int(pause) if pause.isdecimal() else 5,
        )


def _said(error: Any) -> tuple[str, str]:
    """Give the innermost code of an answer, and its message."""
    said = error.error
    if said is None:
        return "", str(error.reason or "")
    inner = said.innererror or {}
    return str(inner.get("code") or said.code or ""), str(said.message or "")


def _short(text: str) -> str:
    return " ".join(text.split())[:_TOLD]


def _public_half(key: "KeyVaultKey") -> rsa.RSAPublicKey:
    jwk: Any = key.key  # the SDK's type of a key leaves out what all RSA keys have
    if not (jwk.n and jwk.e):
        raise ValueError(f"version {key.properties.version} is no RSA key")
    return rsa.RSAPublicNumbers(int.from_bytes(jwk.e), int.from_bytes(jwk.n)).public_key()


def _wrapping() -> Any:
    from azure.keyvault.keys.crypto import KeyWrapAlgorithm  # noqa: PLC0415 - as above

    return KeyWrapAlgorithm.rsa_oaep_256
