"""Signed addresses, given out again while they are young.

Signing one takes longer than all else that a redirect is made of but the read of its row. What is
given out is good for at least three quarters of the time that was asked for.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

_SHARE = 4

type _Place = tuple[str, int]


class _Signed(NamedTuple):
    address: str
    key: object
    at: datetime


class Addresses:
    """The addresses signed last, up to a number of them (of some 600 bytes each)."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._signed: OrderedDict[_Place, _Signed] = OrderedDict()

    def get(self, name: str, seconds: int, key: object, now: datetime) -> str | None:
        """Give the address signed with this very key for so many seconds, if it is young."""
        kept = self._signed.get((name, seconds))
        if kept is None or kept.key is not key:
            return None
        age = now - kept.at
        is_young = timedelta(0) <= age <= timedelta(seconds=seconds) / _SHARE
        return kept.address if is_young else None

    def keep(self, name: str, seconds: int, key: object, now: datetime, address: str) -> None:
        """Keep an address that is signed now; those signed longest ago give way."""
        self._signed[name, seconds] = _Signed(address, key, now)
        self._signed.move_to_end((name, seconds))
        if len(self._signed) > self._limit:
            self._signed.popitem(last=False)
