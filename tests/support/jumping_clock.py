"""A clock that jumps: every few seconds it is off by another time, forwards or back."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_STAYS = 3.0


class JumpingClock:
    """Tells the time in UTC, off by up to so many seconds; a seed brings the jumps back."""

    def __init__(
        self, seconds: float, seed: str, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._seed, self._ticks = seconds, seed, ticks
        self._began = ticks()

    def __call__(self) -> datetime:
        """Tell the time."""
        return datetime.now(UTC) + self.offset()

    def offset(self) -> timedelta:
        """Tell how far off the clock is now."""
        jump = int((self._ticks() - self._began) / _STAYS)
        drawn = random.Random(f"{self._seed} {jump}").uniform(-1, 1)
        return timedelta(seconds=drawn * self._seconds)
