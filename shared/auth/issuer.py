"""The issuer: turns credentials into tokens (ACR 2.4 to 2.6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.auth.callers import Caller
from shared.auth.gate import Gate
from shared.auth.scopes import Access
from shared.auth.tokens import ACCESS_LIFE, ANONYMOUS_LIFE, Tokens
from shared.errors import Unauthorized
from shared.model.login_server import read_login_server


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a token: by which grant, for which login server and scopes, and who asks."""

    grant: str
    service: str
    scopes: Sequence[Access]
    name: str = ""
    password: str = ""
    refresh_token: str = ""
    is_offline: bool = False


class Issuer:
    """Issues the tokens of one registry."""

    def __init__(self, gate: Gate, tokens: Tokens) -> None:
        self._gate = gate
        self._tokens = tokens

    async def issue(self, asked: Asked, host: str) -> dict[str, object]:
        """Give the answer to a request for a token; raises Unauthorized.

        The token holds what is asked and may be done, which may be nothing (rule 14). A refresh
        token comes only where a form asks for `access_type=offline`: docker would keep it in place
        of the password, and be logged out when it ends.
        """
        caller = await self._caller(asked, host)
        if caller is None:
            raise Unauthorized("wrong user name or password, or the token is no longer good")
        life = ANONYMOUS_LIFE if caller.is_anonymous else ACCESS_LIFE
        token = self._tokens.access(
            caller.name, host, caller.granted(asked.scopes), life, caller.stamp
        )
        answer: dict[str, object] = {"access_token": token, "expires_in": int(life.total_seconds())}
        if asked.is_offline and not caller.is_anonymous:
            refresh = self._tokens.refresh(caller.name, host, caller.stamp, caller.until)
            answer["refresh_token"] = refresh
        return answer

    async def _caller(self, asked: Asked, host: str) -> Caller | None:
        if asked.service and read_login_server(asked.service) != host:
            raise Unauthorized(f"this is {host}, not {asked.service[:255]!r}")
        if asked.grant == "refresh_token":
            return await self._gate.redeem(asked.refresh_token, host)
        if asked.grant != "password":
            raise Unauthorized(f"grant_type {asked.grant[:50]!r} must be password or refresh_token")
        if not asked.name and not asked.password:
            if nobody := self._gate.nobody():
                return nobody
            raise Unauthorized("this registry wants a login: docker login, with name and password")
        return await self._gate.log_in(asked.name, asked.password, host)
