"""The docker engine and containerd, started by the tests with all they own in one folder."""

import json
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import override

from tests.support.tools import environment

START_SECONDS = 30
STOP_SECONDS = 20


NAMESPACES = (("--mount",), ("--user", "--map-root-user", "--mount"))


class EngineError(Exception):
    """An engine did not start."""


class MountRefusedError(EngineError):
    """The machine lets no engine unpack a layer."""


def apart() -> list[str]:
    """Give an engine mounts of its own; where root may not mount, as root of a user namespace."""
    for options in NAMESPACES:
        command = ["unshare", *options]
        done = subprocess.run(
            [*command, "true"], check=False, capture_output=True, env=environment()
        )
        if done.returncode == 0:
            return command
    raise MountRefusedError("this machine lets no engine mount, so none can unpack a layer")


class Daemon(ABC):
    """A program that listens on a socket in a folder of its own, which goes with it."""

    def __init__(self, name: str) -> None:
        # Not pytest's folder: the path of a socket ends at 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
        self.socket = self.folder / "socket"
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Say how it is started."""

    @abstractmethod
    def probe(self) -> list[str]:
        """Say what succeeds once it is up."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        try:
            self._process = self._launch([*apart(), *self.command()])
            self._await(self._process)
        except BaseException:
            self.stop()
            raise

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        variables = environment(HOME=str(self.folder))
        with self._log.open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=variables)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                last = self._log.read_text().strip().rpartition("\n")[2]
                raise EngineError(f"{self.folder.name} did not start: {last}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        done = subprocess.run(self.probe(), check=False, capture_output=True, env=environment())
        return done.returncode == 0

    def stop(self) -> None:
        """Stop it, so that it unmounts what it mounted, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class DockerEngine(Daemon):
    """The docker engine, without networks; the containerd it needs is its own child."""

    def __init__(self) -> None:
        super().__init__("docker")

    @property
    def address(self) -> str:
        """Give the value of DOCKER_HOST."""
        return f"unix://{self.socket}"

    @override
    def command(self) -> list[str]:
        """Name everything, so that nothing of a docker on this machine is read or touched."""
        settings = self.folder / "daemon.json"
        settings.write_text("{}")
        return [
            "dockerd",
            f"--config-file={settings}",
            f"--host={self.address}",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            "--group=root",
            "--storage-driver=vfs",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
        ]

    @override
    def probe(self) -> list[str]:
        """Ask the engine for its version."""
        return ["docker", f"--host={self.address}", "version"]


class Containerd(Daemon):
    """The containerd daemon, without the plugin for Kubernetes, which wants a network."""

    def __init__(self) -> None:
        super().__init__("ctrd")

    @override
    def command(self) -> list[str]:
        """Write the settings it reads, with everything in its folder."""
        settings = self.folder / "config.toml"
        values: dict[str, object] = {
            "root": f"{self.folder}/root",
            "state": f"{self.folder}/state",
            "grpc.address": str(self.socket),
            "ttrpc.address": f"{self.socket}.ttrpc",
            "disabled_plugins": ["io.containerd.grpc.v1.cri"],
        }
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
        settings.write_text("version = 2\n" + "".join(lines))
        return ["containerd", f"--config={settings}"]

    @override
    def probe(self) -> list[str]:
        """Ask the daemon for its version."""
        return ["ctr", f"--address={self.socket}", "version"]
