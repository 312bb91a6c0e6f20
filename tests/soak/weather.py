"""What happens to a registry while clients act: what breaks, how often, and for how long.

All of it is drawn from the seed of the run. Which call meets which draw is up to the run itself.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.faulty_queues import Deliveries, Delivery
from tests.support.faulty_storage import Chances, Fault, FaultyStorage
from tests.support.hosts import Host, HostError

FACTOR = 20
"""How much faster time goes by: L, the quarter of an hour, schedules and outages are divided."""

OUTAGE_SECONDS = 600 / FACTOR
LONGEST_DELAY = 100 / FACTOR
"""L: no call takes effect later than that."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong: calls, messages, whole services, hosts that are killed, clocks that jump.

    A service is away for `outage` seconds each time.
    """

    faults: Mapping[Fault, float] = field(default_factory=dict)
    deliveries: Mapping[Delivery, float] = field(default_factory=dict)
    outages: Sequence[str] = ()
    outage: float = OUTAGE_SECONDS
    has_kills: bool = False
    jump_seconds: float = 0.0
    hosts: int = 1

    @property
    def needs_relay(self) -> bool:
        """Tell whether anything goes wrong between hosts and storage."""
        return bool(self.faults or self.deliveries or self.outages)

    def chances(self, seed: int) -> Chances:
        """Give what becomes of calls."""
        return Chances(self.faults, LONGEST_DELAY, seed)

    def drawn_deliveries(self, seed: int) -> Deliveries:
        """Give what becomes of messages."""
        return Deliveries(self.deliveries, 3 * LONGEST_DELAY, seed)


CALM = Weather()
STORM = Weather(faults=dict.fromkeys(Fault, 0.01))
LOOSE_QUEUES = Weather(deliveries={Delivery.TWICE: 0.2, Delivery.LATE: 0.2})
KILLS = Weather(has_kills=True)
CLOCKS = Weather(jump_seconds=600 / FACTOR, hosts=2)
ALL_AT_ONCE = Weather(
    faults=dict.fromkeys(Fault, 0.005),
    deliveries=LOOSE_QUEUES.deliveries,
    outages=("table", "queue", "blob"),
    outage=2 * LONGEST_DELAY,
    has_kills=True,
    jump_seconds=CLOCKS.jump_seconds,
)


def outage(service: str) -> Weather:
    """Ten minutes without a service, again and again."""
    return Weather(outages=(service,))


type Trouble = Callable[[threading.Event], None]


def cut_off(relay: FaultyStorage, services: Sequence[str], seconds: float) -> Trouble:
    """Cut off each service in its turn, with a minute and more in between."""

    def run(over: threading.Event) -> None:
        turn = 0
        while not over.wait(OUTAGE_SECONDS / 6):
            with relay.without(services[turn % len(services)]):
                over.wait(seconds)
            turn += 1

    return run


def kill(host: Host, seed: int) -> Trouble:
    """Kill a host at random, and start it again."""
    draws = random.Random(f"{seed} {host.port}")

    def run(over: threading.Event) -> None:
        while not over.wait(draws.uniform(2, 10)):
            host.kill()
            over.wait(draws.uniform(0, 2))
            _start(host)

    return run


def _start(host: Host) -> None:
    """Start a host, which does not while it finds no storage."""
    deadline = time.monotonic() + 3 * OUTAGE_SECONDS
    while True:
        try:
            host.start()
        except HostError:
            if time.monotonic() > deadline:
                raise
        else:
            return
