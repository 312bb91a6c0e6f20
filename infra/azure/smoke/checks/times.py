"""Times: how long it takes to the first byte of an answer, cold and warm."""

import asyncio
import statistics

from infra.azure.smoke.asking.wire import PATIENCE
from infra.azure.smoke.checking import Room
from infra.azure.smoke.findings import Differs, NotChecked
from infra.azure.smoke.site import Site

cold = Room("time")
warm = Room("time")

_PROMISE = f"is answered within the {PATIENCE:.0f} s for which containerd waits"


@cold.check("cold", f"the first request after a pause {_PROMISE}", lambda it: it.cold + 60)
async def first(site: Site) -> str:
    """Ask for nothing for a while, then once."""
    if not site.options.cold:
        raise NotChecked("give --cold SECONDS, longer than the platform keeps an idle instance")
    await asyncio.sleep(site.options.cold)
    answer = (await site.wire.ask("GET", "/v2/")).expect(401)
    return f"{answer.seconds:.2f} s after {site.options.cold:.0f} s without a request"


@warm.check("warm", f"each pull of a manifest {_PROMISE}", lambda it: 60 + it.requests * 5)
async def following(site: Site) -> str:
    """Read a manifest again and again, one after the other."""
    path = f"{site.path}/manifests/{site.pushed.tags[0]}"
    asked = range(site.options.requests)
    took = [(await site.ask("GET", path)).expect(200).seconds for _ in asked]
    half, percentile = statistics.median(took), statistics.quantiles([*took, took[-1]], n=100)[98]
    told = f"{len(took)} requests: half within {half * 1000:.0f} ms"
    if max(took) > PATIENCE:
        raise Differs(f"{told}, the slowest {max(took):.1f} s")
    return f"{told}, 99% within {percentile * 1000:.0f} ms, the slowest {max(took) * 1000:.0f} ms"
