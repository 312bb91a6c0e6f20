"""The functions of an app: indexed by the worker, held to what a host can run, and routed."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from infra.devhost.http.constraints import RouteError
from infra.devhost.http.router import Entry, Route, Router
from infra.devhost.settings import StartError
from infra.devhost.worker import Function, InvocationFailed, Worker

KINDS = ("httpTrigger", "queueTrigger", "blobTrigger", "timerTrigger")

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_RESERVED = re.compile("admin|runtime", re.IGNORECASE)


async def indexed(
    worker: Worker, app: Path, only: Collection[str] = (), *, has_server: bool = False
) -> list[Function]:
    """Index the app in a folder; give its functions, or those of these names alone."""
    if not (app / "function_app.py").exists():
        raise StartError(f"there is no function_app.py in {app}")
    try:
        functions = await worker.start(app, has_server=has_server)
    except InvocationFailed as error:
        raise StartError(_in_one_line(app, error)) from error
    if not functions:
        raise StartError("the app has no functions")
    if not worker.streams and any(f.kind == "httpTrigger" for f in functions):
        raise StartError("HTTP functions take the types of azurefunctions-extensions-http-fastapi")
    names = {function.name.lower() for function in functions}
    for name in only:
        if name.lower() not in names:
            raise StartError(f"the app has no function {name}")
    wanted = {name.lower() for name in only} or names
    return [function for function in functions if function.name.lower() in wanted]


def check(function: Function) -> None:
    """Refuse a function that no host of ours can run."""
    if not _NAME.fullmatch(function.name) or function.name.lower() == "host":
        raise StartError(f"{function.name!r} cannot be a function's name")
    if function.kind not in KINDS:
        raise StartError(f"{function.name}: this host has no {function.kind}")


def router(functions: Sequence[Function], prefix: str) -> Router[Function]:
    """Give the router of the functions that answer HTTP."""
    routed = [function for function in functions if function.kind == "httpTrigger"]
    try:
        return Router([Entry(route(f, prefix), _methods(f), f) for f in routed])
    except RouteError as error:
        raise StartError(str(error)) from error


def route(function: Function, prefix: str) -> Route:
    """Give the route of a function that answers HTTP."""
    template = function.trigger.get("route", function.name)
    try:
        found = Route(template, prefix)
    except RouteError as error:
        raise StartError(f"{function.name}: the route {template!r}: {error}") from error
    if _RESERVED.match(found.template):
        raise StartError(f"{function.name}: the route {template!r} is the host's own")
    return found


def _methods(function: Function) -> frozenset[str]:
    return frozenset(method.upper() for method in function.trigger.get("methods") or ())


def _in_one_line(app: Path, error: InvocationFailed) -> str:
    message = str(error).partition(". Cannot find module.")[0].splitlines()[0]
    places = re.findall(rf'File "{re.escape(str(app))}/(.+?)", line (\d+)', error.stack)
    place = f" ({places[-1][0]}, line {places[-1][1]})" if places else ""
    return f"the app cannot be loaded: {message}{place}"
