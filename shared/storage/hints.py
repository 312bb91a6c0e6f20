"""Hints: what this process has seen in storage, and expects to find there still.

A hint is never an answer. It only chooses which conditional write is tried first; a wrong one
costs the try, not the truth.
"""

from collections import OrderedDict
from collections.abc import Hashable


class Hints:
    """The keys seen last, up to a number of them."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._seen

    def add(self, key: Hashable) -> None:
        """Expect to find a row there."""
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
