"""Docker's library for Python, behind the face of the clients that are commands."""

import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import override

import docker

from tests.support.clients import Client, ClientError
from tests.support.engine import DockerEngine
from tests.support.hosts import Registry
from tests.support.images import Image
from tests.support.layouts import Stored, write_docker_archive


class DockerPy(Client):
    """The library and the engine it speaks to."""

    def __init__(self, folder: Path, engine: DockerEngine) -> None:
        super().__init__([], folder)
        self._engine = engine
        self._credentials: dict[str, str] = {}

    def _connected(self) -> closing[docker.DockerClient]:
        return closing(docker.DockerClient(base_url=self._engine.address))

    @override
    def login(self, registry: Registry) -> None:
        self._credentials = {"username": registry.user, "password": registry.password}
        kept = str(self.folder / "config.json")
        with self._connected() as client:
            client.login(
                **self._credentials,
                registry=registry.login_server,
                reauth=True,
                dockercfg_path=kept,
            )

    @override
    def load(self, image: Image, name: str) -> None:
        archive = write_docker_archive(image, self.folder / "image.tar", name)
        with self._connected() as client:
            client.images.load(archive.read_bytes())

    @override
    def push(self, name: str) -> None:
        """Push until the engine ends, or hang up when it takes too long."""
        deadline, told = time.monotonic() + self.patience, ""
        with self._connected() as client:
            repository, _, tag = name.rpartition(":")
            for event in client.images.push(
                repository, tag=tag, stream=True, decode=True, auth_config=self._credentials
            ):
                told += f"{event.get('status')}\n"
                if "error" in event:
                    raise ClientError(event["error"])
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired("push", self.patience, told)

    @override
    def remove(self, name: str) -> None:
        with self._connected() as client:
            client.images.remove(name)

    @override
    def pull(self, name: str) -> Stored:
        repository, _, tag = name.rpartition(":")
        with self._connected() as client:
            found = client.images.pull(repository, tag=tag, auth_config=self._credentials).attrs
        digests = dict(each.split("@") for each in found["RepoDigests"])
        return Stored(digests[repository], found["Id"], tuple(found["RootFS"]["Layers"]))
