"""How each client brings a layer and gets its token, read off the wire.

The README's table of what a client needs of a host rests on this one.
"""

import secrets

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows
from tests.support.go_clients import MIB, by_address
from tests.support.hosts import Registry
from tests.support.images import image
from tests.support.wiretap import Asked, tapped

pytestmark = [pytest.mark.protocol, pytest.mark.clients]

HABITS = {
    "docker": ("PATCH without a length", "GET"),
    "podman": ("PATCH without a length", "GET"),
    "buildah": ("PATCH without a length", "GET"),
    "skopeo": ("PATCH with a length", "GET"),
    "crane": ("PATCH with a length", "GET"),
    "oras": ("PUT with a length", "GET"),
    "ctr": ("PUT with a length", "POST"),
    "ctr2": ("PUT with a length", "POST"),
    "docker29": ("PUT with a length", "POST"),
}
"""The one request with all the layer's bytes, and how the token to push is asked for."""

LAYER_BYTES = 20 * MIB
DAEMONS = {"docker29": "circle", "ctr2": "circle"}


def grouped(name: str) -> object:
    """Run a client where its daemon is."""
    return pytest.param(name, marks=pytest.mark.xdist_group(DAEMONS.get(name, "engine")))


@pytest.mark.parametrize("name", [grouped(each) for each in HABITS])
def test_a_client_brings_a_layer_in_one_request(
    name: str, clients: Clients, registry: Registry
) -> None:
    client, built = clients(name), image(secrets.randbits(30), layers=1, size=LAYER_BYTES)
    repository = f"habits/{name}-{secrets.token_hex(4)}"
    with tapped(by_address(registry)) as (tap, record):
        reference = f"{tap.login_server}/{repository}:v1"
        client.login(tap)
        client.load(built, reference)
        client.push(reference)
        assert flows.resolve(registry, repository, "v1")
    (brought,) = [each for each in record if each.size >= LAYER_BYTES]
    assert (habit(brought), token(record).method) == HABITS[name]


def habit(brought: Asked) -> str:
    """Say how the bytes came."""
    return f"{brought.method} {'with' if brought.has_length else 'without'} a length"


def token(record: list[Asked]) -> Asked:
    """Give the last request for a token."""
    return [each for each in record if each.path == "/oauth2/token"][-1]
