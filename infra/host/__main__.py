"""python -m infra.host: run the registry, or a plane of it, until SIGTERM."""

import argparse
import asyncio
import logging
import resource
from dataclasses import replace
from pathlib import Path

from infra.devhost.command import command, end_whatever_hangs
from infra.host import connections
from infra.host.host import Place, running_host
from infra.host.settings import Surroundings
from shared.settings import PLANES
from shared.version import VERSION

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a container, the proxies' network
_OTHER_FILES = 100
_log = logging.getLogger("host")


def main() -> None:
    """Read the command line and run the host."""
    parser = argparse.ArgumentParser(prog="python -m infra.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="the app's folder (default: .)")
    parser.add_argument("--listen", default=_EVERYWHERE, help=f"default: {_EVERYWHERE}")
    parser.add_argument("--port", type=int, default=8080, help="default: 8080; 0 takes a free one")
    parser.add_argument("--health-port", type=int, help="where only probes are answered, if given")
    parser.add_argument("--plane", choices=PLANES, help="default: what REGISTRY_PLANE says, or all")
    options = parser.parse_args()
    with command("host"):
        surroundings = Surroundings.read()
        if options.plane:
            surroundings = replace(surroundings, plane=options.plane)
        _allow_connections()
        place = Place(options.app.resolve(), options.listen, options.port, options.health_port)
        asyncio.run(serve(place, surroundings))


async def serve(place: Place, surroundings: Surroundings) -> None:
    """Run the host until this task is cancelled, as asyncio does on SIGINT."""
    async with running_host(place, surroundings) as port:
        where = f"{place.address}:{port}"
        _log.info("registry %s: plane %s, listens on %s", VERSION, surroundings.plane, where)
        try:
            await asyncio.Event().wait()
        finally:
            seconds = surroundings.drain_seconds
            _log.info("Stopping: not ready any more; what runs has %d s at the most.", seconds)
            end_whatever_hangs(seconds)


def _allow_connections() -> None:
    """Let this process open as many files as it may: each connection is one.

    A request has one to storage, too, as a rule. Where no more may be opened, nobody gets in, who
    asks how we are included.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < (needed := 2 * (connections.MOST + connections.SPARE) + _OTHER_FILES):
        _log.warning(
            "Only %d files may be open here, and with as many connections as are taken it would be"
            " %d: before that nobody gets in any more. Allow more (ulimit -Hn, --ulimit nofile=).",
            most,
            needed,
        )


if __name__ == "__main__":
    main()
