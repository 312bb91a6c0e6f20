"""What containerd 2 does: push, whole indexes too, and fetch a layer in several ranges at once."""

import re
import secrets

import pytest

from tests.protocol.conftest import Clients
from tests.support import flows
from tests.support.go_clients import MIB
from tests.support.go_daemons import FETCH_BYTES, Containerd2, Ctr2
from tests.support.hosts import Host, Registry
from tests.support.images import DOCKER, OCI, Flavour, image, multi_platform
from tests.support.layouts import stored

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

START = re.compile(r'response\.header\.content-range="bytes (\d+)-')


@pytest.fixture
def ctr(clients: Clients) -> Ctr2:
    made = clients("ctr2")
    assert isinstance(made, Ctr2)
    return made


@pytest.mark.parametrize("how", ["registry", "streaming_registry"])
def test_a_large_layer_is_fetched_in_ranges(
    how: str, ctr: Ctr2, containerd2: Containerd2, request: pytest.FixtureRequest
) -> None:
    registry: Registry = request.getfixturevalue(how)
    built = image(len(how), layers=1, size=64 * MIB)
    repository = f"circle/containerd-{secrets.token_hex(4)}"
    reference = f"{registry.login_server}/{repository}:v1"
    ctr.login(registry)
    ctr.load(built, reference)
    ctr.push(reference)
    assert flows.pull(registry, repository, "v1") == flows.pulled(built)
    ctr.remove(reference)
    layer = built.layers[0].blob
    assert not containerd2.content(layer.digest).exists()
    before = len(containerd2.log())
    assert ctr.pull(reference) == stored(built)
    assert containerd2.content(layer.digest).read_bytes() == layer.content
    answers = answers_for(layer.digest, containerd2.log()[before:])
    starts = [int(start) for each in answers for start in START.findall(each)]
    assert sorted(starts) == list(range(0, layer.size, FETCH_BYTES))
    from_storage = ["header.x-ms-blob-type" in each for each in answers]
    assert all(from_storage) if how == "registry" else not any(from_storage)


@pytest.mark.parametrize("flavour", [OCI, DOCKER], ids=["oci", "docker"])
@pytest.mark.parametrize("by", [(), ("--local",)], ids=["daemon", "command"])
def test_an_index_is_pushed_with_all_its_images(
    by: tuple[str, ...], flavour: Flavour, ctr: Ctr2, host: Host, registry: Registry
) -> None:
    index = multi_platform(secrets.randbits(25), flavour)
    repository = f"circle/containerd-{secrets.token_hex(4)}"
    reference = f"{registry.login_server}/{repository}:v1"
    ctr.login(registry)
    ctr.load_all(index, reference)
    ctr.push(reference, *by)
    assert flows.resolve(registry, repository, "v1") == index.digest
    for each in index.images:
        assert flows.pull(registry, repository, each.digest) == flows.pulled(each)
    assert f"upload_append /v2/{repository}/" not in host._log.read_text()


def test_a_push_goes_on_where_another_ended(ctr: Ctr2, registry: Registry) -> None:
    built = image(secrets.randbits(30), layers=3)
    repository = f"circle/containerd-{secrets.token_hex(4)}"
    reference = f"{registry.login_server}/{repository}:v1"
    with flows.connect(registry, repository) as client:
        flows.push_blob(client, repository, built.layers[0].blob)
    ctr.login(registry)
    ctr.load(built, reference)
    ctr.push(reference)
    assert flows.pull(registry, repository, "v1") == flows.pulled(built)


def answers_for(digest: str, log: str) -> list[str]:
    """Give the lines of containerd's log that tell how its requests for a blob were answered."""
    told = 'msg="fetch response received"'
    return [
        each
        for each in log.splitlines()
        if told in each and digest in each and "header.content-range" in each
    ]
