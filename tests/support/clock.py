"""Time and chance that tests hold in their hands."""

from datetime import UTC, datetime, timedelta
from itertools import count


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def ticks(self) -> float:
        """Count the seconds."""
        return self.now.timestamp()

    def move(self, **span: float) -> None:
        """Move on, or back: `hours=-2`."""
        self.now += timedelta(**span)


class Ids:
    """Ids of 32 hexadecimal digits, one after the other."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self) -> str:
        """Give the next one."""
        return f"{next(self._numbers):016x}{0:016x}"
