"""Timers of several replicas: one ticks, and when it goes, another."""

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devhost.conftest import DevHost, write_app
from tests.host.conftest import MODULE
from tests.support.waiting import until

pytestmark = pytest.mark.emulator


@pytest.fixture
def replicas(settings: dict[str, str], tmp_path: Path) -> Iterator[tuple[DevHost, DevHost]]:
    """Two on one app, whose functions note in one file."""
    name = f"t{uuid.uuid4().hex[:16]}"
    own = {"QUEUE": name, "CONTAINER": "x", "SCHEDULE": "* * * * * *"}
    own |= {**settings, "AzureFunctionsWebHost__hostid": name}
    app = write_app(tmp_path / "app")
    arguments = ("--listen", "127.0.0.1", "--port", "0", "--plane", "all")
    hosts = [DevHost(app, *arguments, module=MODULE, **own) for _ in range(2)]
    for host in hosts:
        host.until_printed("listens on")
    yield hosts[0], hosts[1]
    for host in hosts:
        host.process.kill()
        host.process.communicate()


def ticks(host: DevHost) -> list[tuple[int, int]]:
    """Give the second and the process of each tick, in order."""
    noted = [note for note in host.notes("tick") if "end" not in note]
    return [(round(note["at"]), note["pid"]) for note in noted]


def test_a_timer_ticks_once_and_goes_on_with_the_other(
    replicas: tuple[DevHost, DevHost],
) -> None:
    one, _ = replicas
    until(lambda: len(ticks(one)) >= 4, 15)
    (first,) = {pid for _, pid in ticks(one)}
    leader = next(host for host in replicas if host.process.pid == first)
    other = next(host for host in replicas if host is not leader)
    assert leader.end(signal.SIGTERM) == (0, "")
    until(lambda: ticks(one)[-1][1] == other.process.pid, 10)
    until(lambda: [pid for _, pid in ticks(one)].count(other.process.pid) >= 2, 10)
    seconds = [second for second, _ in ticks(one)]
    assert seconds == sorted(set(seconds))
