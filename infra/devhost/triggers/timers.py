"""Timer triggers: fire on schedule, on one host at a time, and make up for a missed run."""

import asyncio
import contextlib
import json
import logging
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import BlobLeaseClient

from infra.devhost.invocations import Call, Invoker
from infra.devhost.memory import Memory
from infra.devhost.settings import StartError, expand
from infra.devhost.stopping import Stopping
from infra.devhost.triggers.ncrontab import Schedule, ScheduleError, parse
from infra.devhost.worker import Function, TypedData

_KIND = "timers"
_LEASE_SECONDS = 15
_RENEWAL_SECONDS = 5
_CONFLICT = 409
_MONITORED_FROM = timedelta(minutes=1)
_log = logging.getLogger(__name__)

type Status = dict[str, str]
"""Last, Next and LastUpdated, as the real host writes them."""


class TimerListener:
    """Runs one timer-triggered function while this host holds the function's lease."""

    def __init__(self, function: Function, invoker: Invoker, memory: Memory) -> None:
        self._function, self._invoker, self._memory = function, invoker, memory
        self._name = f"Host.Functions.{function.name}"
        self._status_name = f"{self._name}/status"
        self._schedule = _schedule(function)
        first = self._schedule.next_after(_now())
        is_frequent = self._schedule.next_after(first) - first < _MONITORED_FROM
        self._is_monitored = function.trigger.get("useMonitor", True) and not is_frequent
        self._starts_with_a_run = function.trigger.get("runOnStartup", False)
        self._status: Status | None = None

    async def run(self, stopping: Stopping) -> None:
        """Fire until the host is to end."""
        while not stopping.is_set():
            try:
                lease = await self._acquire()
                if lease:
                    await self._fire_while_held(lease, stopping)
            except AzureError as error:
                _log.warning("timer %s: %s", self._function.name, error)
            await stopping.pause(_RENEWAL_SECONDS)

    async def _acquire(self) -> BlobLeaseClient | None:
        blob = self._memory.blob("locks", f"{self._name}.Listener")
        try:
            if not await blob.exists():
                await blob.upload_blob(b"")
            return await blob.acquire_lease(_LEASE_SECONDS)
        except HttpResponseError as error:
            if error.status_code == _CONFLICT:  # another host holds it
                return None
            raise

    async def _fire_while_held(self, lease: BlobLeaseClient, stopping: Stopping) -> None:
        renewal = asyncio.create_task(_renew(lease))
        try:
            await self._fire_on_schedule(stopping, renewal)
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            with contextlib.suppress(AzureError):
                await lease.release()

    async def _fire_on_schedule(self, stopping: Stopping, renewal: asyncio.Task[None]) -> None:
        if self._starts_with_a_run:
            self._starts_with_a_run = False
            await self._fire(is_past_due=False)
        next_run = await self._recall()
        is_past_due = next_run < _now()
        while await _reached(next_run, stopping, renewal):
            await self._fire(is_past_due=is_past_due)
            is_past_due = False
            next_run = self._schedule.next_after(max(_now(), next_run))

    async def _recall(self) -> datetime:
        """Give the next run: the one foreseen, unless nothing was or the schedule has changed."""
        status = await self._memory.read(_KIND, self._status_name) if self._is_monitored else None
        with contextlib.suppress(LookupError, ValueError, TypeError):
            last, foreseen = (
                datetime.fromisoformat((status or {})[key]) for key in ("Last", "Next")
            )
            if foreseen == self._schedule.next_after(last):
                self._status = status
                return foreseen
        now = _now()
        await self._remember(now)
        return self._schedule.next_after(now)

    async def _remember(self, last: datetime) -> None:
        if self._is_monitored:
            self._status = {
                "Last": last.isoformat(),
                "Next": self._schedule.next_after(last).isoformat(),
                "LastUpdated": _now().isoformat(),
            }
            await self._memory.write(_KIND, self._status_name, self._status)

    async def _fire(self, *, is_past_due: bool) -> None:
        started = _now()
        request = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status,
            "IsPastDue": is_past_due,
        }
        data = TypedData(json=json.dumps(request))
        details = "UnscheduledInvocationReason: IsPastDue" if is_past_due else ""
        reason = f"Timer fired at {started.isoformat()}"
        call = Call(reason, {self._function.trigger["name"]: data}, details=details)
        await self._invoker.run(self._function, call)
        await self._remember(started)


async def _reached(moment: datetime, stopping: Stopping, renewal: asyncio.Task[None]) -> bool:
    while not stopping.is_set() and not renewal.done():
        seconds = (moment - _now()).total_seconds()
        if seconds <= 0:
            return True
        await stopping.pause(min(seconds, _RENEWAL_SECONDS))
    return False


async def _renew(lease: BlobLeaseClient) -> None:
    while True:
        await asyncio.sleep(_RENEWAL_SECONDS)
        await lease.renew()


def _schedule(function: Function) -> Schedule:
    try:
        return parse(expand(function.trigger["schedule"]))
    except ScheduleError as error:
        raise StartError(f"{function.name}: {error}") from error


def _now() -> datetime:
    return datetime.now(UTC)
