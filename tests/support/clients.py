"""Five real clients behind one face: log in, load, push, remove, pull."""

import base64
import json
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import override

from tests.support.engine import Containerd, DockerEngine
from tests.support.hosts import Registry
from tests.support.images import Image
from tests.support.layouts import (
    Stored,
    read_directory,
    write_docker_archive,
    write_layout,
    write_layout_archive,
)
from tests.support.tools import environment

NAMES = ("docker", "podman", "buildah", "skopeo", "ctr")
PATIENCE_SECONDS = 400


class ClientError(Exception):
    """A client failed; the message is what it printed."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def keep_credentials(file: Path, registry: Registry) -> None:
    """Write what a login leaves behind, whether or not the password is right."""
    pair = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"auths": {registry.login_server: {"auth": pair}}}))


class Client(ABC):
    """A client with a store and credentials of its own, in one folder."""

    def __init__(self, program: Sequence[str], folder: Path, **variables: str) -> None:
        self.folder = folder
        self._program = tuple(program)
        self._environment = environment(HOME=str(folder), TMPDIR=str(folder), **variables)
        self.patience = PATIENCE_SECONDS

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run the program and give what it printed on standard output."""
        done = subprocess.run(
            [*self._program, *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        if done.returncode:
            raise ClientError(f"{arguments[0]}: {done.stderr or done.stdout}", done.returncode)
        return done.stdout

    @abstractmethod
    def login(self, registry: Registry) -> None:
        """Log in with the registry's user and password."""

    @abstractmethod
    def load(self, image: Image, name: str) -> None:
        """Bring an image into the client's store."""

    @abstractmethod
    def push(self, name: str) -> None:
        """Push an image from the store."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove an image from the store."""

    @abstractmethod
    def pull(self, name: str) -> Stored:
        """Pull an image into the store and say what is there now."""


class Docker(Client):
    """The docker command and the engine it speaks to."""

    def __init__(self, folder: Path, engine: DockerEngine) -> None:
        super().__init__(
            ["docker"], folder, DOCKER_HOST=engine.address, DOCKER_CONFIG=str(folder / "docker")
        )

    @override
    def login(self, registry: Registry) -> None:
        self.run(
            "login",
            f"--username={registry.user}",
            "--password-stdin",
            registry.login_server,
            stdin=registry.password,
        )

    @override
    def load(self, image: Image, name: str) -> None:
        archive = write_docker_archive(image, self.folder / "image.tar", name)
        self.run("load", f"--input={archive}")

    @override
    def push(self, name: str) -> None:
        self.run("push", name)

    @override
    def remove(self, name: str) -> None:
        self.run("image", "rm", name)

    @override
    def pull(self, name: str) -> Stored:
        self.run("pull", name)
        (found,) = json.loads(self.run("image", "inspect", name))
        digests = dict(each.split("@") for each in found["RepoDigests"])
        return Stored(
            digests[name.rpartition(":")[0]], found["Id"], tuple(found["RootFS"]["Layers"])
        )


class Insecure(Client):
    """What podman, buildah and skopeo have in common: one library."""

    def __init__(self, program: Sequence[str], folder: Path) -> None:
        credentials = folder / "auth.json"
        credentials.write_text("{}")
        super().__init__(program, folder, REGISTRY_AUTH_FILE=str(credentials))

    @override
    def login(self, registry: Registry) -> None:
        self.run(
            "login",
            "--tls-verify=false",
            f"--username={registry.user}",
            "--password-stdin",
            registry.login_server,
            stdin=registry.password,
        )


def storage(folder: Path) -> list[str]:
    """Keep a store in a folder, with the driver that works in any sandbox."""
    return [f"--root={folder}/root", f"--runroot={folder}/run", "--storage-driver=vfs"]


class Podman(Insecure):
    """The podman command, without a daemon."""

    def __init__(self, folder: Path) -> None:
        program = ["podman", *storage(folder), "--cgroup-manager=cgroupfs", "--events-backend=none"]
        super().__init__(program, folder)

    @override
    def load(self, image: Image, name: str) -> None:
        archive = write_layout_archive(image, self.folder / "image.tar", name)
        self.run("load", f"--input={archive}")

    @override
    def push(self, name: str) -> None:
        self.run("push", "--tls-verify=false", name)

    @override
    def remove(self, name: str) -> None:
        self.run("rmi", name)

    @override
    def pull(self, name: str) -> Stored:
        self.run("pull", "--tls-verify=false", name)
        (found,) = json.loads(self.run("image", "inspect", name))
        return Stored(found["Digest"], "sha256:" + found["Id"], tuple(found["RootFS"]["Layers"]))


class Buildah(Insecure):
    """The buildah command."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["buildah", *storage(folder)], folder)

    @override
    def load(self, image: Image, name: str) -> None:
        archive = write_layout_archive(image, self.folder / "image.tar", name)
        self.run("pull", f"oci-archive:{archive}")

    @override
    def push(self, name: str) -> None:
        self.run("push", "--tls-verify=false", name, f"docker://{name}")

    @override
    def remove(self, name: str) -> None:
        self.run("rmi", name)

    @override
    def pull(self, name: str) -> Stored:
        self.run("pull", "--tls-verify=false", f"docker://{name}")
        found = json.loads(self.run("inspect", "--type=image", name))
        return Stored(
            found["FromImageDigest"],
            "sha256:" + found["FromImageID"],
            tuple(found["OCIv1"]["rootfs"]["diff_ids"]),
        )


class Skopeo(Insecure):
    """The skopeo command, whose store is a folder for each image."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["skopeo"], folder)

    def copy(self, source: str, target: str, *options: str) -> None:
        """Copy an image from one place to another, byte for byte."""
        plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        self.run("copy", "--preserve-digests", *plain, *options, source, target)

    @override
    def load(self, image: Image, name: str) -> None:
        write_layout(image, self.folder / "layout", "image")

    @override
    def push(self, name: str) -> None:
        self.copy(f"oci:{self.folder}/layout:image", f"docker://{name}")

    @override
    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / "layout")

    @override
    def pull(self, name: str) -> Stored:
        pulled = self.folder / "pulled"
        shutil.rmtree(pulled, ignore_errors=True)
        self.copy(f"docker://{name}", f"dir:{pulled}")
        return read_directory(pulled)


class Ctr(Client):
    """The ctr command and its containerd; ctr cannot log in, and names the user each time."""

    def __init__(self, folder: Path, containerd: Containerd) -> None:
        super().__init__(["ctr", f"--address={containerd.socket}", "--namespace=tests"], folder)
        self._options = ["--plain-http"]

    @override
    def login(self, registry: Registry) -> None:
        self._options = ["--plain-http", f"--user={registry.user}:{registry.password}"]

    @override
    def load(self, image: Image, name: str) -> None:
        archive = write_layout_archive(image, self.folder / "image.tar", name)
        self.run("images", "import", "--no-unpack", str(archive))

    @override
    def push(self, name: str) -> None:
        self.run("images", "push", *self._options, name)

    @override
    def remove(self, name: str) -> None:
        self.run("images", "rm", "--sync", name)

    @override
    def pull(self, name: str) -> Stored:
        self.run("images", "pull", *self._options, "--snapshotter=native", name)
        line = self.run("images", "ls", f"name=={name}").splitlines()[1]
        manifest = line.split()[2]
        config = json.loads(self.run("content", "get", manifest))["config"]["digest"]
        found = json.loads(self.run("content", "get", config))
        return Stored(manifest, config, tuple(found["rootfs"]["diff_ids"]))

    def pull_all(self, name: str) -> None:
        """Pull an index with the images of every platform."""
        self.run("images", "pull", *self._options, "--all-platforms", "--snapshotter=native", name)
