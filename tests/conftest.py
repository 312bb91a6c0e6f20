"""Settings, clock, and a registry over memory with a client, in this process."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
import pytest_socket

from tests.support import tools
from tests.support.app import Memory, Site, indexed, open_site, patched, registry_rows
from tests.support.clock import Clock
from tests.support.hosts import Host

ROOMS_WITHOUT_NETWORK = {"unit", "functions", "property"}

LONGEST = ("soak", "weather", "image", "engine", "circle", "upgrades")
"""The groups of tests that take minutes, the longest first."""

hypothesis.settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.register_profile("long", max_examples=2_000, deadline=None)
hypothesis.settings.load_profile("quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--behind-front", action="store_true", help="run each host behind Microsoft's HTTP path"
    )
    parser.addoption("--operations", type=int, default=100_000, help="how many a soak is made of")
    parser.addoption("--seed", type=int, default=1, help="which soak it is; one repeats its draws")


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # else the groups with most tests begin
    if config.getoption("--behind-front"):
        Host.behind = tools.find_front()
        if Host.behind is None:
            raise pytest.UsageError("--behind-front: functions-front is not on PATH")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Behind the front leave out what is marked as of no use there; begin with what takes longest.

    One worker runs a group. What is in none is short, and fills up what time is left at the end.
    """
    items.sort(key=_place)
    if config.getoption("--behind-front"):
        left_out = [item for item in items if item.get_closest_marker("direct")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _place(item: pytest.Item) -> tuple[int, bool]:
    """Say how early a test begins; in a group with the name of a room, that room's do."""
    mark = item.get_closest_marker("xdist_group")
    if mark is None:
        return len(LONGEST) + 1, True
    (group,) = mark.args
    early = LONGEST.index(group) if group in LONGEST else len(LONGEST)
    return early, item.path.parent.name != group


def pytest_runtest_setup(item: pytest.Item) -> None:
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    if room in ROOMS_WITHOUT_NETWORK:
        pytest_socket.disable_socket(allow_unix_socket=True)


def pytest_runtest_teardown() -> None:
    pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def worker() -> None:
    """The app, indexed by the worker, and a key pair: both before any loop runs."""
    indexed()
    registry_rows()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> Memory:
    """Empty stores, which `site` uses."""
    return Memory(clock)


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Settings of the site without their REGISTRY_; a test has its own by `indirect`."""
    own: Mapping[str, str] = getattr(request, "param", {})
    return own


@pytest.fixture
def environment(
    worker: None, memory: Memory, clock: Clock, settings: Mapping[str, str]
) -> Iterator[None]:
    """Settings, ports and clock in place of the real ones."""
    with patched(memory, clock, settings):
        yield


@pytest.fixture
async def site(environment: None, memory: Memory, clock: Clock) -> AsyncIterator[Site]:
    """A registry of its own, with a client that knows its admin."""
    async with open_site(memory, clock) as opened:
        yield opened
