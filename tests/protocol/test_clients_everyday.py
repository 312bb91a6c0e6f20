"""What each client does every day: log in, push, pull, and be refused."""

import dataclasses

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows
from tests.support.clients import NAMES, Client, ClientError
from tests.support.hosts import Registry
from tests.support.images import DOCKER, image
from tests.support.layouts import stored

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("engine")]

REFUSALS = {
    "docker": "unauthorized: wrong user name or password",
    "podman": "invalid username/password",
    "buildah": "invalid username/password",
    "skopeo": "invalid username/password",
    "ctr": "401 Unauthorized",
}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_makes_the_round_trip(name: str, clients: Clients, registry: Registry) -> None:
    client, built = clients(name), image(NAMES.index(name))
    reference = f"{registry.login_server}/round-trip/{name}:v1"
    client.login(registry)
    client.load(built, reference)
    client.push(reference)
    client.remove(reference)
    pushed = flows.resolve(registry, f"round-trip/{name}", "v1")
    assert client.pull(reference) == stored(built, pushed)


@pytest.mark.parametrize("name", ["skopeo", "ctr"])
def test_a_client_that_keeps_manifests_keeps_the_digest(
    name: str, clients: Clients, registry: Registry
) -> None:
    client, built = clients(name), image(100 + NAMES.index(name))
    client.login(registry)
    client.load(built, f"{registry.login_server}/kept/{name}:v1")
    client.push(f"{registry.login_server}/kept/{name}:v1")
    assert flows.pull(registry, f"kept/{name}", "v1") == flows.pulled(built)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_docker_media_types_is_pulled(
    name: str, clients: Clients, registry: Registry
) -> None:
    client, built = clients(name), image(200 + NAMES.index(name), flavour=DOCKER)
    flows.push(registry, f"schema-2/{name}", built, "v1")
    client.login(registry)
    assert client.pull(f"{registry.login_server}/schema-2/{name}:v1") == stored(built)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_password_is_refused_with_a_clear_message(
    name: str, clients: Clients, registry: Registry
) -> None:
    client = clients(name)
    reference = f"{registry.login_server}/refused/{name}:v1"
    flows.push(registry, f"refused/{name}", image(300), "v1")
    with pytest.raises(ClientError, match=REFUSALS[name]):
        sign_in_and_pull(client, dataclasses.replace(registry, password="wrong"), reference)


def sign_in_and_pull(client: Client, registry: Registry, reference: str) -> None:
    """Log in and pull: ctr shows its password only with the pull."""
    client.login(registry)
    client.pull(reference)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_password_nothing_is_pulled(
    name: str, clients: Clients, registry: Registry
) -> None:
    flows.push(registry, f"closed/{name}", image(301), "v1")
    with pytest.raises(
        ClientError, match=r"(?i)unauthorized|authentication required|no basic auth"
    ):
        clients(name).pull(f"{registry.login_server}/closed/{name}:v1")
