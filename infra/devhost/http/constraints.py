"""What a parameter of a route may be: ASP.NET Core's constraints, all but `datetime`."""

import re
from collections.abc import Callable
from decimal import Decimal

_CONSTRAINT = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_SPACE = "[\t-\r ]*"  # .NET's parsers pass it over at both ends

type Constraint = Callable[[str], bool]


class RouteError(ValueError):
    """The host would refuse this template."""


def constraint(text: str) -> Constraint:
    """Read one constraint, such as `int` or `length(2,5)`; raises RouteError."""
    found = _CONSTRAINT.fullmatch(text)
    if not found:
        raise RouteError(f"{text!r} is not a constraint")
    kind, argument = found[1].lower(), found[2]
    try:
        if kind in _PLAIN and argument is None:
            return _PLAIN[kind]
        if kind in _WITH_ARGUMENT and argument is not None:
            return _WITH_ARGUMENT[kind](argument)
    except (re.error, TypeError, ValueError) as error:
        raise RouteError(f"{text!r}: {error}") from error
    raise RouteError(f"this host does not know the constraint {text!r}")


def _pattern(text: str) -> Constraint:
    whole = re.compile(text, re.IGNORECASE | re.ASCII)
    return lambda value: whole.fullmatch(value) is not None


def _whole(bits: int) -> Constraint:
    is_number = _pattern(rf"{_SPACE}[+-]?[0-9]+{_SPACE}")
    most = 1 << bits - 1
    return lambda value: is_number(value) and -most <= Decimal(value.strip()) < most


def _decimal() -> Constraint:
    number = r"(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)"
    is_number = _pattern(rf"{_SPACE}(?:[+-]?{number}|{number}[+-]){_SPACE}")
    most = Decimal(2**96)
    return lambda value: (
        is_number(value) and -most < Decimal(value.replace(",", "").strip("+- \t\n\v\f\r")) < most
    )


def _guid() -> Constraint:
    parts = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    shapes = ("[0-9a-f]{32}", parts, rf"\{{{parts}\}}", rf"\({parts}\)")
    return _pattern(f"{_SPACE}(?:{'|'.join(shapes)}){_SPACE}")


def _regex(argument: str) -> Constraint:
    anywhere = re.compile(argument, re.IGNORECASE)  # not anchored unless the pattern is
    return lambda value: anywhere.search(value) is not None


def _length(argument: str) -> Constraint:
    least, _, most = argument.partition(",")
    first, last = _size(least), _size(most or least)
    if first > last:
        raise ValueError(f"{first} is more than {last}")
    return lambda value: first <= len(value) <= last


def _shortest(argument: str) -> Constraint:
    size = _size(argument)
    return lambda value: len(value) >= size


def _longest(argument: str) -> Constraint:
    size = _size(argument)
    return lambda value: len(value) <= size


def _size(text: str) -> int:
    size = int(text)
    if size < 0:
        raise ValueError("a length cannot be negative")
    return size


def _least(argument: str) -> Constraint:
    least = int(argument)
    return lambda value: _LONG(value) and int(value) >= least


def _most(argument: str) -> Constraint:
    most = int(argument)
    return lambda value: _LONG(value) and int(value) <= most


def _range(argument: str) -> Constraint:
    least, most = map(int, argument.split(","))
    if least > most:
        raise ValueError(f"{least} is more than {most}")
    return lambda value: _LONG(value) and least <= int(value) <= most


_LONG = _whole(64)
_PLAIN: dict[str, Constraint] = {
    "alpha": _pattern(r"[a-z]*\n?"),  # ASP.NET's ends with "$", which lets a last newline pass
    "bool": _pattern(rf"{_SPACE}(?:true|false){_SPACE}"),
    "decimal": _decimal(),
    "guid": _guid(),
    "int": _whole(32),
    "long": _LONG,
    "required": bool,
}
_WITH_ARGUMENT: dict[str, Callable[[str], Constraint]] = {
    "length": _length,
    "max": _most,
    "maxlength": _longest,
    "min": _least,
    "minlength": _shortest,
    "range": _range,
    "regex": _regex,
}
