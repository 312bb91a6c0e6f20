"""Transactions: the changes of one partition that belong together, one for each row.

What several reasons want of one row is one change: `latest` moves from an image to an index that
contains it, and the image's row is told of both.
"""

from collections.abc import Iterable, Iterator, Mapping

from shared.storage.ports import (
    ANY,
    Change,
    Delete,
    Insert,
    Put,
    Update,
    Upsert,
    Value,
)


class Transaction:
    """Changes in the order in which their rows were first named."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._changes: dict[str, Change] = {}
        self.add(*changes)

    def add(self, *changes: Change) -> None:
        """Add changes; one of a row that is named already is merged with the other."""
        for change in changes:
            there = self._changes.get(change.key)
            self._changes[change.key] = change if there is None else _merged(there, change)

    def with_all(self, changes: Iterable[Change]) -> "Transaction":
        """Give another one with these changes too."""
        return Transaction([*self, *changes])

    def __iter__(self) -> Iterator[Change]:
        """Go through the changes."""
        return iter(self._changes.values())

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._changes)


def _merged(one: Change, two: Change) -> Change:
    if isinstance(one, Delete) or isinstance(two, Delete | Insert | Put):
        raise ValueError(f"two changes of row {one.key} cannot be one")  # noqa: TRY004 - of what it says, not of its type
    values: Mapping[str, Value] = {**one.values, **two.values}
    if isinstance(one, Update) and isinstance(two, Update):
        return Update(one.key, values, two.etag if one.etag == ANY else one.etag)
    if isinstance(one, Update):
        return Update(one.key, values, one.etag)
    if isinstance(one, Insert):
        return Insert(one.key, values)
    return (Put if isinstance(one, Put) else Upsert)(one.key, values)
