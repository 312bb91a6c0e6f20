"""Ports of storage: rows, objects and messages, in words that any store could keep.

Three Protocols say all that the registry asks of a store, a fourth what it asks of a vault. Each
has two adapters, Azure and memory, which pass the same contract suite (`tests/contract`). Azure's
exceptions end inside the adapter: out come the four errors below.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

type Value = str | int | bool | bytes | datetime

LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""When a row was written that no store has written."""

ANY = "*"
"""The condition that a row is there, whatever its ETag."""


class StorageError(Exception):
    """What a store may answer instead of doing what it was asked."""


class NotFound(StorageError):
    """The row or object is not there; `index` is the place of the change that missed it."""

    def __init__(self, what: str, index: int = 0) -> None:
        super().__init__(f"{what} is not there")
        self.index = index


class Rotten(NotFound):
    """The bytes are there, and are not those that were stored: nobody is given them."""


class Conflict(StorageError):
    """The row or object is there already, or has changed; `index` is the place of the change."""

    def __init__(self, what: str, index: int = 0) -> None:
        super().__init__(f"{what} is there already, or has changed")
        self.index = index


class NotPrepared(StorageError):
    """The table, container or queue itself is missing: `prepare` makes it."""


class Unavailable(StorageError):
    """The store did not answer, or is busy; the same call may be repeated after `seconds`."""

    def __init__(self, what: str, seconds: int = 1) -> None:
        super().__init__(what)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a partition. `etag` is empty in a row that was not read from a store.

    `age` is the time since it was last written, by the store's own clock; at most a second less.
    `written` is when that was: it tells which of two rows of a partition was written first.
    """

    key: str
    values: Mapping[str, Value] = field(default_factory=dict)
    etag: str = ""
    age: timedelta = field(default=timedelta(), compare=False)
    written: datetime = field(default=LONG_AGO, compare=False)


@dataclass(frozen=True, slots=True)
class RowsPage:
    """Rows of several partitions, each with the name of its partition, in order.

    `position` is where the next page begins; empty after the last one. It means something to the
    store alone, which takes it at any later time, and has at most POSITION_CHARACTERS.
    """

    rows: Sequence[tuple[str, Row]]
    position: str


@dataclass(frozen=True, slots=True)
class Insert:
    """Add a row; Conflict where the key is taken."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Put:
    """Add a row, or replace it whole."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Add a row, or change the values named and keep the others."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Update:
    """Change the values named; NotFound without the row, Conflict with another `etag` (but ANY)."""

    key: str
    values: Mapping[str, Value]
    etag: str = ANY


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row; NotFound without it, Conflict with another `etag` (but ANY)."""

    key: str
    etag: str = ANY


type Change = Insert | Put | Upsert | Update | Delete

MOST_CHANGES = 100
"""How many changes one transaction takes."""

VALUE_BYTES = 65_536
"""The size of the largest `bytes` value."""

ROW_BYTES = 1024 * 1024
"""The size of the largest row, its names and key with it."""

COMMIT_BYTES = 4 * 1024 * 1024
"""The size of the largest transaction, as it goes over the wire."""

KEY_CHARACTERS = 512
"""The length of the longest key, and of the longest name of a partition."""

POSITION_CHARACTERS = 16 * 1024
"""The length of the longest position of a page."""


class Rows(Protocol):
    """Tables of rows, each row under (table, partition, key); keys sort by code point.

    Every method raises NotPrepared where the table is missing, Unavailable where the store fails.
    """

    async def prepare(self, tables: Sequence[str]) -> None:
        """Make the tables that are missing."""
        ...

    async def get(
        self, table: str, partition: str, key: str, only: Sequence[str] | None = None
    ) -> Row | None:
        """Read one row, or None; `only` names the values wanted."""
        ...

    async def scan(  # noqa: PLR0913 - a range has two ends, a size and two filters
        self,
        table: str,
        partition: str,
        *,
        after: str,
        before: str,
        limit: int,
        where: Mapping[str, str] | None = None,
        only: Sequence[str] | None = None,
    ) -> list[Row]:
        """Read up to `limit` rows with keys strictly between `after` and `before`, sorted by key.

        `where` keeps only rows with these very values. One call to the store for 1,000 rows.
        """
        ...

    async def page(
        self,
        table: str,
        *,
        first: str,
        before: str,
        position: str,
        limit: int,
        only: Sequence[str] | None = None,
    ) -> RowsPage:
        """Read up to `limit` rows of the partitions from `first` on that sort before `before`.

        They come by partition, then by key. One call to the store: a page may have fewer rows than
        there are, or none, and be followed by others all the same. The first page is at the empty
        position; another position is one that a page of the same range gave.
        """
        ...

    async def commit(self, table: str, partition: str, changes: Sequence[Change]) -> list[str]:
        """Make all changes, each to another row, or none; at most MOST_CHANGES.

        Gives the new ETags, in the order of the changes; of what is deleted, an empty one.

        Raises:
            NotFound, Conflict: a change's condition did not hold; `index` is its place.
        """
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """A staged piece of an object: its id and its size in bytes."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a whole object without reading it.

    `etag` is another one for each object that ever has the name; `age` is the time since the
    object was made, by the store's own clock; at most a second less.
    """

    size: int
    metadata: Mapping[str, str]
    etag: str = field(default="", compare=False)
    age: timedelta = field(default=timedelta(), compare=False)


