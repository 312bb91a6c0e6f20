"""Pages of lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Page[Item]:
    """Some items in order, and whether more follow them."""

    items: Sequence[Item]
    has_more: bool

    @classmethod
    def cut(cls, items: Sequence[Item], limit: int) -> Self:
        """Make a page of up to `limit` items out of one more than that, if there are."""
        return cls(items[:limit], has_more=len(items) > limit > 0)
