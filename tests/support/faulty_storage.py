"""A relay between an app and the emulator that breaks calls, in ways that a seed brings back.

    before   the connection ends before the call took effect
    after    the call took effect, and the connection ends without an answer
    refused  503, and nothing happened
    denied   the call took effect, and the answer is 500
    slow     the call takes effect a while later, and is answered
    late     the connection ends, and the call takes effect a while later

A service can also be cut off for a while: then every call to it is broken before it takes effect.
Messages that are put can come twice, late and out of order besides (`faulty_queues`).
"""

import asyncio
import io
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from aiohttp import web
from yarl import URL

from infra.devhost.storage import Azurite
from tests.support.faulty_queues import Deliveries, Delivery, is_put

SERVICES = ("blob", "queue", "table")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host"}


class Fault(StrEnum):
    """How a call is broken."""

    BEFORE = "before"
    AFTER = "after"
    REFUSED = "refused"
    DENIED = "denied"
    SLOW = "slow"
    LATE = "late"


@dataclass
class Chances:
    """How likely each fault is, in calls; `seconds` is the longest that a call is kept back."""

    of: Mapping[Fault, float] = field(default_factory=dict)
    seconds: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Begin the row of draws."""
        self._random = random.Random(self.seed)

    def draw(self) -> Fault | None:
        """Say what becomes of the next call."""
        drawn = self._random.random()
        for fault, chance in self.of.items():
            drawn -= chance
            if drawn < 0:
                return fault
        return None

    def pause(self) -> float:
        """Say for how many seconds a call is kept back."""
        return self._random.random() * self.seconds


class FaultyStorage:
    """The emulator as an app sees it through the relay."""

    def __init__(self, emulator: Azurite, chances: Chances, deliveries: Deliveries) -> None:
        self._emulator = emulator
        self.chances = chances
        self.deliveries = deliveries
        self.counts: Counter[tuple[str, str]] = Counter()
        self._cut_off: set[str] = set()
        self._ports: dict[str, int] = {}
        self._late: set[asyncio.Task[object]] = set()

    @property
    def connection_string(self) -> str:
        """Give what AzureWebJobsStorage is to be set to."""
        text = self._emulator.connection_string
        for service, port in zip(SERVICES, self._emulator.ports, strict=True):
            text = text.replace(f":{port}/", f":{self._ports[service]}/")
        return text

    @contextmanager
    def without(self, *services: str) -> Iterator[None]:
        """Cut services off for a while."""
        self._cut_off |= set(services)
        try:
            yield
        finally:
            self._cut_off -= set(services)

    async def start(self) -> None:
        """Listen, a port for each service."""
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=120),
            connector=aiohttp.TCPConnector(limit=0),
        )
        self._runners = [await self._listen(service) for service in SERVICES]

    async def stop(self) -> None:
        """Let what is late take effect, and end."""
        if self._late:
            longest = max(self.chances.seconds, self.deliveries.seconds)
            await asyncio.wait(self._late, timeout=longest + 5)
        for runner in self._runners:
            await runner.cleanup()
        await self._client.close()

    async def _listen(self, service: str) -> web.ServerRunner:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(service, request)

        server = web.Server(handle)
        runner = web.ServerRunner(server, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._ports[service] = runner.addresses[0][1]
        return runner

    async def _handle(self, service: str, request: web.BaseRequest) -> web.StreamResponse:
        body = b"".join([piece async for piece in request.content.iter_any()])
        fault = Fault.BEFORE if service in self._cut_off else self.chances.draw()
        self.counts[service, fault or "well"] += 1
        match fault:
            case Fault.BEFORE:
                return _hang_up(request)
            case Fault.REFUSED:
                return web.Response(status=503, headers={"x-ms-error-code": "ServerBusy"})
            case Fault.AFTER:
                await self._forward(service, request, body)
                return _hang_up(request)
            case Fault.DENIED:
                await self._forward(service, request, body)
                return web.Response(status=500, headers={"x-ms-error-code": "InternalError"})
            case Fault.LATE:
                self._send_late(service, request, body, self.chances.pause())
                return _hang_up(request)
            case Fault.SLOW:
                await asyncio.sleep(self.chances.pause())
        return await self._deliver(service, request, body)

    async def _deliver(self, service: str, request: web.BaseRequest, body: bytes) -> web.Response:
        """Pass a call on; a message that is put, as it is drawn."""
        is_message = service == "queue" and is_put(request.method, request.raw_path)
        drawn = self.deliveries.draw() if is_message else frozenset()
        if Delivery.TWICE in drawn:
            self._send_late(service, request, body, self.deliveries.pause())
        if Delivery.LATE in drawn:
            target = self.deliveries.later(self._target(service, request))
            headers = {name: it for name, it in request.headers.items() if name != "Authorization"}
            return await self._send(request.method, target, headers, body)
        return await self._forward(service, request, body)

    def _send_late(
        self, service: str, request: web.BaseRequest, body: bytes, seconds: float
    ) -> None:
        async def send() -> None:
            await asyncio.sleep(seconds)
            with suppress(aiohttp.ClientError):
                await self._forward(service, request, body)

        task: asyncio.Task[object] = asyncio.create_task(send())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _target(self, service: str, request: web.BaseRequest) -> URL:
        port = self._emulator.ports[SERVICES.index(service)]
        return URL(f"http://127.0.0.1:{port}{request.raw_path}", encoded=True)

    async def _forward(self, service: str, request: web.BaseRequest, body: bytes) -> web.Response:
        target = self._target(service, request)
        return await self._send(request.method, target, request.headers, body)

    async def _send(
        self, method: str, target: URL, headers: Mapping[str, str], body: bytes
    ) -> web.Response:
        async with self._client.request(
            method,
            target,
            headers=_kept(headers),
            skip_auto_headers=["Content-Type", "User-Agent", "Accept-Encoding"],  # they are signed
            data=io.BytesIO(body) if body else None,
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
            return web.Response(status=answer.status, headers=_kept(answer.headers), body=content)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


def _hang_up(request: web.BaseRequest) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)


@contextmanager
def faulty(
    emulator: Azurite, chances: Chances, deliveries: Deliveries | None = None
) -> Iterator[FaultyStorage]:
    """Run the relay in a thread of its own."""
    relay = FaultyStorage(emulator, chances, deliveries or Deliveries())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(relay.start(), loop).result(60)
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(relay.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
