"""Answers of Azure Storage: when its own clock says that one was given, and how long we wait.

What others rely on ends in time, its repetitions with it: Azure carries out a call for at most 30
seconds after it came, so one that is cut off after seven tenths of L takes effect within L. Most
calls end sooner, as somebody waits for them who had better hear that we are busy; only those have
so long that carry content, or read many rows in several calls.

Hosts' clocks differ, by minutes if something is wrong; so how old a row or an object is, is the
answer's `Date` less the time that Azure noted at the last write. `Date` counts whole seconds.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from shared.storage import ages
from shared.storage.ports import Unavailable

PATIENCE = timedelta(seconds=15)
"""How long storage has for a call that carries no content, with all its tries."""

type _Call[**P, T] = Callable[P, Coroutine[Any, Any, T]]


def in_time[**P, T](call: _Call[P, T]) -> _Call[P, T]:
    """End a call, with all its tries, so that it takes effect within L; raises Unavailable."""

    @functools.wraps(call)
    async def ended(*args: P.args, **kwargs: P.kwargs) -> T:
        return await _within(_longest(), call(*args, **kwargs))

    return ended


def soon[**P, T](call: _Call[P, T]) -> _Call[P, T]:
    """End a call for which somebody waits, with all its tries; raises Unavailable."""

    @functools.wraps(call)
    async def ended(*args: P.args, **kwargs: P.kwargs) -> T:
        return await patiently(call(*args, **kwargs))

    return ended


async def patiently[T](call: Awaitable[T]) -> T:
    """Await a call for which somebody waits; raises Unavailable."""
    return await _within(min(PATIENCE, _longest()), call)


def _longest() -> timedelta:
    return ages.L * 7 / 10


async def _within[T](span: timedelta, call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(span.total_seconds()):
            return await call
    except TimeoutError:
        raise Unavailable(f"storage did not answer within {span.total_seconds():g} s") from None


class Answered:
    """When the last answer was given; the SDK calls it with each one as `raw_response_hook`."""

    def __init__(self) -> None:
        self._at: datetime | None = None

    def __call__(self, response: Any) -> None:
        """Note an answer's time."""
        self._at = parsedate_to_datetime(response.http_response.headers["Date"])

    def since(self, moment: datetime) -> timedelta:
        """Give the time from a moment to the answer."""
        if self._at is None:
            raise ValueError("there was no answer yet")
        return max(self._at - moment, timedelta())
