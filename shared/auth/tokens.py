"""Tokens: JWTs signed with the registry's own key. The only user of pyjwt.

A token is good for one login server (`aud`) of one registry generation (`rid`). The algorithm is
pinned, the key is looked up by `kid` among our own, and keys that a token brings along are ignored
(ACR 2.7).
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth.scopes import Access
from shared.errors import SizeInvalid

ISSUER = "Azure Container Registry"
ACCESS_LIFE = timedelta(minutes=60)
ANONYMOUS_LIFE = timedelta(minutes=5)
REFRESH_LIFE = timedelta(hours=3)

_ALGORITHM = "RS256"
_CLOCK_SKEW = timedelta(minutes=15)
_KINDS = ("access_token", "refresh_token")
_TOKEN_LENGTH = 16_384


type _Claim = Mapping[str, object]


class TokenInvalid(Exception):
    """The token is not one of ours, or not for here, or no longer good."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: who, and either what they may do or what their credentials were."""

    kind: str
    subject: str
    access: Sequence[Access]
    stamp: str


class Tokens:
    """Issues and reads the tokens of one registry generation."""

    def __init__(
        self,
        key: RSAPrivateKey,
        generation: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._key = key
        self._public_key = key.public_key()
        self._kid = _key_id(
            self._public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
        self._generation = generation
        self._clock = clock
        self._new_id = new_id

    def access(
        self, subject: str, audience: str, granted: Sequence[Access], life: timedelta
    ) -> str:
        """Issue an access token, good for `life` from now; raises SizeInvalid."""
        access = [one.as_claim() for one in granted]
        return self._issue("access_token", subject, audience, life, {"access": access})

    def refresh(self, subject: str, audience: str, stamp: str) -> str:
        """Issue a refresh token, good for three hours or until the credentials change."""
        return self._issue("refresh_token", subject, audience, REFRESH_LIFE, {"stamp": stamp})

    def read(self, token: str, audience: str) -> Claims:
        """Read a token; raises TokenInvalid."""
        claims = self._verified(token, audience)
        kind, subject = claims.get("grant_type"), claims.get("sub")
        if claims.get("rid") != self._generation or kind not in _KINDS:
            raise TokenInvalid("the token is for another registry, or another use")
        return Claims(
            kind=str(kind),
            subject=str(subject),
            access=[_access(one) for one in cast("list[_Claim]", claims.get("access", []))],
            stamp=str(claims.get("stamp", "")),
        )

    def _verified(self, token: str, audience: str) -> dict[str, object]:
        if len(token) > _TOKEN_LENGTH:
            raise TokenInvalid("the token is too long")
        try:
            if jwt.get_unverified_header(token).get("kid") != self._kid:
                raise TokenInvalid("the token is not signed with this registry's key")
            return cast(
                "dict[str, object]",
                jwt.decode(
                    token,
                    self._public_key,
                    algorithms=[_ALGORITHM],
                    audience=audience,
                    issuer=ISSUER,
                    options={"require": ["exp", "nbf", "iat", "aud", "sub"]},
                ),
            )
        except jwt.PyJWTError as error:
            raise TokenInvalid(str(error)) from None

    def _issue(
        self, kind: str, subject: str, audience: str, life: timedelta, claims: Mapping[str, object]
    ) -> str:
        now = self._clock()
        common = {
            "jti": self._new_id(),
            "sub": subject,
            "nbf": now - _CLOCK_SKEW,
            "exp": now + life,
            "iat": now - _CLOCK_SKEW,
            "iss": ISSUER,
            "aud": audience,
            "version": "1.0",
            "rid": self._generation,
            "grant_type": kind,
            "roles": [],
        }
        token = jwt.encode({**common, **claims}, self._key, _ALGORITHM, {"kid": self._kid})
        if len(token) > _TOKEN_LENGTH:
            raise SizeInvalid(
                f"a token for these scopes would have {len(token)} characters, and is accepted with"
                f" up to {_TOKEN_LENGTH}: ask for fewer scopes at once"
            )
        return token


def _access(claim: _Claim) -> Access:
    actions = cast("list[str]", claim["actions"])
    return Access(str(claim["type"]), str(claim["name"]), frozenset(actions))


def _key_id(public_key: bytes) -> str:
    """Name a key as libtrust does: twelve groups of four base32 characters."""
    text = base64.b32encode(hashlib.sha256(public_key).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))
