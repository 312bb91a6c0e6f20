"""The host: everything an app's functions need, started together and stopped together."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from infra.devhost.accounts import Accounts
from infra.devhost.functions import KINDS, check, indexed, route, router
from infra.devhost.http.front import Front, program_at
from infra.devhost.http.server import STOP_SECONDS, Dispatcher, Server, bind
from infra.devhost.invocations import Invoker
from infra.devhost.memory import Memory
from infra.devhost.settings import (
    HostSettings,
    announce,
    apply_local_settings,
    body_limit,
    host_id,
    is_disabled,
)
from infra.devhost.together import Face, Listener, running
from infra.devhost.triggers import queues
from infra.devhost.triggers.blob_watcher import BlobWatcher
from infra.devhost.triggers.blobs import BlobEvents
from infra.devhost.triggers.timers import TimerListener
from infra.devhost.worker import Function, Worker

DEFAULT_PORT = 7071


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
        path = route(function, self.route_prefix).template
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
    settings.set_log_levels()
    local_port = apply_local_settings(app)
    with closing(bind(local_port or DEFAULT_PORT if port is None else port)) as listening:
        host_port = listening.getsockname()[1]
        announce(app, host_port)
        worker = Worker(settings.function_timeout)
        functions = await indexed(worker, app, only, has_server=program is not None)
        async with Accounts() as accounts:
            invoker = Invoker(worker, accounts, settings)
            enabled = [f for f in functions if not is_disabled(f.name)]
            events, listeners = await _listeners(app, enabled, settings, invoker, accounts)
            routes = router(enabled, settings.route_prefix)
            webhook = events.webhook if events else None
            face: Face
            if program:
                face = Front(program, routes, invoker, worker.address, listening)
            else:
                headers = settings.custom_headers
                app_served = Dispatcher(routes, invoker, webhook, headers, body_limit())
                face = Server(app_served, listening)
            try:
                async with running(face, listeners, STOP_SECONDS + 1):
                    yield Host(host_port, functions, settings.route_prefix)
            finally:
                await worker.stop()


async def _listeners(
    app: Path,
    functions: Sequence[Function],
    settings: HostSettings,
    invoker: Invoker,
    accounts: Accounts,
) -> tuple[BlobEvents | None, list[Listener]]:
    for function in functions:
        check(function)
        invoker.check(function)
    queued, blobs, timers = ([f for f in functions if f.kind == k] for k in KINDS[1:])
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
        await memory.prepare()
    return events, listeners


def _disabled(function: Function) -> str:
    return "[disabled] " if is_disabled(function.name) else ""
