"""The gate: the one place that decides whether this caller may do this, on every request anew.

Nothing is allowed that is not said here. A caller who may not, and one who has not logged in, get
the same 401 with the challenge that says what to ask for (ACR rule 3), before anything is looked
up: so nobody learns what there is.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.auth import scopes
from shared.auth.accounts import Accounts
from shared.auth.callers import ANONYMOUS, Caller, anonymous
from shared.auth.challenge import Challenge
from shared.auth.scopes import Access, Action
from shared.auth.tokens import TokenInvalid, Tokens
from shared.errors import Unauthorized
from shared.model.names import RepositoryName

TOKEN_USER = "00000000-0000-0000-0000-000000000000"  # noqa: S105 - a name
"""The user name that says: the password is a token (ACR 2.6)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says of its caller: its `Authorization` header, and the login server asked."""

    authorization: str
    host: str
    scheme: str

    @property
    def are_none(self) -> bool:
        """Whether the request names nobody; Basic with no name and no password does not."""
        return not self.authorization or basic_credentials(self.authorization) == ("", "")


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller who has been recognised, and what was granted to them."""

    name: str
    granted: Sequence[Access]

    def may(self, repository: RepositoryName, action: Action) -> bool:
        """Tell whether the caller may do something to a repository."""
        return scopes.permits(self.granted, repository, action)


class Gate:
    """Admits callers to one registry."""

    def __init__(
        self,
        tokens: Tokens,
        accounts: Accounts,
        anonymous_access: str,
        *,
        is_discovery_by_caller: bool = False,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._anonymous = anonymous(anonymous_access)
        self._is_discovery_by_caller = is_discovery_by_caller

    async def admit(
        self, credentials: Credentials, repository: RepositoryName, action: Action
    ) -> Identity:
        """Let a caller do something to a repository; raises Unauthorized."""
        scope = scopes.repository_scope(repository, action)
        who = await self._identify(credentials, Challenge(scope))
        if not who.may(repository, action):
            raise self._refusal(credentials, Challenge(scope), who)
        return who

    async def admit_to_mount(
        self, credentials: Credentials, repository: RepositoryName, source: RepositoryName
    ) -> Identity:
        """Let a caller push to a repository what may come out of another; raises Unauthorized.

        The challenge asks for both. Who may not pull from the source is let in without it; who may,
        but has a token that was not asked for it, is sent for another token.
        """
        asked = (
            scopes.repository_scope(repository, Action.PUSH),
            scopes.repository_scope(source, Action.PULL),
        )
        challenge = Challenge(" ".join(asked))
        who = await self._identify(credentials, challenge)
        if not who.may(repository, Action.PUSH) or (
            not who.may(source, Action.PULL) and (await self.owner(who)).may(source, Action.PULL)
        ):
            raise self._refusal(credentials, challenge, who)
        return who

    async def admit_to_catalog(self, credentials: Credentials) -> Identity:
        """Let a caller list the repositories; raises Unauthorized."""
        challenge = Challenge(f"{scopes.REGISTRY}:{scopes.CATALOG}:*")
        who = await self._identify(credentials, challenge)
        if not scopes.permits_catalog(who.granted):
            raise self._refusal(credentials, challenge, who)
        return who

    async def admit_anyone(self, credentials: Credentials) -> Identity:
        """Let any caller in who is known, or admitted without a name; raises Unauthorized."""
        return await self._identify(credentials, Challenge(""))

    async def admit_known(self, credentials: Credentials) -> Identity:
        """Let a caller in with credentials, be it a token without a name; raises Unauthorized.

        Clients choose how to log in by the challenge here, so there is one in every mode (ACR).
        """
        if credentials.are_none:
            raise Challenge("").refusal(credentials.scheme, credentials.host)
        return await self.admit_anyone(credentials)

    async def log_in(self, name: str, password: str, host: str) -> Caller | None:
        """Recognise a caller by name and password, of which one may be a token."""
        if name == TOKEN_USER:
            return await self.redeem(password, host)
        return await self._accounts.log_in(name, password)

    async def redeem(self, refresh_token: str, host: str) -> Caller | None:
        """Recognise a caller by a refresh token whose credentials still stand."""
        try:
            claims = self._tokens.read(refresh_token, host)
        except TokenInvalid:
            return None
        if claims.kind != "refresh_token":
            return None
        caller = await self._accounts.find(claims.subject, claims.stamp)
        return replace(caller, until=claims.end) if caller else None

    async def owner(self, who: Identity) -> Identity:
        """Give a caller with all that they may do, whatever their token was asked for."""
        caller = self._anonymous if who.name == ANONYMOUS else await self._accounts.get(who.name)
        return Identity(who.name, caller.everything() if caller else [])

    async def discoverer(self, who: Identity) -> Identity:
        """Give a caller with what they may mount from, where they do not say from where.

        That is what their token grants; or, by a setting, all that they may read themselves.
        """
        return await self.owner(who) if self._is_discovery_by_caller else who

    def nobody(self) -> Caller | None:
        """Give the caller without a name, where the registry admits such."""
        return self._anonymous

    async def _identify(self, credentials: Credentials, challenge: Challenge) -> Identity:
        kind, _, value = credentials.authorization.partition(" ")
        if kind.lower() == "bearer":
            return await self._bearer(value.strip(), credentials, challenge)
        if not credentials.are_none:
            return await self._basic(credentials, challenge)
        if self._anonymous is None:
            raise challenge.refusal(credentials.scheme, credentials.host)
        return Identity(ANONYMOUS, self._anonymous.everything())

    async def _bearer(self, token: str, credentials: Credentials, challenge: Challenge) -> Identity:
        try:
            claims = self._tokens.read(token, credentials.host)
        except TokenInvalid as error:
            raise challenge.refusal(
                credentials.scheme, credentials.host, "invalid_token", str(error)
            ) from None
        if claims.kind != "access_token":
            reason = "a refresh token is not an access token"
            raise challenge.refusal(credentials.scheme, credentials.host, "invalid_token", reason)
        is_anonymous = claims.subject == ANONYMOUS
        if not is_anonymous and not await self._accounts.stands(claims.subject, claims.stamp):
            reason = "the account's password has changed, or the account is disabled: log in again"
            raise challenge.refusal(credentials.scheme, credentials.host, "invalid_token", reason)
        return Identity(claims.subject, claims.access)

    async def _basic(self, credentials: Credentials, challenge: Challenge) -> Identity:
        read = basic_credentials(credentials.authorization)
        caller = await self.log_in(*read, credentials.host) if read else None
        if caller is None:
            reason = "wrong user name or password" if read else "the credentials cannot be read"
            raise challenge.refusal(credentials.scheme, credentials.host, "", reason)
        return Identity(caller.name, caller.everything())

    def _refusal(
        self, credentials: Credentials, challenge: Challenge, who: Identity
    ) -> Unauthorized:
        error = "insufficient_scope" if who.name != ANONYMOUS else ""
        return challenge.refusal(credentials.scheme, credentials.host, error)


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Read the user name and password of a Basic header; None where it is another or malformed."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, password = (
            base64.b64decode(value.strip(), validate=True).decode().partition(":")
        )
    except ValueError:  # not base64, not even ASCII, or not UTF-8 inside
        return None
    return (name, password) if colon else None
