"""How soon receivers are told: 200 pushes a minute to one that is well, beside one that is not."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from infra.devhost.storage import Azurite
from shared.administration import administration
from shared.services.webhooks.configuration.registering import Wish
from shared.settings import Settings
from tests.support import flows
from tests.support.hosts import Registry, running, settings_of
from tests.support.images import image
from tests.support.receivers import Receiver, is_silent, nobody_listens

REPOSITORY = "team/app"
PAUSE = 60 / 200
PATIENCE_SECONDS = 120

BESIDE = ("nobody", "one that refuses connections", "one that never answers")


@dataclass(frozen=True, slots=True)
class Told:
    """Seconds from a push's answer until its receiver had it, and how often the other was tried."""

    seconds: Sequence[float]
    attempts: str


def run(minutes: float) -> None:
    """Measure beside each, and print a table."""
    count = round(minutes * 60 / PAUSE)
    print(f"{count} pushes each, 200 a minute; load before: {os.getloadavg()[0]:.1f}")
    print("| beside | half within, s | 99 % within, s | all within, s | attempts at the other |")
    print("|---|---|---|---|---|")
    for beside in BESIDE:
        told = _measure(beside, count)
        percentile = statistics.quantiles(told.seconds, n=100, method="inclusive")[98]
        print(
            f"| {beside} | {statistics.median(told.seconds):.2f} | {percentile:.2f}"
            f" | {max(told.seconds):.2f} | {told.attempts} |",
            flush=True,
        )
    print(f"load after: {os.getloadavg()[0]:.1f}")


def _measure(beside: str, count: int) -> Told:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        storage = stack.enter_context(Azurite(folder / "storage"))
        settings = settings_of(storage, REGISTRY_OUTBOUND_ALLOW="127.0.0.0/8")
        _, registry = stack.enter_context(running(settings, folder / "log"))
        well = stack.enter_context(Receiver())
        ill = stack.enter_context(Receiver(is_silent))
        urls = {BESIDE[0]: "", BESIDE[1]: nobody_listens(), BESIDE[2]: ill.url()}
        return asyncio.run(_told(Settings.from_env(settings), registry, well, urls[beside], count))


async def _told(
    settings: Settings, registry: Registry, well: Receiver, other: str, count: int
) -> Told:
    async with administration(settings, settings.registry_name) as here:
        assert here
        await here.webhooks.create("healthy", Wish(uri=well.url(), is_tagged_only=True))
        if other:
            await here.webhooks.create("other", Wish(uri=other, is_tagged_only=True))
        pushed = await asyncio.to_thread(_push, registry, count)
        got = await asyncio.to_thread(well.wait_for, count + 1, PATIENCE_SECONDS)
        came = {
            tag: next(one.at for one in got if f'"{tag}"'.encode() in one.body) for tag in pushed
        }
        seconds = [came[tag] - moment for tag, moment in pushed.items()]
        if not other:
            return Told(seconds, "")
        there = await here.webhooks.show("other")
        events = await here.replays.events(there, limit=1_000)
        return Told(seconds, str(sum(one.attempts for one in events)))


def _push(registry: Registry, count: int) -> Mapping[str, float]:
    """Push an image under one tag after the other; tell when each was answered."""
    built = image(seed=1, layers=1)
    flows.push(registry, REPOSITORY, built, "first")
    pushed: dict[str, float] = {}
    with flows.connect(registry, REPOSITORY) as client:
        for number in range(count):
            began = time.monotonic()
            flows.push_manifest(client, REPOSITORY, built.manifest, f"t{number}")
            pushed[f"t{number}"] = time.time()
            time.sleep(max(0.0, PAUSE - (time.monotonic() - began)))
    return pushed
