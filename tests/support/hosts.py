"""The system under test: the registry's functions on the dev host, in a process of its own."""

import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import httpx

from infra.devhost.storage import Azurite
from tests.support.tools import environment
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
STOP_SECONDS = 20
PARTING_SECONDS = 25
LAYER_BYTES = 200 << 30


@dataclass(frozen=True, slots=True)
class Registry:
    """Where a registry listens, and who may log in."""

    login_server: str
    user: str
    password: str

    @property
    def url(self) -> str:
        """Give the address of the registry."""
        return f"http://{self.login_server}"


class HostError(Exception):
    """The host did not start."""


class Host:
    """The dev host on a port that stays its own, so that it can be killed and started again.

    With `front` it runs behind that program; where none is named, behind what `behind` says.
    """

    behind: ClassVar[Path | None] = None

    def __init__(
        self,
        settings: Mapping[str, str],
        log: Path,
        module: str = "infra.devhost",
        front: Path | None = None,
        *,
        root: Path = ROOT,
        arguments: Sequence[str] = (),
    ) -> None:
        self._module = module
        self.front = front or self.behind
        self._root = root
        self._arguments = arguments
        self.port = free_port()
        self._settings = dict(settings)
        self._log = log
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def login_server(self) -> str:
        """Give the host and port that clients write."""
        return f"localhost:{self.port}"

    def command(self) -> Sequence[str]:
        """Give what starts the host, without its options."""
        return sys.executable, "-m", self._module

    def start(self, ready: Callable[[], bool] | None = None) -> None:
        """Start it and wait until it answers, or until it is `ready`."""
        front = ["--front", str(self.front)] if self.front else []
        options = [*self._arguments, *front]
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [*self.command(), "--port", str(self.port), *options],
                cwd=self._root,
                env=environment(**self._settings),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (ready or self._answers)():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise HostError(f"the dev host did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.1)

    def listens(self) -> bool:
        """Tell whether it can be connected to; it has been asked nothing then."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/v2/").status_code < 500
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Ask it to end and wait for it."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.kill()

    @property
    def pid(self) -> int:
        """Give the id of the running process."""
        if self._process is None:
            raise HostError("the dev host does not run")
        return self._process.pid

    def log(self) -> str:
        """Read what it logged since it was last started."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def whole_log(self) -> str:
        """Read what it has ever logged."""
        return self._log.read_text(errors="replace")

    def invocations(self) -> set[str]:
        """Give the ids of the HTTP invocations that run."""
        begun = re.findall(r"Executing '.*\(Reason='This function.*, Id=(\S+)\)", self.log())
        ended = re.findall(r"Executed '.*, Id=(\S+), Duration", self.log())
        return set(begun) - set(ended)

    def resident_bytes(self) -> int:
        """Read how much memory the process holds now."""
        return self._memory("VmRSS")

    def peak_bytes(self) -> int:
        """Read how much memory the process ever held since the last reset."""
        return self._memory("VmHWM")

    def reset_peak(self) -> None:
        """Let the peak start again from what is held now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _memory(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        (kibibytes,) = re.findall(rf"{field}:\s+(\d+) kB", status)
        return int(kibibytes) * 1024

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_of(storage: Azurite, **more: str) -> dict[str, str]:
    """Give the settings of a registry on the emulator."""
    return {
        "AzureWebJobsStorage": storage.connection_string,
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LAYER_BYTES),
        "REGISTRY_NAME": "registry",
        "REGISTRY_ADMIN_PASSWORD": secrets.token_urlsafe(24),
        "REGISTRY_MASTER_KEY": secrets.token_urlsafe(48),
        **more,
    }


@contextmanager
def running(
    settings: Mapping[str, str],
    log: Path,
    front: Path | None = None,
    *,
    module: str = "infra.devhost",
    root: Path = ROOT,
    arguments: Sequence[str] = (),
) -> Iterator[tuple[Host, Registry]]:
    """Start a host, and say who may log in there; behind a front no invocation may be left."""
    with Host(settings, log, module, front, root=root, arguments=arguments) as host:
        user, password = settings["REGISTRY_NAME"], settings["REGISTRY_ADMIN_PASSWORD"]
        yield host, Registry(host.login_server, user, password)
        if host.front:
            until(lambda: not host.invocations(), PARTING_SECONDS)
