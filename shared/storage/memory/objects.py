"""Objects in memory."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.storage.ports import (
    Block,
    Conflict,
    Facts,
    NotFound,
    NotPrepared,
)

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    metadata: Mapping[str, str]
    etag: str
    made: datetime


@dataclass(slots=True)
class _Container:
    objects: dict[str, _Object] = field(default_factory=dict)
    staged: dict[str, dict[str, bytes]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter[str])


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryObjects:
    """Objects in one dictionary, staged pieces in another; ETags count the objects of a name."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._container: _Container | None = None

    async def prepare(self) -> None:
        """Make the container where it is missing."""
        self._container = self._container or _Container()

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be; the same id again replaces the piece."""
        pieces = self._open().staged.setdefault(name, {})
        if any(len(block_id) != len(other) for other in pieces):
            raise ValueError("all ids of an object have one length")
        pieces[block_id] = bytes(data)

    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces that are not part of an object yet."""
        pieces = self._open().staged.get(name, {})
        return [Block(block_id, len(data)) for block_id, data in pieces.items()]

    async def commit(self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Make the object out of staged pieces, and forget the others."""
        pieces = self._open().staged.get(name, {})
        if name in self._open().objects:
            raise Conflict(f"object {name}")
        if not pieces.keys() >= set(block_ids):
            raise NotFound(f"a piece of object {name}")
        return await self.put(name, b"".join(pieces[block_id] for block_id in block_ids), metadata)

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Make a small object at once."""
        container = self._open()
        if name in container.objects:
            raise Conflict(f"object {name}")
        container.made[name] += 1
        etag = f'"{container.made[name]}"'
        container.objects[name] = _Object(data, dict(metadata), etag, self._clock())
        container.staged.pop(name, None)
        return etag

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Put a small object in the place of the one with this ETag."""
        if not await self.delete(name, etag):
            raise Conflict(f"object {name}")
        return await self.put(name, data, {})

    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata, or None."""
        found = self._open().objects.get(name)
        if found is None:
            return None
        return Facts(len(found.data), found.metadata, found.etag, self._clock() - found.made)

    async def page(self, prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        """List some names; a position is the last name before it."""
        names = sorted(name for name in self._open().objects if name.startswith(prefix))
        found = [name for name in names if name > position][:limit]
        return found, found[-1] if found and found[-1] != names[-1] else ""

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Stream `length` bytes from `start` on."""
        found = self._open().objects.get(name)
        if found is None:
            raise NotFound(f"object {name}")
        end = len(found.data) if length is None else min(start + length, len(found.data))
        for at in range(start, end, PIECE_BYTES):
            yield found.data[at : min(at + PIECE_BYTES, end)]

    async def delete(self, name: str, etag: str) -> bool:
        """Remove the object with this ETag; False where there is none (any more)."""
        container = self._open()
        found = container.objects.get(name)
        if found is None or found.etag != etag:
            return False
        del container.objects[name]
        container.staged.pop(name, None)
        return True

    async def url(self, name: str, seconds: int) -> str:
        """Name the object; nothing serves this address."""
        return f"memory:///{name}?seconds={seconds}"

    def _open(self) -> _Container:
        if self._container is None:
            raise NotPrepared("the container is not there")
        return self._container
