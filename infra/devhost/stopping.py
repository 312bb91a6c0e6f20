"""The signal to stop, which ends every pause."""

import asyncio
import contextlib


class Stopping(asyncio.Event):
    """Set once, when the host is to end; listeners then take on nothing new."""

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the host is to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), seconds)