class Objects(Protocol):
    """Objects of bytes, each whole from the first; a name is free again once its object is removed.

    Every method raises NotPrepared without the container, Unavailable where the store fails.
    """

    async def prepare(self) -> None:
        """Make the container where it is missing."""
        ...

    async def stage(self, name: str, block_id: str, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece of an object to be; the same id again replaces the piece.

        Ids are up to 48 characters of ASCII, all of one object of the same length.
        """
        ...

    async def staged(self, name: str) -> list[Block]:
        """List the staged pieces that are not part of an object yet, in no order; may be empty."""
        ...

    async def commit(self, name: str, block_ids: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Make the object out of staged pieces, in this order; give its ETag.

        Raises:
            Conflict: an object of this name is there already.
            NotFound: a piece is not staged.
        """
        ...

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Make a small object at once, and give its ETag; Conflict where the name is taken."""
        ...

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Put a small object in the place of the one with this ETag; give the new one's.

        Raises Conflict where there is another, or none.
        """
        ...

    async def facts(self, name: str) -> Facts | None:
        """Tell an object's size and metadata, or None (staged pieces are not an object)."""
        ...

    async def page(self, prefix: str, position: str, limit: int) -> tuple[list[str], str]:
        """List up to `limit` names that begin so, in order, and the position that goes on.

        The first page is at the empty position, and so is what follows the last one.
        """
        ...

    def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Stream `length` bytes from `start` on, in pieces of a few MiB at the most.

        Raises NotFound, before the first piece, without the object.
        """
        ...

    async def delete(self, name: str, etag: str) -> bool:
        """Remove the object with this ETag; False where there is none (any more)."""
        ...

    async def url(self, name: str, seconds: int) -> str:
        """Sign an address from which anyone may read the object for so many seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """A text that was taken from a queue, and the receipt that lets it be deleted."""

    id: str
    body: str
    receipt: str


MOST_RECEIVED = 32
"""How many texts one call takes from a queue."""

LONGEST_DELAY = timedelta(days=7)
"""For how long a queue keeps a text back."""


class Messages(Protocol):
    """Queues of small texts. Every method raises NotPrepared and Unavailable as the others do."""

    async def prepare(self, queues: Sequence[str]) -> None:
        """Make the queues that are missing."""
        ...

    async def send(self, queue: str, body: str, delay_seconds: int = 0) -> None:
        """Put a text on a queue; it is seen after the delay (at most LONGEST_DELAY)."""
        ...

    async def receive(self, queue: str, limit: int, hidden_seconds: int) -> list[Received]:
        """Take up to `limit` texts (at most MOST_RECEIVED) that are seen now.

        They stay on the queue, and are hidden for so long from all who ask.
        """
        ...

    async def delete(self, queue: str, received: Received) -> bool:
        """Remove a text that was received; False where it is gone, or was received again since."""
        ...

    async def peek(self, queue: str, limit: int) -> list[str]:
        """Give up to `limit` texts (at most MOST_RECEIVED) that are seen now, and leave them."""
        ...


class VaultRefused(Unavailable):
    """The vault did not do what it was asked; says what to do, since an operator has to."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A secret as only the vault can read it, and which version of the vault's key wrapped it."""

    version: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """What only the vault can have made of a message, and the version of its key that did."""

    version: str
    data: bytes


class Vault(Protocol):
    """A key that never leaves its vault; it has versions, of which the newest wraps and signs.

    Every method raises VaultRefused.
    """

    @property
    def key(self) -> str:
        """The key's identifier, without a version."""
        ...

    async def wrap(self, secret: bytes) -> Wrapped:
        """Wrap a short secret."""
        ...

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        """Give back what was wrapped."""
        ...

    async def sign(self, message: bytes) -> Signature:
        """Sign a message."""
        ...

    async def verify(self, message: bytes, signature: Signature) -> bool:
        """Tell whether this is the vault's signature; of a version it is asked for once."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The three kinds of storage; `beside` are objects that are no content."""

    rows: Rows
    objects: Objects
    messages: Messages
    beside: Objects
