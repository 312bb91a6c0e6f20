"""The host: the functions of a plane, each kind with what listens for it."""

import logging
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.devhost.accounts import Accounts
from infra.devhost.functions import check, indexed, router
from infra.devhost.http.server import Dispatcher, bind
from infra.devhost.invocations import Invoker
from infra.devhost.memory import Memory
from infra.devhost.settings import ENVIRONMENT, HostSettings, StartError, is_disabled
from infra.devhost.stopping import Stopping
from infra.devhost.together import Listener, running
from infra.devhost.triggers import queues
from infra.devhost.triggers.timers import TimerListener
from infra.devhost.worker import Function, Worker
from infra.host import connections
from infra.host.entrance import Entrance
from infra.host.health import Health, Look, look_at
from infra.host.house import House
from infra.host.proxies import Proxies
from infra.host.server import Server
from infra.host.settings import PLANE, Surroundings
from shared.bootstrap import master_keys_of, opened_ports
from shared.settings import Settings, SettingsInvalid
from shared.start import read_settings
from shared.storage.ports import Ports
from shared.storage.rows.registries import RegistryRecords

_KINDS = {
    "http": {"httpTrigger"},
    "events": {"queueTrigger", "timerTrigger"},
    "all": {"httpTrigger", "queueTrigger", "timerTrigger"},
}
"""What is served of a plane: not blob triggers, since new objects are told of by a queue."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """The app's folder, and where to listen; port 0 takes a free one.

    On the port for probes, if there is one, nothing else is answered.
    """

    app: Path
    address: str
    port: int
    health_port: int | None = None


@asynccontextmanager
async def running_host(place: Place, surroundings: Surroundings) -> AsyncIterator[int]:
    """Run an app (one per process: the worker's state is global); give the port."""
    settings = HostSettings.read(place.app)
    settings.set_log_levels()
    ENVIRONMENT[PLANE] = surroundings.plane  # where an option chose it, the app is to know
    registry = _settings()  # before the app reads them, which could not say it as plainly
    with _doors(place) as doors:
        worker = Worker(settings.function_timeout)
        functions = _served(await indexed(worker, place.app), surroundings.plane)
        async with Accounts() as accounts, opened_ports(registry.storage) as ports:
            invoker = Invoker(worker, accounts, settings)
            listeners = await _listeners(functions, settings, invoker, accounts)
            routes = router(functions, settings.route_prefix)
            app = Dispatcher(routes, invoker, None, settings.custom_headers, sys.maxsize)
            leaving, opened = Stopping(), Ports(*ports)
            health = Health(_look(registry, opened), leaving)
            proxies = Proxies(surroundings.proxies)
            port, *probed = (each.getsockname()[1] for each in doors)
            entrance = Entrance(app, health, proxies, leaving, probed)
            face = Server(entrance, doors, surroundings, leaving)
            async with running(face, listeners, surroundings.running_seconds):
                yield port


@contextmanager
def _doors(place: Place) -> Iterator[dict[socket.socket, House]]:
    """Open the port for clients, and the one for probes; each has a house of its own."""
    with ExitStack() as stack:

        def opened(port: int) -> socket.socket:
            return stack.enter_context(closing(bind(port, place.address)))

        doors = {opened(place.port): House(connections.MOST, connections.SPARE)}
        if place.health_port is not None:
            doors[opened(place.health_port)] = House(connections.PROBERS)
        yield doors


def _look(settings: Settings, ports: Ports) -> Look:
    records = RegistryRecords(ports.rows, ports.beside, master_keys_of(settings, ports))
    return lambda: look_at(ports, records, settings.registry_name)


def _settings() -> Settings:
    try:
        return read_settings()
    except SettingsInvalid as error:
        raise StartError(str(error)) from error


def _served(functions: Sequence[Function], plane: str) -> list[Function]:
    """Give the functions to run; each is looked at, and what is left out is told."""
    for function in functions:
        check(function)
        if function.kind == "blobTrigger" and plane != "http":
            _log.info("%s is not run here: this host has no blob triggers.", function.name)
    return [f for f in functions if f.kind in _KINDS[plane] and not is_disabled(f.name)]


async def _listeners(
    functions: Sequence[Function], settings: HostSettings, invoker: Invoker, accounts: Accounts
) -> list[Listener]:
    for function in functions:
        invoker.check(function)
    queued, timers = (
        [f for f in functions if f.kind == kind] for kind in ("queueTrigger", "timerTrigger")
    )
    listeners: list[Listener] = [
        queues.listener(f, invoker, accounts, settings.queues) for f in queued
    ]
    if timers:
        memory = Memory(accounts, _host_id())
        await memory.prepare()
        listeners += [TimerListener(f, invoker, memory) for f in timers]
    return listeners


def _host_id() -> str:
    """Give the name under which all replicas share leases and what timers remember."""
    return ENVIRONMENT.get("AzureFunctionsWebHost__hostid", "registry-host")
