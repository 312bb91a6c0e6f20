"""Webhooks: who is told of what happens in a registry, where, and in which form.

What is secret of a webhook, where it posts to and by which headers and keys, is its `Callback`: it
is sealed in the webhook's row, and opened for each attempt alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from shared.errors import RegistryError
from shared.model.names import parse_repository, parse_tag

_NAME = re.compile(r"[a-zA-Z0-9]{5,50}", re.ASCII)

USUAL_SECONDS = 10
MOST_SECONDS = 60
"""How long a receiver may take to answer."""


class WebhookInvalid(ValueError):
    """A webhook cannot be as it was asked for; says what is wrong, and what it may be."""


class Action(StrEnum):
    """What a webhook can be told of (ACR 4.1); charts of old are accepted, and never happen."""

    PUSH = "push"
    DELETE = "delete"
    QUARANTINE = "quarantine"
    CHART_PUSH = "chart_push"
    CHART_DELETE = "chart_delete"


PING = "ping"
"""The action of what is sent on request alone."""


class Form(StrEnum):
    """The two forms in which a webhook is told."""

    ACR = "acr"
    CLOUDEVENTS = "cloudevents"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a webhook hears of: all, a repository (`tag` is `*`), or one tag of it."""

    repository: str = ""
    tag: str = "*"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `REPO:*`, `REPO:TAG`, `REPO` (= `REPO:latest`), or nothing for all (ACR 4.1).

        Raises WebhookInvalid for what could never match.
        """
        if not text:
            return cls()
        repository, colon, tag = text.partition(":")
        try:
            parse_repository(repository)
            if tag != "*" and colon:
                parse_tag(tag)
        except RegistryError as error:
            raise WebhookInvalid(
                f"scope {text!r} could never match: REPO:*, REPO:TAG, REPO (its tag latest) or"
                f" nothing, without any other *: {error}"
            ) from None
        return cls(repository, tag if colon else "latest")

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.repository}:{self.tag}" if self.repository else ""

    def covers(self, repository: str, tag: str) -> bool:
        """Tell whether it hears of a repository's tag; what has no tag is heard by `*` alone."""
        if not self.repository:
            return True
        return repository == self.repository and self.tag in {"*", tag}


@dataclass(frozen=True, slots=True)
class Hmac:
    """A signature of the body alone: hexadecimal, in a header, with `sha256=` before it or bare."""

    header: str
    algorithm: str
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it was typed; one that is replaced signs as well `until` then."""

    text: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """What is secret of a webhook; `secrets` are the newest first, there may be none."""

    uri: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Sequence[Secret] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """How a webhook's receiver does.

    `failures` in a row, `failing` since the first of them; `held` since when nothing is sent but
    probes, and `why`; `disabled` is why it is disabled, where that was not by an operator (410).
    `probe` is the ticket of the message that probes it, which is `due` then. `begun` is how often
    an operator has begun anew with it: what an attempt of before was answered does not disable it.
    """

    failures: int = 0
    held: datetime | None = None
    why: str = ""
    disabled: str = ""
    probe: str = ""
    due: datetime | None = None
    begun: int = field(default=0, compare=False)
    failing: datetime | None = None

    def forgotten(self) -> Self:
        """Give it without what the receiver failed at, as of one that answers."""
        return replace(self, failures=0, failing=None, held=None, why="", due=None)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook but for its secrets, which are `sealed`.

    `id` is another one each time that a webhook of this name is made, so one that is made again
    inherits nothing. `ca` are certificates (PEM) that its receiver's must come from, or empty.
    """

    name: str
    id: str
    created: datetime
    sealed: bytes = b""
    is_enabled: bool = True
    scope: Scope = Scope()
    actions: frozenset[Action] = frozenset({Action.PUSH})
    form: Form = Form.ACR
    hmacs: Sequence[Hmac] = ()
    is_tagged_only: bool = False
    retries_4xx: bool = False
    seconds: int = USUAL_SECONDS
    ca: str = ""
    health: Health = Health()
    etag: str = field(default="", compare=False)


def parse_name(text: str) -> str:
    """Read a webhook's name; raises WebhookInvalid."""
    if not _NAME.fullmatch(text):
        raise WebhookInvalid(f"{text[:60]!r} is not a webhook's name: 5 to 50 letters and digits")
    return text
