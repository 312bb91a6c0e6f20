"""Strangers: requests that nobody should send end, and others are served meanwhile."""

import asyncio
import re

from infra.azure.smoke.checking import Room
from infra.azure.smoke.findings import Differs
from infra.azure.smoke.site import Site

room = Room("strangers")

_HANG_UPS = 200
_AT_ONCE = 20
_AFTER = 10
_ANSWERED = re.compile(r"HTTP/1\.\d \d{3}")
_REFUSED = re.compile(r"HTTP/1\.\d (?!401)[45]\d\d")  # 401 is what the request itself would get
_GET = b"GET /v2/ HTTP/1.1"


async def _answers_still(site: Site) -> str:
    """See that whoever comes now is served."""
    answers = [(await site.wire.ask("GET", "/v2/")).expect(401) for _ in range(_AFTER)]
    slowest = max(answer.seconds for answer in answers)
    return f"then {_AFTER} requests answered, the slowest after {slowest:.2f} s"


async def _ends(site: Site, header: bytes) -> str:
    try:
        line = await site.wire.send_raw(_GET, header)
    except TimeoutError:
        raise Differs(f"no answer within {site.wire.patience:.0f} s") from None
    told = line.decode(errors="replace").strip() or "the connection is closed"
    return f"{told}; {await _answers_still(site)}"


@room.check(
    "invocation id", "a request with an x-ms-invocation-id of its own ends, and does no harm"
)
async def invocation_id(site: Site) -> str:
    """Send what the host would add itself."""
    return await _ends(site, b"x-ms-invocation-id: 0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f")


@room.check("control byte", "a request with a control byte in a header is refused")
async def control_byte(site: Site) -> str:
    """Send what web servers refuse, each at another place."""
    seen = await _ends(site, b"X-Smoke: \x01")
    if _ANSWERED.match(seen) and not _REFUSED.match(seen):
        raise Differs(f"{seen}: it was taken for a request like any other")
    return seen


@room.check("hang up", f"{_HANG_UPS} clients that hang up at once leave nothing behind")
async def hang_up(site: Site) -> str:
    """Ask, and do not wait for the answer; then see whether others still get theirs."""
    crowd = asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with crowd, site.wire.raw(_GET):
            pass

    await asyncio.gather(*(one() for _ in range(_HANG_UPS)))
    return await _answers_still(site)
