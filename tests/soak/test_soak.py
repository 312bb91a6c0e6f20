"""Many clients at once, for a while: every promise holds, in calm and in storm.

The hosts live faster: what the registry takes for granted of time is divided by FACTOR there, and
so are the grace period and the outages here.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from tests.soak import leftovers
from tests.soak.run import Outcome, Size, soak
from tests.support.faulty_storage import Chances, Fault, FaultyStorage, faulty
from tests.support.hosts import Host, Registry, running, settings_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3_600)]

FACTOR = 20
GRACE_SECONDS = 40
OUTAGE_SECONDS = 600 / FACTOR
QUIET_SECONDS = 4 * (GRACE_SECONDS + 400 / FACTOR)

STORM = dict.fromkeys(Fault, 0.01)


@contextmanager
def served(
    emulator: Azurite, log: Path, chances: Chances
) -> Iterator[tuple[FaultyStorage, Host, Registry]]:
    """Run a registry in the fast world, on storage that may break."""
    with faulty(emulator, chances) as storage:
        settings = settings_of(
            emulator,
            AzureWebJobsStorage=storage.connection_string,
            REGISTRY_BLOB_REDIRECTS="false",
            REGISTRY_GRACE_SECONDS=str(GRACE_SECONDS),
            REGISTRY_SOFT_DELETE_DAYS="0",
            TIME_FACTOR=str(FACTOR),
        )
        with running(settings, log, module="tests.support.scaled_host") as (host, registry):
            yield storage, host, registry


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    """How much happens."""
    return Size(request.config.getoption("--operations"))


def hurt(
    emulator: Azurite, log: Path, size: Size, do: Callable[[FaultyStorage, Host], None]
) -> Outcome:
    """Let many act while something is done to storage, or to the host."""
    with served(emulator, log, Chances()) as (storage, host, registry):
        doing = threading.Thread(target=do, args=(storage, host))
        doing.start()
        outcome = asyncio.run(soak(registry, size, seed=3))
        doing.join()
        return settled(emulator, log, outcome)


def settled(emulator: Azurite, log: Path, outcome: Outcome) -> Outcome:
    """Wait until all is quiet; nothing is left then, and nothing went wrong."""
    asyncio.run(leftovers.quiet(emulator.connection_string, QUIET_SECONDS))
    assert not leftovers.rows(emulator.connection_string, "outbox")
    assert not leftovers.rows(emulator.connection_string, "deleted")
    kept = set(leftovers.digests(emulator.connection_string))
    assert {it.digest for actor in outcome.actors for it in actor.mine.live()} <= kept
    assert not outcome.did["500"], log.read_text()[-5000:]
    return outcome


@pytest.mark.parametrize("chances", [{}, STORM], ids=["calm", "storm"])
def test_promises_hold(
    emulator: Azurite, tmp_path: Path, size: Size, chances: dict[Fault, float]
) -> None:
    log = tmp_path / "log"
    with served(emulator, log, Chances(chances, 100 / FACTOR)) as (storage, _, registry):
        outcome = asyncio.run(soak(registry, size, seed=1))
        storage.chances.of = {}
        settled(emulator, log, outcome)
    assert {fault for _, fault in storage.counts} >= set(chances)


@pytest.mark.parametrize("service", ["table", "queue", "blob"])
def test_promises_hold_through_an_outage(
    emulator: Azurite, tmp_path: Path, size: Size, service: str
) -> None:
    def cut_off(storage: FaultyStorage, _: Host) -> None:
        time.sleep(3)
        with storage.without(service):
            time.sleep(OUTAGE_SECONDS)

    outcome = hurt(emulator, tmp_path / "log", size, cut_off)

    assert outcome.did["503"]


def test_promises_hold_when_the_host_is_killed(
    emulator: Azurite, tmp_path: Path, size: Size
) -> None:
    def kill(_: FaultyStorage, host: Host) -> None:
        for pause in (5, 5, 5, 5):
            time.sleep(pause)
            host.kill()
            host.start()

    outcome = hurt(emulator, tmp_path / "log", size, kill)

    assert outcome.did["broken connection"]
