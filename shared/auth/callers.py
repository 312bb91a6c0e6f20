"""Callers: who is asking, and what the registry lets them do at the most."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.auth.scopes import CATALOG, EVERYTHING, REGISTRY, REPOSITORY, Access, Action

ANONYMOUS = ""
"""The name of a caller who has not said who they are."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone by name, with the actions they may do on every repository.

    `stamp` changes with their credentials, and ends the tokens issued for older ones. `until` is
    the end of the refresh token that they came by; None where they came by a password.
    """

    name: str
    actions: frozenset[Action]
    stamp: str = ""
    until: datetime | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether the caller has not said who they are."""
        return self.name == ANONYMOUS

    def granted(self, asked: Iterable[Access]) -> list[Access]:
        """Give the part of what is asked that the caller may do; may be empty."""
        return [access for one in asked if (access := self._grant(one)) and access.actions]

    def everything(self) -> list[Access]:
        """Give all that the caller may do."""
        repositories = Access(REPOSITORY, "*", frozenset(self.actions))
        return [repositories, Access(REGISTRY, CATALOG, self._catalog())]

    def _grant(self, asked: Access) -> Access | None:
        if asked.type == REPOSITORY:
            own = frozenset[str](self.actions)
            return Access(*_named(asked), own if "*" in asked.actions else own & asked.actions)
        if asked.type == REGISTRY and asked.name == CATALOG:
            return Access(*_named(asked), self._catalog() & asked.actions)
        return None

    def _catalog(self) -> frozenset[str]:
        return frozenset("*") if Action.PULL in self.actions else frozenset()


def anonymous(access: str) -> Caller | None:
    """Give the caller without a name under a registry's setting: `none`, `pull` or `all`."""
    actions = {"pull": frozenset({Action.PULL, Action.METADATA_READ}), "all": EVERYTHING}
    return Caller(ANONYMOUS, actions[access]) if access in actions else None


def _named(access: Access) -> tuple[str, str]:
    return access.type, access.name
