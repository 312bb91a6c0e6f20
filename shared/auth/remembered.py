"""What a process remembers for a while: some values under keys, each until its end."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple


class _Kept[Value](NamedTuple):
    value: Value
    end: float


class Remembered[Key: Hashable, Value]:
    """Up to `limit` values; where there are more, the ones that were kept first are forgotten."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._kept: OrderedDict[Key, _Kept[Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """Give the value under a key, or None where its end has come."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if self._now() >= kept.end:
            del self._kept[key]
            return None
        return kept.value

    def keep(self, key: Key, value: Value, end: float) -> None:
        """Remember a value until `end`, by the clock that `now` reads."""
        self._kept[key] = _Kept(value, end)
        self._kept.move_to_end(key)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def forget(self, key: Key) -> None:
        """Forget a value before its end."""
        self._kept.pop(key, None)
