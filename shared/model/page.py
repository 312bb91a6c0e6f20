"""Pages of lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page[Item]:
    """Some items in order, whether more follow them, and what the next page goes on after."""

    items: Sequence[Item]
    has_more: bool
    last: str


def cut_page[Item](found: Sequence[Item], limit: int, name: Callable[[Item], str]) -> Page[Item]:
    """Make a page of up to `limit` items out of one more than that, if there are."""
    items = found[:limit]
    return Page(items, len(found) > limit > 0, name(items[-1]) if items else "")
