"""Flux (fluxcd/notification-controller, internal/server: receiver_handlers.go,
receiver_resource_filter.go; google/go-github, github/messages.go).

A Receiver's path is made of SHA-256 of token, name and namespace; a query behind it makes it
another path, so 404. One that is suspended answers 503. `generic-hmac` wants `X-Signature:
sha256=HEX` (sha1, sha512) keyed with the token's text, or answers 400; `acr` wants a JSON body
alone. Then every event is answered with 200 and reconciles all resources that `resourceFilter` lets
through. The filter sees the body where the content type is `application/json`, or else an empty
`req`; where it fails, as for a field that a ping does not have, the answer is 500.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked

_TERM = re.compile(r"has\((?P<has>[\w.]+)\)|(?P<path>[\w.]+) == '(?P<value>[^']*)'")


class FilterFailed(Exception):
    """A filter asked for a field that is not there."""


@dataclass(frozen=True, slots=True)
class Flux:
    """One Receiver, of the type `generic-hmac` or `acr`."""

    kind: str
    name: str
    namespace: str
    token: str
    resources: Sequence[str]
    resource_filter: str = ""
    is_suspended: bool = False

    @property
    def path(self) -> str:
        """The path that Flux tells in the Receiver's status."""
        salted = f"{self.token}{self.name}{self.namespace}"
        return f"/hook/{hashlib.sha256(salted.encode()).hexdigest()}"

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.target != self.path:
            return Answer(404)
        if self.is_suspended:
            return Answer(503)
        if not self._is_valid(asked):
            return Answer(400)
        request = asked.json() if asked.content_type == "application/json" else {}
        try:
            is_let_through = not self.resource_filter or _holds(self.resource_filter, request or {})
        except FilterFailed:
            return Answer(500)
        return Answer(200, tuple(self.resources) if is_let_through else ())

    def _is_valid(self, asked: Asked) -> bool:
        if self.kind == "acr":
            return asked.json() is not None
        algorithm, _, given = asked.header("X-Signature").partition("=")
        if algorithm not in {"sha1", "sha256", "sha512"}:
            return False
        mac = hmac.new(self.token.encode(), asked.body, getattr(hashlib, algorithm))
        return hmac.compare_digest(mac.hexdigest(), given.lower())


def _holds(expression: str, request: Mapping[str, Any]) -> bool:
    """Evaluate what the examples use of CEL: `has(…)`, `… == '…'` and `&&`.

    As in CEL one term that is false decides, whatever fails in the others.
    """
    terms = [_term(term.strip(), {"req": request}) for term in expression.split("&&")]
    if False in terms:
        return False
    if None in terms:
        raise FilterFailed(expression)
    return True


def _term(text: str, known: Mapping[str, Any]) -> bool | None:
    """Give whether a term holds; None where it fails."""
    term = _TERM.fullmatch(text)
    assert term, f"the model of Flux does not know {text!r}"
    try:
        if term["has"]:
            parent, _, name = term["has"].rpartition(".")
            return name in _field(parent, known)
        return bool(_field(term["path"], known) == term["value"])
    except KeyError:
        return None


def _field(path: str, known: Mapping[str, Any]) -> Any:
    found: Any = known
    for name in path.split("."):
        found = found[name]
    return found
