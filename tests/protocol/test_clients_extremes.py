"""What is unusual for clients: many layers, a huge one, a foreign one, two pushes at once."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows
from tests.support.clients import Skopeo
from tests.support.hosts import Host, Registry
from tests.support.images import (
    DOCKER,
    OCI,
    Flavour,
    Platform,
    foreign,
    image,
    image_of,
    layer,
    random_bytes,
)
from tests.support.layouts import (
    read_directory,
    stored,
    write_directory,
    write_large_directory,
)

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("engine")]

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize("name", ["docker", "ctr"])
def test_twenty_layers_make_the_round_trip(name: str, clients: Clients, registry: Registry) -> None:
    client, built = clients(name), image(len(name), layers=20, size=50_000)
    reference = f"{registry.login_server}/layers/{name}:v1"
    client.login(registry)
    client.load(built, reference)
    client.push(reference)
    client.remove(reference)
    pushed = flows.resolve(registry, f"layers/{name}", "v1")
    assert client.pull(reference) == stored(built, pushed)


@contextmanager
def steady(host: Host, limit: int) -> Iterator[None]:
    """See that the host's memory stays within a limit of what it was."""
    before = host.resident_bytes()
    host.reset_peak()
    yield
    grown = host.peak_bytes() - before
    assert grown < limit, f"the host grew by {grown / MIB:.0f} MiB"


@pytest.mark.direct("what a front does to memory, test_behind_front shows with 300 MiB")
@pytest.mark.timeout(900)
def test_a_layer_of_a_gibibyte_does_not_grow_the_server(
    skopeo: Skopeo,
    registry: Registry,
    host: Host,
    streaming_registry: Registry,
    streaming_host: Host,
) -> None:
    source, target = skopeo.folder / "large", skopeo.folder / "pulled"
    large = read_directory(write_large_directory(source, GIB))
    with steady(host, 100 * MIB):
        skopeo.copy(f"dir:{source}", f"docker://{registry.login_server}/large/layer:v1")
    shutil.rmtree(source)
    skopeo.login(streaming_registry)
    with steady(streaming_host, 100 * MIB):
        skopeo.copy(f"docker://{streaming_registry.login_server}/large/layer:v1", f"dir:{target}")
    assert read_directory(target) == large


def test_two_clients_push_the_same_image_at_once(clients: Clients, registry: Registry) -> None:
    built = image(1, layers=4, size=4 * MIB)
    reference = f"{registry.login_server}/raced/image:v1"
    pushers = [clients("skopeo"), clients("ctr")]
    for each in pushers:
        each.login(registry)
        each.load(built, reference)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda each: each.push(reference), pushers))
    assert flows.pull(registry, "raced/image", "v1") == flows.pulled(built)
    pushers[1].remove(reference)
    assert [each.pull(reference) for each in pushers] == [stored(built)] * 2


@pytest.mark.parametrize("flavour", [OCI, DOCKER], ids=["oci", "docker"])
def test_a_foreign_layer_stays_where_it_is(
    flavour: Flavour, skopeo: Skopeo, registry: Registry, tmp_path: Path
) -> None:
    base = layer({"Files/base": random_bytes(1000, 1)}, flavour)
    own = layer({"Files/own": random_bytes(1000, 2)}, flavour)
    built = image_of(
        [foreign(base, flavour, "https://example.invalid/base"), own],
        flavour,
        Platform("amd64", "windows"),
    )
    flows.push(registry, "foreign/http", built, "v1")
    here = f"docker://{registry.login_server}/foreign"
    skopeo.copy(f"{here}/http:v1", f"{here}/skopeo:v1", "--override-os=windows")
    skopeo.copy(f"dir:{write_directory(built, tmp_path / 'made')}", f"{here}/pushed:v1")
    for repository in ("http", "skopeo", "pushed"):
        assert flows.pull(registry, f"foreign/{repository}", "v1") == flows.pulled(built)
