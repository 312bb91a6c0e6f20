"""Bundles: dataclasses whose fields are declared as arguments and options are.

A function takes one as a parameter; typer is shown each field as a parameter of its own.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

type Parameters = Sequence[inspect.Parameter]


def bundled(function: Callable[..., None]) -> Callable[..., None]:
    """Give a function as typer is to see it."""
    own = [*inspect.signature(function).parameters.values()]

    def command(**given: Any) -> None:
        function(**gathered(own, given))

    return declared(command, spread(own), inspect.getdoc(function))


def spread(parameters: Parameters) -> Parameters:
    """Give parameters as typer is to see them: of a bundle each field."""
    each = [one for it in parameters for one in _fields(it)]
    return [it.replace(kind=inspect.Parameter.KEYWORD_ONLY) for it in each]


def gathered(parameters: Parameters, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was given for fields as the bundles that they belong to."""
    left = dict(given)
    for it in parameters:
        if is_dataclass(it.annotation):
            own = {field.name: left.pop(field.name) for field in fields(it.annotation)}
            left[it.name] = _made(it.annotation, own)
    return left


def declared(
    function: Callable[..., None], parameters: Parameters, told: str | None = None
) -> Callable[..., None]:
    """Have a function declare these parameters, in place of its own, and a docstring."""
    setattr(function, "__signature__", inspect.Signature(parameters))  # noqa: B010 - for typer
    function.__annotations__ = {it.name: it.annotation for it in parameters}
    function.__doc__ = told
    return function


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**values)


def _fields(parameter: inspect.Parameter) -> Parameters:
    kind = parameter.annotation
    if not is_dataclass(kind):
        return [parameter]
    return [
        parameter.replace(
            name=field.name,
            annotation=field.type,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(kind)
    ]
