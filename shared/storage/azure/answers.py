"""Answers of Azure Storage: when its own clock says that one was given.

Hosts' clocks differ, by minutes if something is wrong; so how old a row or an object is, is the
answer's `Date` less the time that Azure noted at the last write. `Date` counts whole seconds.
"""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any


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
