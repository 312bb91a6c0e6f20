"""A host as a command in the foreground: its log, its signals, its exit code."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path

from infra.devhost.host import Host, running_host
from infra.devhost.http.server import STOP_SECONDS
from infra.devhost.settings import StartError

_LAST_SECONDS = STOP_SECONDS + 6


@contextlib.contextmanager
def command(name: str) -> Iterator[None]:
    """End with 0 on SIGINT and SIGTERM, and with one line and 1 if the host does not start."""
    _log_to_stdout()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt:
        return
    except StartError as error:
        sys.exit(f"{name}: {error}")


async def _forever() -> None:
    await asyncio.Event().wait()


async def serve(
    app: Path,
    port: int | None = None,
    only: Collection[str] = (),
    banner: Callable[[Host], str] = lambda _: "",
    front: Path | None = None,
    until: Callable[[], Awaitable[object]] = _forever,
) -> None:
    """Run the host until `until` ends, or this task is cancelled, as asyncio does on SIGINT."""
    async with running_host(app, port, only, front) as host:
        print(host.listing(), banner(host), sep="\n", flush=True)
        try:
            await until()
        finally:
            print("Stopping ...", flush=True)
            end_whatever_hangs(_LAST_SECONDS)


def _log_to_stdout() -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="[%(asctime)s.%(msecs)03dZ] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    for name in ("azure", "uvicorn"):  # of each request they tell much
        logging.getLogger(name).setLevel(logging.WARNING)


def end_whatever_hangs(seconds: float) -> None:
    """End the process after so many seconds, whatever still runs.

    Python waits for its threads without limit, and a function that is no coroutine runs in one.
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()
