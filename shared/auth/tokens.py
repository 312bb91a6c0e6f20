"""Tokens: JWTs signed with the registry's own key. The only user of pyjwt.

A token is good for one login server (`aud`) of one registry generation (`rid`). The algorithm is
pinned, the key is looked up by `kid` among our own, and keys that a token brings along are ignored
(ACR 2.7).

A registry may have several keys. The newest signs, from ANNOUNCED on: by then every process knows
it. The one before it is accepted for RETIRED after a newer one was made, when all it signed has
ended.

What a good token says is remembered under its hash until it ends. Whether its key is still accepted
is asked each time; whether its account still stands, is the gate's affair.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

import jwt

from shared.auth.remembered import Remembered
from shared.auth.scopes import Access
from shared.errors import SizeInvalid
from shared.storage.rows.signing_keys import SigningKey

ISSUER = "Azure Container Registry"
ACCESS_LIFE = timedelta(minutes=60)
ANONYMOUS_LIFE = timedelta(minutes=5)
REFRESH_LIFE = timedelta(hours=3)

ANNOUNCED = timedelta(minutes=2)
"""How old a key is before it signs, if there is an older one."""

RETIRED = ANNOUNCED + REFRESH_LIFE + timedelta(minutes=5)
"""How long a key is accepted after the next one was made; the rest is for clocks that differ."""

_ALGORITHM = "RS256"
_CLOCK_SKEW = timedelta(minutes=15)
_KINDS = ("access_token", "refresh_token")
_TOKEN_LENGTH = 16_384
_REMEMBERED = 2_000

_NEVER = datetime.max.replace(tzinfo=UTC)

type _Claim = Mapping[str, object]


class TokenInvalid(Exception):
    """The token is not one of ours, or not for here, or no longer good."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: who, with which credentials, what they may do, and until when."""

    kind: str
    subject: str
    access: Sequence[Access]
    stamp: str
    end: datetime


class Tokens:
    """Issues and reads the tokens of one registry generation."""

    def __init__(
        self,
        keys: Sequence[SigningKey],
        generation: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        """Work with these keys, of which the oldest is the first."""
        self._keys = {key.kid: key for key in keys}
        self._public_keys = {key.kid: key.private.public_key() for key in keys}
        self._ends = retirement(keys)
        self._generation = generation
        self._clock = clock
        self._new_id = new_id
        self._remembered: Remembered[bytes, tuple[str, Claims]] = Remembered(_REMEMBERED, time.time)

    def access(
        self,
        subject: str,
        audience: str,
        granted: Sequence[Access],
        life: timedelta,
        stamp: str = "",
    ) -> str:
        """Issue an access token, good for `life` from now; raises SizeInvalid.

        `stamp` is that of the account, and empty where the caller has no name.
        """
        access = [one.as_claim() for one in granted]
        claims = {"access": access, **({"stamp": stamp} if stamp else {})}
        return self._issue("access_token", subject, audience, self._clock() + life, claims)

    def refresh(
        self, subject: str, audience: str, stamp: str, until: datetime | None = None
    ) -> str:
        """Issue a refresh token, good for three hours or until the credentials change.

        One that is got by another keeps the other's end, `until`: none renews itself for ever.
        """
        end = self._clock() + REFRESH_LIFE
        end = min(end, until) if until else end
        return self._issue("refresh_token", subject, audience, end, {"stamp": stamp})

    def read(self, token: str, audience: str) -> Claims:
        """Read a token; raises TokenInvalid."""
        if len(token) > _TOKEN_LENGTH:
            raise TokenInvalid("the token is too long")
        place = hashlib.sha256(f"{audience}\0{token}".encode(errors="replace")).digest()
        kid, claims = self._remembered.get(place) or ("", None)
        if claims and self._is_accepted(kid):
            return claims
        kid, claims = self._verified(token, audience)
        self._remembered.keep(place, (kid, claims), claims.end.timestamp())
        return claims

    def _verified(self, token: str, audience: str) -> tuple[str, Claims]:
        kid, claims = self._decoded(token, audience)
        kind, subject = claims.get("grant_type"), claims.get("sub")
        if claims.get("rid") != self._generation or kind not in _KINDS:
            raise TokenInvalid("the token is for another registry, or another use")
        return kid, Claims(
            kind=str(kind),
            subject=str(subject),
            access=[_access(one) for one in cast("list[_Claim]", claims.get("access", []))],
            stamp=str(claims.get("stamp", "")),
            end=datetime.fromtimestamp(cast("int", claims["exp"]), UTC),
        )

    def _is_accepted(self, kid: object) -> bool:
        return kid in self._keys and self._clock() < self._ends.get(str(kid), _NEVER)

    def _signing(self) -> SigningKey:
        """Give the newest key that every process knows, or else the oldest."""
        known = [
            key for key in self._keys.values() if key.made + ANNOUNCED <= self._clock()
        ] or list(self._keys.values())[:1]
        return known[-1]

    def _decoded(self, token: str, audience: str) -> tuple[str, dict[str, object]]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str) or not self._is_accepted(kid):
                raise TokenInvalid("the token is not signed with this registry's key")
            return kid, cast(
                "dict[str, object]",
                jwt.decode(
                    token,
                    self._public_keys[kid],
                    algorithms=[_ALGORITHM],
                    audience=audience,
                    issuer=ISSUER,
                    options={"require": ["exp", "nbf", "iat", "aud", "sub"]},
                ),
            )
        except jwt.PyJWTError as error:
            raise TokenInvalid(str(error)) from None

    def _issue(
        self, kind: str, subject: str, audience: str, end: datetime, claims: Mapping[str, object]
    ) -> str:
        now, key = self._clock(), self._signing()
        common = {
            "jti": self._new_id(),
            "sub": subject,
            "nbf": now - _CLOCK_SKEW,
            "exp": end,
            "iat": now - _CLOCK_SKEW,
            "iss": ISSUER,
            "aud": audience,
            "version": "1.0",
            "rid": self._generation,
            "grant_type": kind,
            "roles": [],
        }
        token = jwt.encode({**common, **claims}, key.private, _ALGORITHM, {"kid": key.kid})
        if len(token) > _TOKEN_LENGTH:
            raise SizeInvalid(
                f"a token for these scopes would have {len(token)} characters, and is accepted with"
                f" up to {_TOKEN_LENGTH}: ask for fewer scopes at once"
            )
        return token


def retirement(keys: Sequence[SigningKey]) -> Mapping[str, datetime]:
    """Tell until when each key but the newest is accepted; the oldest is the first."""
    return {older.kid: newer.made + RETIRED for older, newer in pairwise(keys)}


def _access(claim: _Claim) -> Access:
    actions = cast("list[str]", claim["actions"])
    return Access(str(claim["type"]), str(claim["name"]), frozenset(actions))
