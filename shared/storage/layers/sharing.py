"""Shared reads: callers who wait for the same row at the same time share one call to the store.

A caller may only join a read that starts after it asked. So what it gets is never older than a
write that was acknowledged before it asked (promise 5), and a hot tag costs one read for each
round trip to the store, however many nodes pull it. For each row at most one read runs and one
waits:

    first asks         read 1 starts
    second, third ask  read 2 waits for read 1 to end, and is for both
    read 1 ends        first is answered; read 2 starts
    fourth asks        read 3 waits for read 2

Where read 1 hangs, read 2 does not wait for its end: it starts after some seconds all the same.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from shared.storage.layers.passing import PassingRows
from shared.storage.ports import Row, Rows

type _Key = tuple[str, str, str, tuple[str, ...] | None]
type _Read = asyncio.Task[Row | None]


WAITING_SECONDS = 5.0
"""How long a read waits for the one before it: some hundred times as long as that takes."""


@dataclass(slots=True)
class _Line:
    running: _Read
    waiting: _Read | None = None


class SharedRows(PassingRows):
    """Rows whose point reads are shared; all else goes straight to the store."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self._lines: dict[_Key, _Line] = {}

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row, together with those who ask for it at the same time."""
        place = (table, partition, key, None if only is None else tuple(only))
        return await asyncio.shield(self._join(place))

    def _join(self, place: _Key) -> _Read:
        line = self._lines.get(place)
        if line is None:
            read = asyncio.create_task(self._rows.get(*place))
            self._begin(place, read)
            return read
        if line.waiting is None:
            line.waiting = asyncio.create_task(self._read_after(line, place))
        return line.waiting

    async def _read_after(self, line: _Line, place: _Key) -> Row | None:
        await asyncio.wait([line.running], timeout=WAITING_SECONDS)
        self._leave(place, line)
        return await self._rows.get(*place)

    def _begin(self, place: _Key, read: _Read) -> None:
        """Note which read runs: who asks from now on waits for the one after it."""
        line = self._lines[place] = _Line(read)
        read.add_done_callback(lambda _: self._end(place, line))

    def _end(self, place: _Key, line: _Line) -> None:
        if not line.running.cancelled():
            line.running.exception()  # nobody may be left to hear a failure
        self._leave(place, line)

    def _leave(self, place: _Key, line: _Line) -> None:
        """Let the read that waits run, or forget the line, unless that was done before."""
        if self._lines.get(place) is not line:
            return
        if line.waiting is None:
            del self._lines[place]
        else:
            self._begin(place, line.waiting)
