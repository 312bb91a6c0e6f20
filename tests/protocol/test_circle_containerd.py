"""What containerd 2 does: fetch a layer in several ranges at a time."""

import re
import secrets
from collections.abc import Iterator

import pytest

from tests.protocol.conftest import scratch, started
from tests.support import flows
from tests.support.go_clients import MIB, path_of
from tests.support.go_daemons import FETCH_BYTES, Containerd2, Ctr2
from tests.support.hosts import Registry
from tests.support.images import image
from tests.support.layouts import stored

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

START = re.compile(r'response\.header\.content-range="bytes (\d+)-')


@pytest.fixture(scope="module")
def containerd2() -> Iterator[Containerd2]:
    path_of("ctr")
    path_of("containerd")
    yield from started(Containerd2())


@pytest.fixture
def ctr(containerd2: Containerd2) -> Iterator[Ctr2]:
    with scratch("ctr2") as folder:
        yield Ctr2(folder, containerd2)


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


def answers_for(digest: str, log: str) -> list[str]:
    """Give the lines of containerd's log that tell how its requests for a blob were answered."""
    told = 'msg="fetch response received"'
    return [
        each
        for each in log.splitlines()
        if told in each and digest in each and "header.content-range" in each
    ]
