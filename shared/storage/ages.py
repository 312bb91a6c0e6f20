"""Ages: the one span of time that invariants over several calls to storage may rely on."""

from collections.abc import Callable
from datetime import timedelta

L = timedelta(seconds=100)
"""How late a call to storage can take effect, its repetitions with it (they end within this).

Who relies on two calls of one request together makes them within half of it (`Span`). A row older
than twice this was not written by a request that is still under way. Ages are the store's own
(`Row.age`), never a host's.
"""


class Span:
    """A time that begins now: the half of L that what a request relies on stays good for."""

    def __init__(self, ticks: Callable[[], float], length: timedelta | None = None) -> None:
        """Begin it; `ticks` counts the seconds of this process, and never goes back."""
        self._ticks = ticks
        self._seconds = (L / 2 if length is None else length).total_seconds()
        self._end = ticks() + self._seconds

    @property
    def is_over(self) -> bool:
        """Tell whether it is too late to rely on it."""
        return self._ticks() > self._end

    @property
    def is_half_over(self) -> bool:
        """Tell whether less than half of it is left."""
        return self._ticks() > self._end - self._seconds / 2
