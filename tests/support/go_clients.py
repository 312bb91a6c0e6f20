"""Clients that infra/toolchain/go_clients.sh built: one command each, at home in a folder."""

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar, override

from tests.support.clients import PATIENCE_SECONDS, Client, ClientError
from tests.support.hosts import ROOT, Registry
from tests.support.images import Image
from tests.support.layouts import Stored, read_layout, write_layout
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
COSIGN_IMAGE = "dev.cosignproject.cosign/image"
CHUNK_BYTES = MIB
CHUNKS = (f"--blob-chunk={CHUNK_BYTES}", f"--blob-max={CHUNK_BYTES}")


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
            printed = (done.stderr or done.stdout).decode()
            raise ClientError(f"{arguments}: {printed}", done.returncode)
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
        options = ("--skip-check", "--tls=disabled", *CHUNKS)
        program.run("registry", "set", *options, registry.login_server)
    return program


class Crane(Client):
    """The crane command, whose store is an image layout."""

    def __init__(self, folder: Path) -> None:
        super().__init__([path_of("crane")], folder)

    @override
    def login(self, registry: Registry) -> None:
        """Keep user and password: crane tries them with its next request."""
        login = (*LOGINS["crane"], registry.user, registry.login_server)
        self.run(*login, stdin=registry.password)

    @override
    def load(self, image: Image, name: str) -> None:
        write_layout(image, self.folder / "layout", "image")

    @override
    def push(self, name: str) -> None:
        self.run("push", f"{self.folder}/layout", name)

    @override
    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / "layout")

    @override
    def pull(self, name: str) -> Stored:
        pulled = self.folder / "pulled"
        shutil.rmtree(pulled, ignore_errors=True)
        self.run("pull", "--format=oci", name, str(pulled))
        return read_layout(pulled)


class Oras(Client):
    """The oras command, whose store is an image layout."""

    def __init__(self, folder: Path) -> None:
        super().__init__([path_of("oras")], folder)

    @override
    def login(self, registry: Registry) -> None:
        login = (*LOGINS["oras"], registry.user, registry.login_server)
        self.run(*login, stdin=registry.password)

    @override
    def load(self, image: Image, name: str) -> None:
        write_layout(image, self.folder / "layout", "image")

    @override
    def push(self, name: str) -> None:
        layout = f"{self.folder}/layout:image"
        self.run("copy", "--from-oci-layout", "--to-plain-http", layout, name)

    @override
    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / "layout")

    @override
    def pull(self, name: str) -> Stored:
        pulled = self.folder / "pulled"
        shutil.rmtree(pulled, ignore_errors=True)
        self.run("copy", "--from-plain-http", "--to-oci-layout", name, f"{pulled}:image")
        return read_layout(pulled)


class Regctl(Client):
    """The regctl command as it comes, whose store is an image layout."""

    sizes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path) -> None:
        super().__init__([path_of("regctl")], folder)

    @override
    def login(self, registry: Registry) -> None:
        options = ("--skip-check", "--tls=disabled", *self.sizes)
        self.run("registry", "set", *options, registry.login_server)
        login = (*LOGINS["regctl"], registry.user, registry.login_server)
        self.run(*login, stdin=registry.password)

    @override
    def load(self, image: Image, name: str) -> None:
        write_layout(image, self.folder / "layout", "image")

    @override
    def push(self, name: str) -> None:
        self.run("image", "copy", f"ocidir://{self.folder}/layout:image", name)

    @override
    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / "layout")

    @override
    def pull(self, name: str) -> Stored:
        pulled = self.folder / "pulled"
        shutil.rmtree(pulled, ignore_errors=True)
        self.run("image", "copy", name, f"ocidir://{pulled}:image")
        return read_layout(pulled)


class RegctlInChunks(Regctl):
    """A regctl that uploads in chunks what is larger than a chunk."""

    sizes = CHUNKS


class Cosign(Client):
    """The cosign command, which saves and loads images as layouts of its own kind."""

    def __init__(self, folder: Path) -> None:
        super().__init__([path_of("cosign")], folder)

    @override
    def login(self, registry: Registry) -> None:
        login = (*LOGINS["cosign"], registry.user, registry.login_server)
        self.run(*login, stdin=registry.password)

    @override
    def load(self, image: Image, name: str) -> None:
        index = write_layout(image, self.folder / "layout", "image") / "index.json"
        kind = ("org.opencontainers.image.ref.name", "kind")
        index.write_text(index.read_text().replace(*kind).replace('"image"', f'"{COSIGN_IMAGE}"'))

    @override
    def push(self, name: str) -> None:
        self.run("load", "--allow-http-registry", f"--dir={self.folder}/layout", name)

    @override
    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / "layout")

    @override
    def pull(self, name: str) -> Stored:
        pulled = self.folder / "pulled"
        shutil.rmtree(pulled, ignore_errors=True)
        self.run("save", "--allow-http-registry", f"--dir={pulled}", name)
        return read_layout(pulled)
