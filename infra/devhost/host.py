"""The host: everything an app's functions need, started together and stopped together."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from azure.core.exceptions import AzureError

from infra.devhost.accounts import Accounts
from infra.devhost.http.constraints import RouteError
from infra.devhost.http.front import Front, program_at
from infra.devhost.http.router import Entry, Route, Router
from infra.devhost.http.server import STOP_SECONDS, Dispatcher, Server, bind
from infra.devhost.invocations import Invoker
from infra.devhost.memory import Memory
from infra.devhost.settings import (
    STORAGE,
    HostSettings,
    StartError,
    announce,
    apply_local_settings,
    body_limit,
    host_id,
    is_disabled,
)
from infra.devhost.stopping import Stopping
from infra.devhost.triggers import queues
from infra.devhost.triggers.blob_watcher import BlobWatcher
from infra.devhost.triggers.blobs import BlobEvents
from infra.devhost.triggers.timers import TimerListener
from infra.devhost.worker import Function, InvocationFailed, Worker

DEFAULT_PORT = 7071

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_RESERVED = re.compile("admin|runtime", re.IGNORECASE)
_KINDS = ("httpTrigger", "queueTrigger", "blobTrigger", "timerTrigger")
_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Waits for what triggers a function."""

    async def run(self, stopping: Stopping) -> None:
        """Listen until the host is to end."""


class Face(Listener, Protocol):
    """A listener that takes HTTP requests in."""

    is_ready: asyncio.Event


@dataclass(frozen=True, slots=True)
class Host:
    """A running host."""

    port: int
    functions: Sequence[Function]
    route_prefix: str

    def listing(self) -> str:
        """Give the list that `func start` prints."""
        routed = [f for f in self.functions if f.kind == "httpTrigger"]
        others = [f for f in self.functions if f.kind != "httpTrigger"]
        lines = [self._http_line(f) for f in routed]
        lines += [f"{f.name}: {_disabled(f)}{f.kind}" for f in others]
        return "\n".join(["\nFunctions:\n", *(f"\t{line}\n" for line in lines)])

    def _http_line(self, function: Function) -> str:
        methods = ",".join(function.trigger.get("methods") or ())
        path = _route(function, self.route_prefix).template
        start = f"{function.name}: {_disabled(function)}{f'[{methods}] ' if methods else ''}"
        return f"{start}http://localhost:{self.port}/{path}"


@asynccontextmanager
async def running_host(
    app: Path, port: int | None = None, only: Collection[str] = (), front: Path | None = None
) -> AsyncIterator[Host]:
    """Run an app (one per process: the worker's state is global); port 0 takes a free one.

    With the program `front` that one takes the requests in, and the worker's own web server
    answers them.
    """
    program = program_at(front) if front else None
    settings = HostSettings.read(app)
    _set_log_levels(settings)
    local_port = apply_local_settings(app)
    with closing(bind(local_port or DEFAULT_PORT if port is None else port)) as listening:
        host_port = listening.getsockname()[1]
        announce(app, host_port)
        worker = Worker(settings.function_timeout)
        functions = await _index(worker, app, only, has_server=program is not None)
        async with Accounts() as accounts:
            invoker = Invoker(worker, accounts, settings)
            enabled = [f for f in functions if not is_disabled(f.name)]
            events, listeners = await _listeners(app, enabled, settings, invoker, accounts)
            router = _router(enabled, settings.route_prefix)
            webhook = events.webhook if events else None
            face: Face
            if program:
                face = Front(program, router, invoker, worker.address, listening)
            else:
                headers = settings.custom_headers
                app_served = Dispatcher(router, invoker, webhook, headers, body_limit())
                face = Server(app_served, listening)
            try:
                async with _running(face, listeners):
                    yield Host(host_port, functions, settings.route_prefix)
            finally:
                await worker.stop()


@asynccontextmanager
async def _running(face: Face, listeners: Sequence[Listener]) -> AsyncIterator[None]:
    stopping = Stopping()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(each.run(stopping)) for each in (*listeners, face)}
            try:
                await face.is_ready.wait()
                yield
            finally:
                stopping.set()
                _, unfinished = await asyncio.wait(tasks, timeout=STOP_SECONDS + 1)
                for task in unfinished:
                    _log.warning("A function did not end within %s s and is cut off.", STOP_SECONDS)
                    task.cancel()
    except BaseExceptionGroup as group:
        raise _told(group) from None


def _told(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give what is to be told of several failures: why the host cannot go on, if that is known."""
    for error in group.exceptions:
        told = _told(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(told, StartError):
            return told
    return group


async def _index(
    worker: Worker, app: Path, only: Collection[str], *, has_server: bool
) -> list[Function]:
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


def _in_one_line(app: Path, error: InvocationFailed) -> str:
    message = str(error).partition(". Cannot find module.")[0].splitlines()[0]
    places = re.findall(rf'File "{re.escape(str(app))}/(.+?)", line (\d+)', error.stack)
    place = f" ({places[-1][0]}, line {places[-1][1]})" if places else ""
    return f"the app cannot be loaded: {message}{place}"


async def _listeners(
    app: Path,
    functions: Sequence[Function],
    settings: HostSettings,
    invoker: Invoker,
    accounts: Accounts,
) -> tuple[BlobEvents | None, list[Listener]]:
    for function in functions:
        _check(function)
        invoker.check(function)
    queued, blobs, timers = ([f for f in functions if f.kind == k] for k in _KINDS[1:])
    listeners: list[Listener] = [
        queues.listener(f, invoker, accounts, settings.queues) for f in queued
    ]
    events = BlobEvents(blobs, invoker, accounts, host_id(app)) if blobs else None
    if blobs or timers:
        memory = Memory(accounts, host_id(app))
        listeners += [TimerListener(f, invoker, memory) for f in timers]
        if events:
            listeners.append(events.listener(settings))
            listeners += [BlobWatcher(f, events, accounts, memory) for f in blobs]
        await _prepare(memory)
    return events, listeners


async def _prepare(memory: Memory) -> None:
    try:
        await memory.prepare()
    except AzureError as error:
        message = str(error).splitlines()[0]
        raise StartError(f"the storage in {STORAGE} does not answer: {message}") from error


def _check(function: Function) -> None:
    if not _NAME.fullmatch(function.name) or function.name.lower() == "host":
        raise StartError(f"{function.name!r} cannot be a function's name")
    if function.kind not in _KINDS:
        raise StartError(f"{function.name}: this host has no {function.kind}")


def _router(functions: Sequence[Function], prefix: str) -> Router[Function]:
    routed = [function for function in functions if function.kind == "httpTrigger"]
    try:
        return Router([Entry(_route(f, prefix), _methods(f), f) for f in routed])
    except RouteError as error:
        raise StartError(str(error)) from error


def _route(function: Function, prefix: str) -> Route:
    template = function.trigger.get("route", function.name)
    try:
        route = Route(template, prefix)
    except RouteError as error:
        raise StartError(f"{function.name}: the route {template!r}: {error}") from error
    if _RESERVED.match(route.template):
        raise StartError(f"{function.name}: the route {template!r} is the host's own")
    return route


def _methods(function: Function) -> frozenset[str]:
    return frozenset(method.upper() for method in function.trigger.get("methods") or ())


def _disabled(function: Function) -> str:
    return "[disabled] " if is_disabled(function.name) else ""


def _set_log_levels(settings: HostSettings) -> None:
    for category, level in settings.log_levels.items():
        logging.getLogger(None if category.lower() == "default" else category).setLevel(level)
