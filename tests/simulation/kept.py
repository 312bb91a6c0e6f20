"""Stores of a simulated world: rows and messages in memory that can be copied, and told apart."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Self

from shared.storage import keys
from shared.storage.memory.messages import MemoryMessages
from shared.storage.memory.rows import MemoryRows
from shared.storage.ports import Change, Delete, Insert, Row, Value
from tests.support.clock import Clock
from tests.support.messages import addressed


class NumberedRows(MemoryRows):
    """Rows whose ETags count the writes of their partition, not those of the world.

    So two writes to different partitions lead to the same state in either order. `told` are all
    events that there ever were, `lost` those that went before they were handed on, `ended` the
    lives of manifests that are over. `commits` are all that went well, where they are kept.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._writes: dict[tuple[str, str], int] = {}
        self._said: dict[tuple[str, str], Mapping[str, int]] = {}
        self.marks: dict[tuple[str, str], int] = {}
        self.told: dict[str, Mapping[str, Value]] = {}
        self.lost: list[str] = []
        self.ended: list[str] = []
        self.commits: list[tuple[str, str, Sequence[Change]]] | None = None

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes, or none."""
        place, groups = (table, partition), self._tables[table]
        before = groups.get(partition, {})
        groups[partition] = dict(before)  # others may look at it as it was
        self._versions = count(self._writes.get(place, 0) + 1)
        etags = await super().commit(table, partition, changes)
        self._note(changes, before)
        if self.commits is not None:
            self.commits = [*self.commits, (table, partition, changes)]
        self._writes[place] = self._writes.get(place, 0) + len(changes)
        self._mark(place, [change.key for change in changes])
        return etags

    def _mark(self, place: tuple[str, str], changed: Sequence[str]) -> None:
        table, partition = place
        there = self._tables[table][partition]
        said = {key: hash(repr(there[key])) for key in changed if key in there}
        kept = self._said.get(place, {}).items()
        said |= {key: one for key, one in kept if key in there and key not in changed}
        self._said[place], self.marks[place] = said, hash(frozenset(said.values()))

    def _note(self, changes: Sequence[Change], before: Mapping[str, Row]) -> None:
        for change in changes:
            if isinstance(change, Insert) and change.key.startswith("deleted|"):
                self.ended = [*self.ended, keys.last_part(change.key)]
            if not change.key.startswith("outbox|"):
                continue
            if isinstance(change, Insert):
                self.told = {**self.told, change.key: change.values}
            elif isinstance(change, Delete) and "state" not in before[change.key].values:
                self.lost = [*self.lost, change.key]

    def copy(self, clock: Clock) -> Self:
        """Give another store with the same rows."""
        other = type(self)(clock)
        other._tables = {table: dict(groups) for table, groups in self._tables.items()}
        other._writes, other.marks = dict(self._writes), dict(self.marks)
        other._said = dict(self._said)
        other.told, other.lost, other.ended = self.told, self.lost, self.ended
        other.commits = self.commits
        return other


class TimedMessages(MemoryMessages):
    """Messages that tell when they were sent. `heard` are the places of those that were read."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.moments: list[datetime] = []
        self.heard: set[int] = set()

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue."""
        await super().send(queue, body, delay_seconds)
        self.moments.append(self._clock())

    def next_of(self, queue: str) -> int | None:
        """Give the place of the message that is to be seen next."""
        waiting = [
            (self.moments[place] + timedelta(seconds=delay), place)
            for place, (where, _, delay) in enumerate(addressed(self.sent))
            if where == queue and place not in self.heard
        ]
        return min(waiting)[1] if waiting else None

    def copy(self, clock: Clock) -> Self:
        """Give other queues with the same messages."""
        other = type(self)(clock)
        other._queues = set(self._queues)
        other.sent[:], other.moments[:] = self.sent, self.moments
        other.heard = set(self.heard)
        return other
