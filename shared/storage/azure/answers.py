"""Answers of Azure Storage: when its own clock says that one was given, and how long we wait.

What others rely on ends in time, its repetitions with it: Azure carries out a call for at most 30
seconds after it came, so one that is cut off after seven tenths of L takes effect within L.

Hosts' clocks differ, by minutes if something is wrong; so how old a row or an object is, is the
answer's `Date` less the time that Azure noted at the last write. `Date` counts whole seconds.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from shared.storage import ages
from shared.storage.ports import Unavailable


def in_time[**P, T](
    call: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """End a call, with all its tries, so that it takes effect within L; raises Unavailable."""

    @functools.wraps(call)
    async def ended(*args: P.args, **kwargs: P.kwargs) -> T:
        span = ages.L * 7 / 10
        try:
            async with asyncio.timeout(span.total_seconds()):
                return await call(*args, **kwargs)
        except TimeoutError:
            raise Unavailable(f"storage did not answer within {span.total_seconds():g} s") from None

    return ended


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
