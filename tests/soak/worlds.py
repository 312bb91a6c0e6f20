"""A world for a soak: an emulator, hosts that live faster, and the weather between them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.devhost.storage import Azurite
from shared.storage import ages
from tests.soak.weather import FACTOR, Trouble, Weather, cut_off, kill
from tests.support.faulty_storage import FaultyStorage, faulty
from tests.support.hosts import Host, Registry, running, settings_of

GRACE_SECONDS = 24
QUIET_SECONDS = 4 * (GRACE_SECONDS + 400 / FACTOR)
_HOST = "tests.support.scaled_host"


@dataclass(frozen=True, slots=True)
class World:
    """What the actors act in, and what they are told of it."""

    emulator: Azurite
    relay: FaultyStorage | None
    hosts: Sequence[Host]
    registries: Sequence[Registry]
    settings: Mapping[str, str]
    weather: Weather
    folder: Path

    @property
    def witness(self) -> Path:
        """Where the witness writes."""
        return self.folder / "witness"

    def told(self) -> str:
        """Give what the hosts said last."""
        return "\n".join(host.log()[-5_000:] for host in self.hosts)

    def told_of(self, words: Iterable[str]) -> list[str]:
        """Give the lines in which the hosts named any of these."""
        lines = (line for host in self.hosts for line in host.whole_log().splitlines())
        return [line for line in lines if any(word in line for word in words)]

    @asynccontextmanager
    async def troubled(self, seed: int) -> AsyncIterator[None]:
        """Let things go wrong for a while, and all be well afterwards."""
        over = threading.Event()
        async with asyncio.TaskGroup() as group:
            for trouble in self._troubles(seed):
                group.create_task(asyncio.to_thread(trouble, over))
            try:
                yield
            finally:
                over.set()
                if self.relay:
                    self.relay.chances.of = {}
                    self.relay.deliveries.of = {}

    def _troubles(self, seed: int) -> Iterator[Trouble]:
        if self.relay and self.weather.outages:
            yield cut_off(self.relay, self.weather.outages, self.weather.outage)
        if self.weather.has_kills:
            yield from (kill(host, seed) for host in self.hosts)


@contextmanager
def world(
    emulator: Azurite, folder: Path, weather: Weather, seed: int, host: str = _HOST, **more: str
) -> Iterator[World]:
    """Run hosts in the fast world, in that weather; it begins when the actors do."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(ages, "L", ages.L / FACTOR)
        chances, deliveries = weather.chances(seed), weather.drawn_deliveries(seed)
        relay = None
        if weather.needs_relay:
            relay = stack.enter_context(faulty(emulator, chances, deliveries))
        settings = settings_of(
            emulator,
            AzureWebJobsStorage=(relay or emulator).connection_string,
            REGISTRY_BLOB_REDIRECTS="false",
            REGISTRY_GRACE_SECONDS=str(GRACE_SECONDS),
            REGISTRY_SOFT_DELETE_DAYS="0",
            REGISTRY_OUTBOUND_ALLOW="127.0.0.1",
            REGISTRY_WEBHOOK_EVENT_DAYS="14",
            TIME_FACTOR=str(FACTOR),
            WITNESS=str(folder / "witness"),
            CLOCK_JUMPS=str(weather.jump_seconds),
            **more,
        )
        there = [
            stack.enter_context(
                running({**settings, "CLOCK_SEED": f"{seed} {n}"}, folder / f"log{n}", module=host)
            )
            for n in range(weather.hosts)
        ]
        hosts, registries = [one for one, _ in there], [one for _, one in there]
        yield World(emulator, relay, hosts, registries, settings, weather, folder)
