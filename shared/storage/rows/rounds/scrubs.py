"""What the registry found of its bytes: how far the scrub is, and what was bad or missing.

    registries   scrub|GENERATION   position   where the scrub goes on, and what it has counted
                                    bad|HEX    an object that was found bad, or missing: of which
                                               digest and repository, when, and when it was healed

These rows are reports. What is done about an object goes by the rows of its digest and repository;
it is noted before, so that nothing leaves service that no report tells of.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self, cast

import orjson

from shared.model.digest import Digest
from shared.storage import keys
from shared.storage.ports import (
    Change,
    Conflict,
    Delete,
    Insert,
    NotFound,
    Put,
    Row,
    Rows,
    Update,
    Value,
)

BAD, MISSING = "bad", "missing"
"""What is wrong with an object."""

COPY = "copy"
"""An object that has a copy of a manifest's body, which is in its row."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An object that is BAD or MISSING, and what it had: a BLOB, a MANIFEST's body, or a COPY."""

    object: str
    kind: str
    repository: str
    digest: Digest
    what: str
    found: datetime
    healed: datetime | None = None
    etag: str = field(default="", compare=False)

    @classmethod
    def read(cls, generation: str, row: Row) -> Self:
        """Read what was noted."""
        values = row.values
        return cls(
            object=keys.object_name(generation, keys.last_part(row.key)),
            kind=str(values["kind"]),
            repository=str(values["repository"]),
            digest=Digest.parse(str(values["digest"])),
            what=str(values["what"]),
            found=cast("datetime", values["found"]),
            healed=cast("datetime | None", values.get("healed")),
            etag=row.etag,
        )


@dataclass(slots=True)
class Round:
    """What a round of the scrub has come upon so far: objects and bytes verified, and the others.

    `skipped` were verified lately, or are too young; `handed` go on behind the queue, as they are
    large; of the `failed` nothing is known.
    """

    began: datetime
    ended: datetime | None = None
    objects: int = 0
    bytes: int = 0
    skipped: int = 0
    handed: int = 0
    bad: int = 0
    missing: int = 0
    failed: int = 0

    @classmethod
    def read(cls, text: str) -> "Round | None":
        """Read what `text` wrote; None where nothing was written."""
        said = orjson.loads(text) if text else None
        if not said:
            return None
        times = {
            name: datetime.fromisoformat(said[name]) for name in ("began", "ended") if said[name]
        }
        known = {name: said[name] for name in cls.__slots__ if name in said}
        return cls(**{**known, **times})

    def text(self) -> str:
        """Give the form that the row holds."""
        return orjson.dumps(self).decode()


@dataclass(frozen=True, slots=True)
class Saved:
    """Where the scrub is: `walk` and `position` say which page is next, `done` the last row of it.

    `debt` are bytes that were read and are not paid for yet, `rest` is how long no round may begin.
    `held` is how long after this was written nobody else goes on. `age` is the time since then, by
    the store's clock.
    """

    walk: str = ""
    position: str = ""
    done: str = ""
    debt: int = 0
    rest: timedelta = timedelta()
    held: timedelta = timedelta()
    round: Round | None = None
    last: Round | None = None
    age: timedelta = field(default=timedelta(), compare=False)
    etag: str = field(default="", compare=False)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read the row."""
        values = row.values
        return cls(
            walk=str(values["walk"]),
            position=str(values["position"]),
            done=str(values["done"]),
            debt=cast("int", values["debt"]),
            rest=timedelta(seconds=cast("int", values["rest"])),
            held=timedelta(seconds=cast("int", values.get("held", 0))),
            round=Round.read(str(values["round"])),
            last=Round.read(str(values["last"])),
            age=row.age,
            etag=row.etag,
        )

    @property
    def is_held(self) -> bool:
        """Tell whether a round is under way that nobody else goes on with."""
        return self.age < self.held

    def change(self) -> Change:
        """Give the change that writes this in the place of what was read."""
        values: dict[str, Value] = {
            "walk": self.walk,
            "position": self.position,
            "done": self.done,
            "debt": self.debt,
            "rest": int(self.rest.total_seconds()),
            "held": int(self.held.total_seconds()),
            "round": self.round.text() if self.round else "",
            "last": self.last.text() if self.last else "",
        }
        key = keys.POSITION
        return Update(key, values, self.etag) if self.etag else Insert(key, values)


class Scrubs:
    """The reports of one registry generation."""

    def __init__(self, rows: Rows, generation: str) -> None:
        self._rows = rows
        self._generation = generation

    async def saved(self) -> Saved:
        """Read where the scrub is."""
        row = await self._rows.get(keys.REGISTRIES, self._partition, keys.POSITION)
        return Saved.read(row) if row else Saved()

    async def save(self, saved: Saved) -> str | None:
        """Write where it is, and give the new ETag; None where another has gone on meanwhile."""
        try:
            return (await self._commit(saved.change()))[0]
        except (Conflict, NotFound):
            return None

    async def note(self, damage: Damage) -> None:
        """Write down what was found."""
        values: dict[str, Value] = {
            "kind": damage.kind,
            "repository": damage.repository,
            "digest": str(damage.digest),
            "what": damage.what,
            "found": damage.found,
        }
        await self._commit(Put(keys.bad(damage.object), values))

    async def healed(self, name: str, now: datetime) -> None:
        """Write down that an object is no longer needed: sound bytes are in its place."""
        with suppress(NotFound):
            await self._commit(Update(keys.bad(name), {"healed": now}))

    async def damages(self, after: str, limit: int) -> list[Damage]:
        """List up to `limit` of what was found, by names that follow `after`."""
        rows = await self._rows.scan(
            keys.REGISTRIES,
            self._partition,
            after=keys.bad(after),
            before=keys.end_of("bad"),
            limit=limit,
        )
        return [Damage.read(self._generation, row) for row in rows]

    async def forget(self, damages: Sequence[Damage]) -> None:
        """Remove what is told no longer, unless it was noted anew since it was read."""
        for damage in damages:
            with suppress(NotFound, Conflict):
                await self._commit(Delete(keys.bad(damage.object), damage.etag))

    async def _commit(self, change: Change) -> list[str]:
        return await self._rows.commit(keys.REGISTRIES, self._partition, [change])

    @property
    def _partition(self) -> str:
        return keys.scrub(self._generation)
