"""Daemons that infra/toolchain/go_clients.sh built, and the commands that speak to them."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import override

from tests.support.clients import Ctr, Docker
from tests.support.engine import Containerd, Daemon, DockerEngine
from tests.support.go_clients import MIB, path_of
from tests.support.images import Image, Index
from tests.support.layouts import Stored, write_layout_archive

FETCH_BYTES = 4 * MIB


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

    def load_all(self, index: Index, name: str) -> None:
        """Bring an index with the images of every platform into the store."""
        archive = write_layout_archive(index, self.folder / "index.tar", name)
        self.run("images", "import", "--no-unpack", "--all-platforms", str(archive))

    @override
    def push(self, name: str, *options: str) -> None:
        self.run("images", "push", *self._options, *options, name)


class DockerEngine29(DockerEngine):
    """A docker engine of today, which keeps its images in a containerd 2."""

    def __init__(self, containerd: Containerd2) -> None:
        super().__init__()
        self.containerd = containerd

    @override
    def command(self) -> list[str]:
        """Name everything; no network, and no program of docker's but this one."""
        settings = self.folder / "daemon.json"
        wanted = {
            "features": {"containerd-snapshotter": True},
            "storage-driver": "native",
            "containerd": str(self.containerd.socket),
            "hosts": [self.address],
            "data-root": f"{self.folder}/data",
            "exec-root": f"{self.folder}/exec",
            "pidfile": f"{self.folder}/pid",
            "group": "root",
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "userland-proxy": False,
        }
        settings.write_text(json.dumps(wanted))
        return [path_of("dockerd29"), f"--config-file={settings}"]

    @override
    def probe(self) -> list[str]:
        """Ask the engine for its version."""
        return [path_of("docker29"), f"--host={self.address}", "version"]


class Docker29(Docker):
    """The docker command of today; its engine keeps the manifests that it is given."""

    def __init__(self, folder: Path, engine: DockerEngine29) -> None:
        super().__init__(folder, engine)
        self._program = (path_of("docker29"),)
        self._containerd = engine.containerd

    @override
    def load(self, image: Image | Index, name: str) -> None:
        archive = write_layout_archive(image, self.folder / "image.tar", name)
        self.run("load", f"--input={archive}")

    @override
    def pull(self, name: str) -> Stored:
        self.run("pull", name)
        (found,) = json.loads(self.run("image", "inspect", name))
        manifest = json.loads(self._containerd.content(found["Id"]).read_bytes())
        return Stored(found["Id"], manifest["config"]["digest"], tuple(found["RootFS"]["Layers"]))


class Buildkit(Daemon):
    """The BuildKit daemon, whose worker is a containerd 2, without networks."""

    def __init__(self, containerd: Containerd2) -> None:
        super().__init__("buildkit")
        self._containerd = containerd

    @property
    def address(self) -> str:
        """Give what buildctl calls the daemon."""
        return f"unix://{self.socket}"

    @override
    def command(self) -> list[str]:
        """Name everything, so that nothing of this machine is read or touched."""
        settings = self.folder / "buildkitd.toml"
        settings.write_text("")
        return [
            path_of("buildkitd"),
            f"--config={settings}",
            f"--addr={self.address}",
            f"--root={self.folder}/root",
            "--oci-worker=false",
            "--containerd-worker=true",
            f"--containerd-worker-addr={self._containerd.socket}",
            "--containerd-worker-snapshotter=native",
            "--containerd-worker-net=host",
        ]

    @override
    def probe(self) -> list[str]:
        """Ask the daemon for its workers."""
        return [path_of("buildctl"), f"--addr={self.address}", "debug", "workers"]
