"""Clients that infra/toolchain/go_clients.sh built: one command each, at home in a folder."""

import dataclasses
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import override

from tests.support.clients import PATIENCE_SECONDS, ClientError, Ctr
from tests.support.engine import Containerd
from tests.support.hosts import ROOT, Registry
from tests.support.tools import environment, unavailable

PROGRAMS = ROOT / ".tools" / "go-clients"
LOGINS = {
    "crane": ("auth", "login", "--password-stdin", "--username"),
    "oras": ("login", "--plain-http", "--password-stdin", "--username"),
    "regctl": ("registry", "login", "--pass-stdin", "--user"),
    "helm": ("registry", "login", "--plain-http", "--password-stdin", "--username"),
    "cosign": ("login", "--password-stdin", "--username"),
}
MIB = 1 << 20
CHUNK_BYTES = MIB
FETCH_BYTES = 4 * MIB


def path_of(name: str) -> str:
    """Give the path of a program; without it the test is skipped, or fails in CI."""
    program = PROGRAMS / name
    if not program.exists():
        unavailable(f"not built: {name} (see infra/toolchain/go_clients.sh)")
    return str(program)


class Program:
    """A client with credentials and caches of its own, in one folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self._path = path_of(name)
        self._environment = environment(
            HOME=str(folder), TMPDIR=str(folder), COSIGN_PASSWORD="of a key"
        )

    def output(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run the program in its folder and give the bytes that it printed."""
        done = subprocess.run(
            [self._path, *arguments],
            cwd=self.folder,
            input=stdin,
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        if done.returncode:
            raise ClientError(f"{arguments}: {(done.stderr or done.stdout).decode()}")
        return done.stdout

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run the program and give the text that it printed."""
        return self.output(*arguments, stdin=stdin).decode().strip()


def logged_in(name: str, folder: Path, registry: Registry) -> Program:
    """Give a client that logged in with the registry's user and password."""
    program = stranger(name, folder, registry)
    login = (*LOGINS[name], registry.user, registry.login_server)
    program.run(*login, stdin=registry.password.encode())
    return program


def by_address(registry: Registry) -> Registry:
    """Name a registry by its address: crane and cosign follow no redirect from a name to one."""
    address = registry.login_server.replace("localhost", "127.0.0.1")
    return dataclasses.replace(registry, login_server=address)


def stranger(name: str, folder: Path, registry: Registry) -> Program:
    """Give a client that did not log in; a regctl uploads in chunks what is larger than a chunk."""
    program = Program(name, folder)
    if name == "regctl":
        sizes = (f"--blob-chunk={CHUNK_BYTES}", f"--blob-max={CHUNK_BYTES}")
        options = ("--skip-check", "--tls=disabled", *sizes)
        program.run("registry", "set", *options, registry.login_server)
    return program


class Containerd2(Containerd):
    """A containerd 2, which fetches a layer in several pieces at a time."""

    @override
    def command(self) -> list[str]:
        """Write the settings it reads; its log tells of every request."""
        transfer = "plugins.'io.containerd.transfer.v1.local'"
        here = f"linux/{platform.machine().replace('x86_64', 'amd64').replace('aarch64', 'arm64')}"
        settings: dict[str, Mapping[str, object]] = {
            "": {
                "version": 3,
                "root": f"{self.folder}/root",
                "state": f"{self.folder}/state",
                "imports": [],
                "disabled_plugins": [
                    "io.containerd.grpc.v1.cri",
                    "io.containerd.cri.v1.images",
                    "io.containerd.cri.v1.runtime",
                ],
            },
            "[grpc]": {"address": str(self.socket)},
            "[ttrpc]": {"address": f"{self.socket}.ttrpc"},
            "[debug]": {"level": "debug"},
            f"[{transfer}]": {
                "max_concurrent_downloads": 4,
                "concurrent_layer_fetch_buffer": FETCH_BYTES,
            },
            f"[[{transfer}.unpack_config]]": {"platform": here, "snapshotter": "native"},
        }
        path = self.folder / "config.toml"
        path.write_text("\n".join(section(head, values) for head, values in settings.items()))
        return [path_of("containerd"), f"--config={path}"]

    @override
    def probe(self) -> list[str]:
        """Ask the daemon for its version."""
        return [path_of("ctr"), f"--address={self.socket}", "version"]

    def log(self) -> str:
        """Read what the daemon logged up to now."""
        return self._log.read_text()

    def content(self, digest: str) -> Path:
        """Say where the daemon keeps a blob."""
        store = self.folder / "root" / "io.containerd.content.v1.content"
        return store / "blobs" / digest.replace(":", "/")


def section(head: str, values: Mapping[str, object]) -> str:
    """Write one section of a TOML file."""
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())])


class Ctr2(Ctr):
    """The ctr command that came with containerd 2."""

    def __init__(self, folder: Path, containerd: Containerd2) -> None:
        super().__init__(folder, containerd)
        self._program = (path_of("ctr"), *self._program[1:])
