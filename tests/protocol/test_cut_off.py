"""What each client makes of a request that ends in the middle of a layer.

An ingress ends one after its time (240 s, 230 s), a deployment ends all that run. The table in
`infra/azure/README.md` rests on this: who brings the layer again, who goes on, and who gives up.
"""

import re
import secrets
from collections.abc import Callable, Sequence

import pytest

from tests.protocol.conftest import Clients
from tests.protocol.test_front_limits import OF_DEBIAN, SUCCESS, OfBuild, OfImage, Trip, outcome
from tests.support import listings
from tests.support.cutting import ANSWER, cut_off
from tests.support.go_clients import MIB, Program, by_address
from tests.support.hosts import Registry
from tests.support.images import image

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.clients,
    pytest.mark.direct("puts a relay of its own before the host"),
    pytest.mark.timeout(120),
]

MOST, LAYER = 2 * MIB, 6 * MIB
TAG = "1.0.0"
ENDLESSLY = 1000

# What a client hears of the end, and what it says then.
ENDS = {"nothing": b"", "a 504": ANSWER}
BROKEN = "broken pipe|closed pipe|use of closed network connection|connection reset by peer|EOF"
SAID = {"nothing": BROKEN, "a 504": f"{BROKEN}|504|Gateway Timeout|upstream request timeout"}

ONCE, TWICE, BY_CHANCE = {1}, {2}, set(range(1, 7))
TRIES = {
    "docker29": {"nothing": BY_CHANCE, "a 504": TWICE},
    "podman": {"nothing": BY_CHANCE, "a 504": ONCE},
    "skopeo": {"nothing": ONCE, "a 504": ONCE},
    "ctr": {"nothing": ONCE, "a 504": ONCE},
    "ctr2": {"nothing": BY_CHANCE, "a 504": TWICE},
    "buildkit": {"nothing": {4}},
    "crane": {"nothing": {3}},
    "oras": {"nothing": ONCE, "a 504": ONCE},
}
"""How often a client brings a layer, if it is cut off each time.

Not here: docker, whose five tries take a minute; docker-py, which is docker's engine; buildah,
cosign and helm, which have the libraries of podman, crane and oras; regctl, which goes over to
chunks after 25 s. What a broken connection is called is a matter of chance: podman and containerd 2
try again after some of its names.
"""

TRYING_AGAIN = [
    ("docker", "nothing"),
    ("docker29", "a 504"),
    ("ctr2", "a 504"),
    ("buildkit", "nothing"),
    ("crane", "nothing"),
    ("crane", "a 504"),
    ("regctl", "nothing"),
]

type Load = Callable[[str, Registry, str], Trip]


def placed(cases: Sequence[tuple[str, str]]) -> list[object]:
    """Run each client where its daemon is."""
    group = {name: "engine" if name in OF_DEBIAN else "circle" for name, _ in cases}
    return [pytest.param(*case, marks=pytest.mark.xdist_group(group[case[0]])) for case in cases]


@pytest.fixture
def load(request: pytest.FixtureRequest, clients: Clients) -> Load:
    """Makes a client that holds a layer."""

    def made(name: str, registry: Registry, repository: str) -> Trip:
        if name == "buildkit":
            daemon = request.getfixturevalue("buildkit")
            folder = request.getfixturevalue("tmp_path")
            build = OfBuild(Program("buildctl", folder), daemon, registry, repository)
            build.load(LAYER)
            return build
        built = image(secrets.randbits(30), layers=1, size=LAYER)
        trip = OfImage(clients(name), registry, repository, built)
        trip.load()
        return trip

    return made


@pytest.fixture
def repository() -> str:
    return f"cut/{secrets.token_hex(4)}/made"


@pytest.mark.parametrize(("name", "end"), placed(TRYING_AGAIN))
def test_who_tries_again_brings_a_layer_that_was_cut_off_from_its_beginning(
    name: str, end: str, load: Load, registry: Registry, repository: str
) -> None:
    with cut_off(by_address(registry), MOST, 1, ENDS[end]) as ingress:
        load(name, ingress.registry, repository).push()

    cut, again = ingress.bodies
    assert cut.size < LAYER <= again.size
    assert listings.status(registry, repository, TAG) == 200


@pytest.mark.parametrize(
    ("name", "end"), placed([(name, end) for name, ends in TRIES.items() for end in ends])
)
def test_a_layer_that_is_cut_off_each_time_is_given_up(
    name: str, end: str, load: Load, registry: Registry, repository: str
) -> None:
    with cut_off(by_address(registry), MOST, ENDLESSLY, ENDS[end]) as ingress:
        status, told = outcome(load(name, ingress.registry, repository))

    assert status != SUCCESS
    assert re.search(SAID[end], told), told
    assert len(ingress.bodies) in TRIES[name][end]
    assert listings.status(registry, repository, TAG) == 404


@pytest.mark.xdist_group("circle")
def test_what_goes_up_in_chunks_is_not_cut_off(
    load: Load, registry: Registry, repository: str
) -> None:
    with cut_off(by_address(registry), MOST, ENDLESSLY) as ingress:
        load("regctl in chunks", ingress.registry, repository).push()

    assert not ingress.cut
    assert len(ingress.bodies) >= LAYER // MIB
    assert listings.status(registry, repository, TAG) == 200
