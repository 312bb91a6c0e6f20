"""A small imitation of Azure Key Vault, over TLS on loopback: one key with versions.

It answers without a token with a challenge, wraps and unwraps as RSA-OAEP-256 does, and signs as
PS256 does. `operations` is what the key may be used for; `script` holds answers that it gives
instead, one a call; `pause` is how long it takes.
"""

import asyncio
import json
import ssl
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from aiohttp import web
from azure.core.credentials import AccessToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from tests.support.authority import write_certificate

NAME = "master"
TENANT = "ab1f708d-50f6-404c-a006-d71b2ac7a606"
_TOKEN = "a token of the tests"
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_PS256 = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
_SHA256 = utils.Prehashed(hashes.SHA256())
_OPERATIONS = ["wrapKey", "unwrapKey", "sign"]


class Refusal(Exception):
    """What the vault says instead of doing what it is asked."""

    def __init__(self, status: int, code: str, inner: str = "", **headers: str) -> None:
        super().__init__(code)
        self.status, self.code, self.inner = status, code, inner
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> web.Response:
        """Give it in the vault's words."""
        error: dict[str, Any] = {"code": self.code, "message": f"{self.code}: as scripted"}
        if self.inner:
            error["innererror"] = {"code": self.inner}
        return web.json_response({"error": error}, status=self.status, headers=self.headers)


FORBIDDEN = Refusal(403, "Forbidden", "ForbiddenByRbac")
BUSY = Refusal(429, "Throttled", Retry_After="0")
DOWN = Refusal(503, "ServiceUnavailable")


@dataclass
class Credential:
    """A credential that needs no directory, and counts what it is asked for."""

    scopes: list[str] = field(default_factory=list)
    closed: int = 0

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Give the token that the vault takes."""
        self.scopes += scopes
        return AccessToken(_TOKEN, int(time.time()) + 3600)

    async def close(self) -> None:
        """Count it."""
        self.closed += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class KeyVault(AbstractAsyncContextManager["KeyVault"]):
    """The vault; `authorities` is the file of certificates to trust."""

    def __init__(self, folder: Path) -> None:
        self.authorities = folder / "authorities.pem"
        self.calls: list[str] = []
        self.script: list[Refusal | None] = []
        self.always: Refusal | None = None
        self.pause = 0.0
        self.disabled: set[str] = set()
        self.operations = _OPERATIONS
        self.is_deleted = False
        self._versions: dict[str, rsa.RSAPrivateKey] = {}
        self._private = folder / "key.pem"
        write_certificate(self.authorities, self._private)
        self.renew()

    @property
    def key(self) -> str:
        """The key's identifier, without a version."""
        return f"https://{self._place}/keys/{NAME}"

    @property
    def _place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def renew(self) -> str:
        """Make a new version."""
        version = uuid4().hex
        self._versions[version] = rsa.generate_private_key(65_537, 2_048)
        return version

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/keys/{name}/{version:.*}", self._answer)
        app.router.add_post("/keys/{name}/{version}/{operation}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.authorities, self._private)
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {_TOKEN}":
            return self._challenge()
        operation = request.match_info.get("operation", "get")
        self.calls.append(operation)
        await asyncio.sleep(self.pause)
        try:
            return web.json_response(self._done(request, operation, await request.read()))
        except Refusal as refusal:
            return refusal.answer()

    def _challenge(self) -> web.Response:
        """Name the directory; and the resource, which must be a domain that the vault is in."""
        resource = f"https://{self._place.removeprefix('127.')}"
        said = f'Bearer authorization="https://login.test/{TENANT}", resource="{resource}"'
        return web.Response(status=401, headers={"WWW-Authenticate": said})

    def _done(self, request: web.Request, operation: str, body: bytes) -> dict[str, Any]:
        refusal = self.script.pop(0) if self.script else self.always
        if refusal:
            raise refusal
        version = request.match_info["version"] or [*self._versions][-1]
        key = self._versions.get(version)
        if self.is_deleted or request.match_info["name"] != NAME or key is None:
            raise Refusal(404, "KeyNotFound")
        if operation == "get":
            return self._bundle(version, key)
        if version in self.disabled:
            raise Refusal(403, "Forbidden", "KeyDisabled")
        if operation not in map(str.lower, self.operations):
            raise Refusal(403, "Forbidden", "KeyOperationForbidden")
        value = _used(key, operation, json.loads(body))
        return {"kid": f"{self.key}/{version}", "value": _text(value)}

    def _bundle(self, version: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
        numbers = key.public_key().public_numbers()
        jwk = {
            "kid": f"{self.key}/{version}",
            "kty": "RSA",
            "key_ops": self.operations,
            "n": _text(numbers.n.to_bytes(256)),
            "e": _text(numbers.e.to_bytes(3)),
        }
        return {"key": jwk, "attributes": {"enabled": version not in self.disabled}}


def _used(key: rsa.RSAPrivateKey, operation: str, said: dict[str, str]) -> bytes:
    value = _bytes(said["value"])
    assert said["alg"] == ("PS256" if operation == "sign" else "RSA-OAEP-256")
    try:
        if operation == "sign":
            return key.sign(value, _PS256, _SHA256)
        if operation == "wrapkey":
            return key.public_key().encrypt(value, _OAEP)
        return key.decrypt(value, _OAEP)
    except ValueError:
        raise Refusal(400, "BadParameter") from None


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
