"""Which function a request is for: the part of ASP.NET Core's routing that HTTP triggers use."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from infra.devhost.http.constraints import Constraint, RouteError, constraint

_NAME = re.compile(r"[^/{}?*:=]+")
_SLASH = re.compile("(%2f)", re.IGNORECASE)


class _Token(NamedTuple):
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    is_catch_all: bool
    is_optional: bool
    default: str | None
    constraints: tuple[Constraint, ...]

    def accepts(self, value: str | None) -> bool:
        if value is not None:
            return all(constraint(value) for constraint in self.constraints)
        if self.is_catch_all:  # a constraint never accepts a missing value
            return not self.constraints
        return self.is_optional


class Route:
    """A template: literals, {p}, {p?}, {p=default}, {*p}, each with constraints."""

    def __init__(self, template: str, prefix: str = "") -> None:
        parts = (prefix.strip("/"), template.strip("/"))
        self.template = "/".join(part for part in parts if part)
        self._segments = [_segment(text) for text in _split(self.template)]
        parameters = [s for s in self._segments if isinstance(s, _Parameter)]
        if any(p.is_catch_all for p in parameters if p is not self._segments[-1]):
            raise RouteError("a catch-all must be the last segment")
        if len({p.name.lower() for p in parameters}) < len(parameters):
            raise RouteError("two parameters bear the same name")

    def match(self, path: str) -> dict[str, str] | None:
        """Give the parameters if the decoded path fits, else None."""
        return self._match(path, _tokens(path))

    def _match(self, path: str, tokens: Sequence[_Token]) -> dict[str, str] | None:
        values: dict[str, str] = {}
        for index, segment in enumerate(self._segments):
            token = tokens[index] if index < len(tokens) else None
            if token and not token.text:  # "//" fits no segment
                return None
            if isinstance(segment, _Literal):
                if not token or token.text.lower() != segment.text:
                    return None
            elif not _take(segment, path, token, values):
                return None
        return values if len(tokens) <= len(self._segments) or self._takes_all else None

    @property
    def _takes_all(self) -> bool:
        last = self._segments[-1] if self._segments else None
        return isinstance(last, _Parameter) and last.is_catch_all


class Entry[F](NamedTuple):
    """A route, the methods it takes (none named: all), and what answers."""

    route: Route
    methods: frozenset[str]
    target: F


class Router[F]:
    """Entries in order; the first that fits wins, however literal a later one is."""

    def __init__(self, entries: Sequence[Entry[F]]) -> None:
        self.entries = entries
        seen: dict[str, list[Entry[F]]] = {}
        for entry in entries:
            same = seen.setdefault(entry.route.template.lower(), [])
            for other in same:
                if not (
                    entry.methods and other.methods and entry.methods.isdisjoint(other.methods)
                ):
                    raise RouteError(f"two functions have the route {entry.route.template!r}")
            same.append(entry)

    def find(self, method: str, path: str) -> tuple[F, dict[str, str]] | None:
        """Give the target and the parameters of a request, or None."""
        method, tokens = method.upper(), _tokens(path)
        for entry in self.entries:
            if not entry.methods or method in entry.methods:
                values = entry.route._match(path, tokens)  # noqa: SLF001 - our own, tokens once
                if values is not None:
                    return entry.target, values
        return None


def is_malformed(raw: bytes) -> bool:
    """Tell whether Kestrel answers a path with 400, before any route."""
    return b"%00" in raw


def decode_path(raw: bytes) -> str:
    """Decode a path as Kestrel does: all but %2F, then without dot segments."""
    parts = _SLASH.split(raw.decode("latin-1"))
    path = "".join(part if _SLASH.fullmatch(part) else unquote(part) for part in parts)
    return _without_dots(path) if "/." in path else path


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _tokens(path: str) -> list[_Token]:
    tokens, offset = [], 1
    for text in path[1:].split("/"):
        tokens.append(_Token(text, offset))
        offset += len(text) + 1
    if not tokens[-1].text:  # a slash at the end makes no segment
        tokens.pop()
    return tokens


def _take(parameter: _Parameter, path: str, token: _Token | None, values: dict[str, str]) -> bool:
    value = parameter.default
    if token:
        value = path[token.offset :] if parameter.is_catch_all else token.text
    if value is not None:
        values[parameter.name] = value
    return parameter.accepts(value)


def _split(template: str) -> list[str]:
    """Cut at the slashes outside of braces; inside, a brace is written twice."""
    segments, current, inside, i = [], "", False, 0
    while i < len(template):
        char = template[i]
        if inside and char in "{}" and template[i + 1 : i + 2] == char:
            current += char * 2
            i += 2
            continue
        if char in "{}":
            inside = _toggled(char, inside=inside)
        if char == "/" and not inside:
            segments.append(current)
            current = ""
        else:
            current += char
        i += 1
    if inside:
        raise RouteError("a parameter lacks its closing brace")
    segments.append(current)
    if "" in segments and segments != [""]:
        raise RouteError("the template has an empty segment")
    return [segment for segment in segments if segment]


def _toggled(brace: str, *, inside: bool) -> bool:
    if brace == "{" and inside:
        raise RouteError("inside a constraint braces are doubled: {{ and }}")
    if brace == "}" and not inside:
        raise RouteError("a closing brace has no opening one")
    return not inside


def _segment(text: str) -> _Literal | _Parameter:
    if not (text.startswith("{") and text.endswith("}") and "{" not in text[1:].replace("{{", "")):
        if any(char in text for char in "{}?"):
            raise RouteError(f"a segment is a literal or one parameter, and not {text!r}")
        return _Literal(text.lower())
    body = text[1:-1].replace("{{", "{").replace("}}", "}")
    is_catch_all, is_optional = body.startswith("*"), body.endswith("?")
    if is_catch_all and is_optional:
        raise RouteError("a catch-all cannot be optional")
    body = body.lstrip("*") if is_catch_all else body.removesuffix("?")
    name = _NAME.match(body)
    if not name:
        raise RouteError(f"{text!r} has no parameter name")
    texts, rest = _constraint_texts(body[name.end() :])
    default = rest[1:] if rest.startswith("=") else None
    return _Parameter(
        name[0], is_catch_all, is_optional, default, tuple(constraint(t) for t in texts)
    )


def _constraint_texts(rest: str) -> tuple[list[str], str]:
    """Cut where ASP.NET does: at the first ")" before ":", "=" or the end, however nested."""
    texts = []
    while rest.startswith(":"):
        end = re.match(r":(?:[^(:=]*\(.*?\)(?=[:=]|\Z)|[^(:=]*)", rest, re.DOTALL)
        length = end.end() if end else len(rest)
        texts.append(rest[1:length])
        rest = rest[length:]
    if rest and not rest.startswith("="):
        raise RouteError(f"a constraint ends badly: {rest!r}")
    return texts, rest
