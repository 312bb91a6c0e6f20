"""What Azure's tables refuse: such a call is a fault of the caller, and no store would take it."""

import re
from collections.abc import Mapping, Sequence

from shared.storage.ports import (
    COMMIT_BYTES,
    KEY_CHARACTERS,
    MOST_CHANGES,
    ROW_BYTES,
    VALUE_BYTES,
    Change,
    Delete,
    Value,
)

_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_MOST_VALUES = 252

_ROW, _NAME, _NUMBER = 4, 8, 8
"""How Azure counts a row: for itself, for each name, for a value that is neither text nor bytes."""

_ENVELOPE = 512
"""About what goes over the wire with each change beside its values."""


def check(partition: str, changes: Sequence[Change]) -> None:
    """Raise ValueError where Azure would refuse a transaction whatever the rows are."""
    if len(changes) > MOST_CHANGES:
        raise ValueError(f"a transaction takes {MOST_CHANGES} changes, not {len(changes)}")
    if len({change.key for change in changes}) < len(changes):
        raise ValueError("a transaction takes one change of each row")
    for key in (partition, *(change.key for change in changes)):
        _check_key(key)
    sent = sum(_ENVELOPE + sum(map(_sent, values_of(change).values())) for change in changes)
    if sent > COMMIT_BYTES:
        raise ValueError(f"a transaction takes {COMMIT_BYTES} bytes, not {sent}")


def check_row(partition: str, key: str, values: Mapping[str, Value]) -> None:
    """Raise ValueError where Azure would refuse a row as it would be after a change."""
    if len(values) > _MOST_VALUES:
        raise ValueError(f"a row takes {_MOST_VALUES} values: {key}")
    for name, value in values.items():
        if _size(value) > VALUE_BYTES:
            raise ValueError(f"a value takes {VALUE_BYTES} bytes: {name} of {key}")
    named = sum(_NAME + 2 * len(name) + _size(value) for name, value in values.items())
    if _ROW + 2 * (len(partition) + len(key)) + named > ROW_BYTES:
        raise ValueError(f"a row takes {ROW_BYTES} bytes: {key}")


def values_of(change: Change) -> Mapping[str, Value]:
    """Give the values that a change brings."""
    return {} if isinstance(change, Delete) else change.values


def _check_key(key: str) -> None:
    if _FORBIDDEN.search(key):
        raise ValueError(f"a key takes no / \\ # ? or control character: {key!r}")
    if len(key) > KEY_CHARACTERS:
        raise ValueError(f"a key takes {KEY_CHARACTERS} characters: {key!r}")


def _size(value: Value) -> int:
    """Give the bytes that a value takes in a row."""
    if isinstance(value, str):
        return len(value.encode("utf-16-le"))
    return len(value) if isinstance(value, bytes) else _NUMBER


def _sent(value: Value) -> int:
    """Give the bytes that a value takes on its way: JSON, in which bytes are base64."""
    if isinstance(value, str):
        return len(value.encode())
    return 4 * len(value) // 3 if isinstance(value, bytes) else _ENVELOPE // 16
