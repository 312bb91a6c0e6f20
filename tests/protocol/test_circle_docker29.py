"""What docker 29 does, whose engine keeps its images in a containerd 2."""

import dataclasses
import json
import secrets

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows, listings
from tests.support.clients import ClientError
from tests.support.go_clients import MIB
from tests.support.go_daemons import Containerd2, Docker29
from tests.support.hosts import Host, Registry
from tests.support.images import DOCKER, OCI, Flavour, image, multi_platform
from tests.support.layouts import stored

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

REFUSED = r"unauthorized|wants a login"


@pytest.fixture
def stranger(clients: Clients) -> Docker29:
    """A docker that did not log in."""
    made = clients("docker29")
    assert isinstance(made, Docker29)
    return made


@pytest.fixture
def docker(stranger: Docker29, registry: Registry, streaming_registry: Registry) -> Docker29:
    for each in (registry, streaming_registry):
        stranger.login(each)
    return stranger


@pytest.fixture
def repository() -> str:
    return f"circle/docker29-{secrets.token_hex(4)}"


@pytest.mark.parametrize("flavour", [OCI, DOCKER], ids=["oci", "docker"])
@pytest.mark.parametrize("how", ["registry", "streaming_registry"])
def test_an_image_makes_the_round_trip(
    how: str, flavour: Flavour, docker: Docker29, repository: str, request: pytest.FixtureRequest
) -> None:
    registry: Registry = request.getfixturevalue(how)
    built = image(secrets.randbits(30), layers=5, size=200_000, flavour=flavour)
    reference = f"{registry.login_server}/{repository}:v1"
    docker.load(built, reference)
    docker.push(reference)
    assert flows.pull(registry, repository, "v1") == flows.pulled(built)
    docker.remove(reference)
    assert docker.pull(reference) == stored(built)


def test_a_layer_is_pushed_by_one_put(
    docker: Docker29, host: Host, registry: Registry, repository: str
) -> None:
    built = image(secrets.randbits(30), layers=1, size=64 * MIB)
    reference = f"{registry.login_server}/{repository}:v1"
    docker.load(built, reference)
    docker.push(reference)
    assert flows.pull(registry, repository, "v1") == flows.pulled(built)
    told = [line for line in host._log.read_text().splitlines() if f" /v2/{repository}/" in line]
    asked = [word for line in told for word in line.split() if word.startswith("upload_")]
    assert sorted(asked) == ["upload_commit"] * 2 + ["upload_start"] * 2


def test_an_index_is_pushed_with_all_its_images(
    docker: Docker29, registry: Registry, repository: str
) -> None:
    index = multi_platform(secrets.randbits(25))
    reference = f"{registry.login_server}/{repository}:v1"
    docker.load(index, reference)
    docker.push(reference)
    assert flows.resolve(registry, repository, "v1") == index.digest
    for each in index.images:
        assert flows.pull(registry, repository, each.digest) == flows.pulled(each)


def test_it_pulls_the_platform_that_it_is_told(
    docker: Docker29, containerd2: Containerd2, registry: Registry, repository: str
) -> None:
    index = multi_platform(secrets.randbits(25))
    flows.push(registry, repository, index, "v1")
    reference = f"{registry.login_server}/{repository}:v1"
    other, wanted = index.images
    docker.run("pull", f"--platform=linux/{wanted.platform.architecture}", reference)
    (found,) = json.loads(docker.run("image", "inspect", reference))
    assert found["RepoDigests"] == [f"{registry.login_server}/{repository}@{index.digest}"]
    for each in wanted.blobs:
        assert containerd2.content(each.digest).read_bytes() == each.content
    assert not containerd2.content(other.layers[0].blob.digest).exists()


def test_an_image_is_pushed_to_a_second_repository(
    docker: Docker29, registry: Registry, repository: str
) -> None:
    built = image(secrets.randbits(30))
    flows.push(registry, repository, built, "v1")
    first = f"{registry.login_server}/{repository}:v1"
    second = f"{registry.login_server}/{repository}/second:v1"
    docker.pull(first)
    docker.run("tag", first, second)
    docker.push(second)
    assert flows.pull(registry, f"{repository}/second", "v1") == flows.pulled(built)


def test_who_has_a_wrong_password_is_refused(stranger: Docker29, registry: Registry) -> None:
    with pytest.raises(ClientError, match="unauthorized: wrong user name or password"):
        stranger.login(dataclasses.replace(registry, password="wrong"))


def test_who_has_no_password_neither_pulls_nor_pushes(
    stranger: Docker29, registry: Registry, repository: str
) -> None:
    built = image(secrets.randbits(30))
    flows.push(registry, repository, built, "v1")
    reference = f"{registry.login_server}/{repository}:v1"
    with pytest.raises(ClientError, match=REFUSED):
        stranger.pull(reference)
    stranger.load(built, f"{registry.login_server}/{repository}:v2")
    with pytest.raises(ClientError, match=REFUSED):
        stranger.push(f"{registry.login_server}/{repository}:v2")
    assert listings.status(registry, repository, "v2") == 404
