"""Daemons that infra/toolchain/go_clients.sh built, and the commands that speak to them."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import override

from tests.support.clients import Ctr
from tests.support.engine import Containerd
from tests.support.go_clients import MIB, path_of

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
