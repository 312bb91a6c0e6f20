"""Sizes: how large a body may be, and how long it may take.

The Functions host refuses bodies over FUNCTIONS_REQUEST_BODY_SIZE_LIMIT with 500, before it has
read them or while it does; and it reads a body with a length whole before any function starts. Of a
chunked body it counts what frames the chunks as well. A host that streams takes all.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx

from infra.azure.smoke.asking.bodies import KIB, MIB, Body, digest_of, size_text
from infra.azure.smoke.asking.wire import Answer
from infra.azure.smoke.checking import Room
from infra.azure.smoke.checks.uploading import (
    begin,
    finish,
    next_location,
    send_chunked,
    send_whole,
)
from infra.azure.smoke.findings import Differs, broken
from infra.azure.smoke.options import Options
from infra.azure.smoke.site import Site, rate

room = Room("size")

type Send = Callable[[Site, Body], Awaitable[Answer]]

_SLOWEST = MIB // 2
"""Bytes a second; whoever has less takes a smaller --largest."""

_FRAMES = 64
"""One part of so many of the limit is left for the frames of chunks, which take less."""

_FINER = 8
_REFUSALS = {413, 500}
_DRIP = 8 * KIB
_SLACK_SECONDS = 120


def _promise(options: Options) -> str:
    if not options.limit:
        return f"bodies of any size are taken, here to {size_text(options.largest)}"
    limit = f"bodies to the host's limit of {size_text(options.limit)} are taken"
    if options.limit >= options.largest:
        return f"{limit}, here to {size_text(options.largest)}"
    return f"{limit}, one with a byte more is refused with 500 or cut off"


def _seconds(options: Options) -> float:
    return _SLACK_SECONDS + 4 * options.largest / _SLOWEST


@room.check("with a length", _promise, _seconds)
async def with_length(site: Site) -> str:
    """Push as docker 29, containerd, crane and oras do: one PUT with a Content-Length."""
    return await _grow(site, _whole, site.options.limit)


@room.check("without a length", _promise, _seconds)
async def without_length(site: Site) -> str:
    """Push as docker up to 28, podman and buildah do: one PATCH that is chunked."""
    limit = site.options.limit
    return await _grow(site, _chunked, limit - limit // _FRAMES)


async def _whole(site: Site, body: Body) -> Answer:
    return await send_whole(site, await begin(site), body)


async def _chunked(site: Site, body: Body) -> Answer:
    answer = await send_chunked(site, await begin(site), body.stream())
    if answer.status != httpx.codes.ACCEPTED:
        return answer
    return await finish(site, next_location(site, answer), body.digest)


async def _grow(site: Site, send: Send, fits: int) -> str:
    """Send bodies, each twice as large as the one before, to what fits, and one over the limit."""
    options, took, fastest = site.options, 0, ""
    for size in _growing(options, fits):
        refusal, speed = await _refusal(site, send, size)
        if refusal and size == options.limit + 1:
            return f"up to {size_text(took)} ({fastest}); {size_text(size)}: {refusal}"
        if refusal:
            raise Differs(await _refused(site, send, took, size, refusal))
        took, fastest = size, speed
    if took == options.limit + 1:
        raise Differs(f"{size_text(took)} are taken: the host's limit is not {options.limit}")
    return f"up to {size_text(took)} ({fastest})"


def _growing(options: Options, fits: int) -> Sequence[int]:
    """Give 1 MiB, 2 MiB, 4 MiB and so on, the largest that fits, and what does not."""
    most = min(options.largest, fits or options.largest)
    doubled = [size for power in range(64) if (size := MIB << power) < most]
    beyond = [options.limit + 1] if options.limit and options.limit < options.largest else []
    return [*doubled, most, *beyond]


async def _refusal(site: Site, send: Send, size: int) -> tuple[str, str]:
    """Send a body; say how it was refused, if it was, and how fast it went."""
    began = time.monotonic()
    try:
        answer = await send(site, Body(size))
    except httpx.TransportError as error:
        return f"{broken(error)} after {time.monotonic() - began:.1f} s", ""
    seconds = time.monotonic() - began
    if answer.status == httpx.codes.CREATED:
        return "", rate(size, seconds)
    if answer.status not in _REFUSALS:
        answer.expect(201)
    return f"{answer.status} after {seconds:.1f} s", ""


async def _refused(site: Site, send: Send, took: int, refused: int, refusal: str) -> str:
    """Find where the limit lies, about, and say what that means."""
    while refused - took > max(MIB, took // _FINER):
        between = (took + refused) // 2
        again, _ = await _refusal(site, send, between)
        took, refused = (took, between) if again else (between, refused)
        refusal = again or refusal
    told = f"up to {size_text(took)}; {size_text(refused)}: {refusal}"
    if site.options.limit:
        return f"{told}: the host's limit is not {site.options.limit}"
    return f"{told}; if this is the Functions host, say its --limit, else what is before the app?"


@room.check(
    "slow upload",
    lambda options: f"an upload that goes on for {options.slow:.0f} s is taken",
    lambda options: options.slow + _SLACK_SECONDS,
)
async def slow(site: Site) -> str:
    """Send a few bytes each second, for longer than a platform's idle and request limits."""
    began, drips = time.monotonic(), _Drips(site.options.slow)
    try:
        patience = site.wire.patience + site.options.slow
        answer = await send_chunked(site, await begin(site), drips.stream(), patience)
    except httpx.TransportError as error:
        raise Differs(f"{broken(error)} after {time.monotonic() - began:.1f} s") from error
    if answer.status != httpx.codes.ACCEPTED:
        raise Differs(f"{answer.status} after {time.monotonic() - began:.1f} s: {answer.shown}")
    ended = await finish(site, next_location(site, answer), digest_of(drips.sent))
    return f"{ended.expect(201).status} after {time.monotonic() - began:.1f} s"


class _Drips:
    """A body that comes drop by drop for some seconds, and is small."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.sent = b""

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the body."""
        began = time.monotonic()
        while time.monotonic() - began < self._seconds:
            drop = Body(_DRIP).whole
            self.sent += drop
            yield drop
            await asyncio.sleep(min(1.0, self._seconds / 4))
