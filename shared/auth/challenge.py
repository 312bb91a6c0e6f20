"""The challenge: what a 401 tells a client to ask for, and where (ACR 2.1, rules 1 to 3)."""

from dataclasses import dataclass

from shared.errors import Detail, Unauthorized


@dataclass(frozen=True, slots=True)
class Challenge:
    """The scope a request needs, or several between blanks; empty for the registry as such."""

    scope: str

    def refusal(self, scheme: str, host: str, error: str = "", reason: str = "") -> Unauthorized:
        """Refuse a request to this login server.

        `error` is `invalid_token` or `insufficient_scope` where a credential was sent.
        """
        header = f'Bearer realm="{scheme}://{host}/oauth2/token",service="{host}"'
        if self.scope:
            header += f',scope="{self.scope}"'
        if error:
            header += f',error="{error}"'
        message = Unauthorized.message
        if detail := self._detail():
            message += ", or ask for the rights in `detail`"
        message += f" ({reason})" if reason else ""
        return Unauthorized(message, detail=detail, headers={"WWW-Authenticate": header})

    def _detail(self) -> Detail:
        if not self.scope:
            return None
        return [entry for scope in self.scope.split() for entry in _entries(scope)]


def _entries(scope: str) -> list[dict[str, object]]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return [{"Type": kind, "Name": name, "Action": action} for action in actions.split(",")]
