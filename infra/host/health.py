"""Health: whether the process lives, and whether it is to be sent requests."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from infra.devhost.stopping import Stopping
from shared.storage import keys
from shared.storage.ports import NotPrepared, Ports
from shared.storage.rows.registries import RegistryRecords

LIVE, READY = "/health/live", "/health/ready"

_KEPT_SECONDS = 5.0
_LOOK_SECONDS = 3.0
_ANY = "any"
_log = logging.getLogger(__name__)

type Look = Callable[[], Awaitable[None]]
"""Looks at what the host needs, and raises where it is away."""


class Health:
    """Answers probes, which nobody logs in for.

    What was found holds for some seconds, and all who ask meanwhile wait for the same look: it
    costs no more, however often strangers ask.
    """

    def __init__(self, look: Look, leaving: Stopping) -> None:
        self._look, self._leaving = look, leaving
        self._looked = float("-inf")
        self._fault = "nobody has looked yet"
        self._looking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for LIVE or READY."""
        answer = await self._answer(scope["method"], scope["path"])
        if scope["method"] == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        if method not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        if path == LIVE or await self.is_ready():
            return _said("ok", 200)
        return _said("leaving" if self._leaving.is_set() else "not ready: the log says why", 503)

    async def is_ready(self) -> bool:
        """Tell whether requests may come."""
        if self._leaving.is_set():
            return False
        if time.monotonic() - self._looked > _KEPT_SECONDS:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look_once())
            await asyncio.shield(self._looking)
        return not self._fault and not self._leaving.is_set()

    async def _look_once(self) -> None:
        fault = ""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._look()
        except TimeoutError:
            fault = f"storage has not answered within {_LOOK_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready
            fault = _told(error)
        if fault != self._fault:
            _log.log(
                *((logging.WARNING, "Not ready: %s", fault) if fault else (logging.INFO, "Ready."))
            )
        self._fault, self._looked, self._looking = fault, time.monotonic(), None


async def look_at(ports: Ports, records: RegistryRecords, name: str) -> None:
    """Ask each service of storage for one thing, and open the registry's keys where it is there.

    Who has another master key, or none, would answer every request with a fault. Raises what the
    first that fails raises.
    """
    asked = (
        records.find(name),
        ports.objects.facts(_ANY),
        ports.messages.peek(keys.EVENTS, 1),
    )
    async with asyncio.TaskGroup() as group:
        for call in asked:
            group.create_task(_answered(call))


async def _answered(call: Awaitable[object]) -> None:
    with contextlib.suppress(NotPrepared):  # it is made by the first request that needs it
        await call


def _told(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error).partition("\n")[0]


def _said(text: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return PlainTextResponse(f"{text}\n", status, headers)
