"""What programs do with docker's library for Python: log in, push, pull, inspect."""

import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound

from tests.support import flows
from tests.support.engine import DockerEngine
from tests.support.hosts import Registry
from tests.support.images import Image, image, multi_platform
from tests.support.layouts import write_docker_archive

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("engine")]


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    made = docker.DockerClient(base_url=docker_engine.address)
    yield made
    made.close()


@pytest.fixture
def repository() -> str:
    return f"circle/docker-py-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"{registry.login_server}/{repository}"


def log_in(client: docker.DockerClient, registry: Registry, folder: Path) -> str:
    """Log in, with the settings of a user who has none, and give the engine's word."""
    answer = client.login(
        registry.user,
        registry.password,
        registry=registry.login_server,
        reauth=True,
        dockercfg_path=str(folder / "config.json"),
    )
    return str(answer["Status"])


def load(client: docker.DockerClient, built: Image, name: str, folder: Path) -> None:
    """Bring an image into the engine."""
    archive = write_docker_archive(built, folder / "image.tar", name)
    client.images.load(archive.read_bytes())


def push(client: docker.DockerClient, name: str, tag: str) -> str:
    """Push an image and give the digest that the engine reports."""
    told = list(client.images.push(name, tag=tag, stream=True, decode=True))
    assert not [each for each in told if "error" in each]
    (digest,) = (each["aux"]["Digest"] for each in told if "aux" in each)
    return str(digest)


def test_an_image_makes_the_round_trip(
    client: docker.DockerClient, registry: Registry, repository: str, here: str, tmp_path: Path
) -> None:
    assert log_in(client, registry, tmp_path) == "Login Succeeded"
    built = image(1, layers=3, size=100_000)
    load(client, built, f"{here}:v1", tmp_path)
    digest = push(client, here, "v1")
    assert flows.resolve(registry, repository, "v1") == digest
    assert built.config.content in flows.pull(registry, repository, "v1").blobs.values()
    client.images.remove(f"{here}:v1")
    pulled = client.images.pull(here, tag="v1")
    assert pulled.id == built.config.digest
    assert pulled.attrs["RepoDigests"] == [f"{here}@{digest}"]
    assert pulled.attrs["RootFS"]["Layers"] == list(built.diff_ids)


def test_all_tags_are_pulled_at_once(
    client: docker.DockerClient, registry: Registry, repository: str, here: str, tmp_path: Path
) -> None:
    log_in(client, registry, tmp_path)
    tagged = {f"v{number}": image(10 + number) for number in range(3)}
    for tag, built in tagged.items():
        flows.push(registry, repository, built, tag)
    pulled = client.images.pull(here, all_tags=True)
    assert {each.id for each in pulled} == {each.config.digest for each in tagged.values()}


def test_the_registry_tells_the_platforms_of_an_index(
    client: docker.DockerClient, registry: Registry, repository: str, here: str, tmp_path: Path
) -> None:
    log_in(client, registry, tmp_path)
    index = multi_platform(20)
    flows.push(registry, repository, index, "v1")
    told = client.images.get_registry_data(f"{here}:v1")
    assert told.id == index.digest
    named = [each["architecture"] for each in told.attrs["Platforms"]]
    assert named == [each.platform.architecture for each in index.images]


def test_what_is_not_there_or_not_allowed_is_refused(
    client: docker.DockerClient, registry: Registry, here: str, tmp_path: Path
) -> None:
    with pytest.raises(APIError, match="unauthorized"):
        log_in(client, dataclasses.replace(registry, password="wrong"), tmp_path)
    log_in(client, registry, tmp_path)
    with pytest.raises(NotFound, match=r"(?i)not found|unknown"):
        client.images.pull(here, tag="missing")
