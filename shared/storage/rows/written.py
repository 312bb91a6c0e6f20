"""What is written down of registries beside their rows, for the day when those are lost.

`registries` (in this room) writes it before each change of a row. The objects of a generation are
its state one after the other; the newest one that can be read counts. Of two generations with one
name, both there, the one with content is meant: the other's making was given up, or has just begun.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Self

from shared.storage import keys
from shared.storage.ports import NotFound, NotPrepared, Objects, Row
from shared.storage.rows.registries import (
    ACTIVE,
    RegistryRecord,
    StateRefused,
    check_layout,
    record_of,
)

_log = logging.getLogger(__name__)

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class _State:
    """What a registry was from a moment on."""

    name: str
    generation: str
    state: str
    written: datetime
    row: Row

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read an object; raises ValueError for what is none."""
        try:
            said = json.loads(body)
            name, state = str(said.pop("name")), str(said.pop("state"))
            written = datetime.fromisoformat(said.pop("written")).astimezone(UTC)
            return cls(name, str(said["generation"]), state, written, Row(name, said))
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"it does not say what it is: {error!r}") from error


class Written:
    """What is written down; `objects` are the content of the same storage account."""

    def __init__(self, beside: Objects, objects: Objects) -> None:
        self._beside = beside
        self._objects = objects

    async def registries(self) -> Mapping[str, RegistryRecord]:
        """Give the registries that are to be there, in the order of their names, without keys.

        Raises StateRefused.
        """
        best: dict[str, tuple[tuple[bool, datetime], _State]] = {}
        for state in _latest(await self._states()):
            if state.state != ACTIVE:
                continue
            rank = await self._has_content(state.generation), state.written
            if state.name not in best or best[state.name][0] < rank:
                best[state.name] = rank, state
        for _, state in best.values():
            check_layout(state.row)
        return {name: record_of(state.row) for name, (_, state) in sorted(best.items())}

    async def is_lost(self, name: str) -> bool:
        """Tell of a registry without a row whether it had one: it has content."""
        for state in _latest(await self._states()):
            is_it = state.name == name and state.state == ACTIVE
            if is_it and await self._has_content(state.generation):
                return True
        return False

    async def _states(self) -> list[_State]:
        found: list[_State] = []
        position = ""
        while True:
            names, position = await self._beside.page("", position, _PAGE)
            read = [await self._read(name) for name in names if keys.is_of_registry(name)]
            found += filter(None, read)
            if not position:
                return found

    async def _read(self, name: str) -> _State | None:
        try:
            return _State.read(b"".join([piece async for piece in self._beside.read(name)]))
        except NotFound:
            return None
        except ValueError as error:
            _log.warning("object %s says nothing of a registry: %s", name, error)
            return None

    async def _has_content(self, generation: str) -> bool:
        prefix, position = keys.object_name(generation, ""), ""
        try:
            while True:
                names, position = await self._objects.page(prefix, position, 1)
                if names or not position:
                    return bool(names)
        except NotPrepared:
            return False


def _latest(states: list[_State]) -> Iterator[_State]:
    """Give the newest state of each generation."""
    by_generation = attrgetter("generation")
    for _, group in groupby(sorted(states, key=by_generation), key=by_generation):
        yield max(group, key=attrgetter("written"))


def lost(name: str) -> StateRefused:
    """Say that a registry's row is lost, and what to do."""
    return StateRefused(
        f"the row of registry {name} is lost, and its content is not: it is not made anew, empty;"
        " bring it back with python -m infra.admin rebuild"
    )
