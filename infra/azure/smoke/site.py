"""Where the smoke test looks: the registry, who logs in, its storage, and what was made there."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from infra.admin.opening import AdminError, Desk
from infra.azure.smoke.asking.bodies import MIB, Body
from infra.azure.smoke.asking.wire import Answer, Content, Wire
from infra.azure.smoke.credentials import Login
from infra.azure.smoke.findings import Differs, NotChecked
from infra.azure.smoke.options import Options
from shared.administration import Administration
from shared.errors import RegistryError
from shared.model.webhooks.callbacks import CallbackUnreadable
from shared.model.webhooks.webhook import WebhookInvalid
from shared.storage.ports import StorageError
from shared.storage.rows.registries import StateRefused

_TOKEN_SECONDS = 120
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Image:
    """A small image that was pushed under some tags."""

    manifest: bytes
    digest: str
    media_type: str
    config: Body
    layer: Body
    tags: tuple[str, ...]


@dataclass(slots=True)
class Made:
    """What is to be removed in the end: manifests and blobs by digest, uploads by their path."""

    manifests: set[str] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)
    uploads: dict[str, str] = field(default_factory=dict)

    def begun(self, location: str) -> None:
        """Note where an upload goes on."""
        self.uploads[_path(location)] = location

    def ended(self, location: str) -> None:
        """Note that an upload is over."""
        self.uploads.pop(_path(location), None)


@dataclass(slots=True)
class Site:
    """A registry to look at; all that is pushed goes into `repository`, which is new."""

    wire: Wire
    login: Login
    options: Options
    desk: Desk | None = None
    no_desk: str = ""
    repository: str = field(default_factory=lambda: f"smoke/{secrets.token_hex(6)}")
    image: Image | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    made: Made = field(default_factory=Made)
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Give the path of the repository."""
        return f"/v2/{self.repository}"

    @property
    def pushed(self) -> Image:
        """Give the image that was pushed; raises NotChecked."""
        if self.image is None:
            raise NotChecked("no image could be pushed (push image tells why)")
        return self.image

    async def token(self, scope: str) -> str:
        """Give an access token for a scope, asked for where it is promised to be had.

        Raises Differs.
        """
        kept = self._tokens.get(scope)
        if kept and time.monotonic() - kept[0] < _TOKEN_SECONDS:
            return kept[1]
        answer = (await self._ask_token(scope)).expect(200)
        token = answer.json().get("access_token")
        if not isinstance(token, str):
            raise Differs(f"{answer.asked}: {answer.status} without access_token")
        self._tokens[scope] = (time.monotonic(), token)
        return token

    async def _ask_token(self, scope: str) -> Answer:
        fields = {"service": self.wire.server.name, "scope": scope}
        if not self.login.identity_token:
            query = urlencode(fields)
            basic = {"Authorization": self.login.basic}
            return await self.wire.ask("GET", f"/oauth2/token?{query}", basic)
        fields |= {"grant_type": "refresh_token", "refresh_token": self.login.identity_token}
        return await self.wire.ask("POST", "/oauth2/token", _FORM, urlencode(fields).encode())

    async def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        content: Content = None,
        patience: float | None = None,
    ) -> Answer:
        """Ask as somebody who may do all in the repository; raises NotChecked.

        Who does so is told to nobody but the registry, wherever it sends us: raises Differs.
        """
        if not self.wire.is_own(path):
            raise Differs(
                f"{method} is to go on at {self.wire.origin(path)}, where no login is sent: what"
                " stands before the app has to hand on the name and the scheme that were asked for"
            )
        allowed = {"Authorization": await self.authorization()}
        answer = await self.wire.ask(method, path, allowed | (headers or {}), content, patience)
        # What is in an upload's query is good for the upload.
        return replace(answer, asked=answer.asked.replace(self.path, "/v2/REPOSITORY"))

    async def authorization(self) -> str:
        """Give the header that allows all in the repository; raises NotChecked."""
        names = (self.repository, deep(self.repository))
        scope = " ".join(f"repository:{name}:pull,push,delete" for name in names)
        try:
            return f"Bearer {await self.token(f'{scope} registry:catalog:*')}"
        except Differs as error:
            raise NotChecked(f"nobody is logged in (login token tells why): {error}") from error

    @asynccontextmanager
    async def storage(self) -> AsyncIterator[Administration]:
        """Open the registry's storage by the operator's settings; raises NotChecked."""
        if self.desk is None:
            raise NotChecked(
                f"{self.no_desk}: set what python -m infra.admin needs, or give --data"
            )
        try:
            async with self.desk.opened() as here:
                yield here
        except (
            AdminError,
            CallbackUnreadable,
            RegistryError,
            StateRefused,
            StorageError,
            WebhookInvalid,
        ) as error:
            raise NotChecked(str(error)) from error


def _path(location: str) -> str:
    return location.partition("?")[0]


def deep(repository: str) -> str:
    """Give a repository whose name has four segments."""
    return f"{repository}/of/four"


def rate(size: int, seconds: float) -> str:
    """Write how fast bytes went."""
    return f"{size / MIB / max(seconds, 0.001):.1f} MiB/s"
