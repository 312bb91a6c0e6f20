"""Scopes: what a caller asks for and what a token holds (ACR 2.2)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

REPOSITORY = "repository"
REGISTRY = "registry"
CATALOG = "catalog"

SCOPES = 100
"""How many scopes one request may ask for."""

_SCOPE = re.compile(r"([a-z0-9_-]+(?:\([a-z0-9_-]+\))?):(.*):([a-z0-9_*,-]*)", re.IGNORECASE)


class Action(StrEnum):
    """What may be done to a repository."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    METADATA_READ = "metadata_read"
    METADATA_WRITE = "metadata_write"


EVERYTHING = frozenset(Action)

_ASKED_WITH = {Action.PUSH: "pull,push"}


@dataclass(frozen=True, slots=True)
class Access:
    """Actions on one thing: `repository` `team/app` `{pull, push}`."""

    type: str
    name: str
    actions: frozenset[str]

    def as_claim(self) -> dict[str, object]:
        """Give the form that tokens carry (lower-case keys, rule 13)."""
        return {"type": self.type, "name": self.name, "actions": sorted(self.actions)}


def parse_scopes(texts: Iterable[str]) -> list[Access]:
    """Read `scope` parameters, each with one scope or several between blanks.

    What is not a scope is passed over: an unknown type is granted nothing (rule 14).
    """
    words = [word for text in texts for word in text.split()][:SCOPES]
    shapes = (_SCOPE.fullmatch(word) for word in words)
    return [
        Access(shape[1], shape[2], frozenset(filter(None, shape[3].split(","))))
        for shape in shapes
        if shape
    ]


def repository_scope(name: str, action: Action) -> str:
    """Give the scope that a challenge asks for; pushing is always asked for with pulling."""
    return f"{REPOSITORY}:{name}:{_ASKED_WITH.get(action, action)}"


def permits(granted: Sequence[Access], name: str, action: Action) -> bool:
    """Tell whether access to a repository is among what was granted; `*` names all of them."""
    return any(
        access.type == REPOSITORY and access.name in {name, "*"} and action in access.actions
        for access in granted
    )


def permits_catalog(granted: Sequence[Access]) -> bool:
    """Tell whether the catalog may be read."""
    return any(
        access.type == REGISTRY and access.name == CATALOG and "*" in access.actions
        for access in granted
    )
