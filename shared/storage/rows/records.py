"""Rows of a repository as records: what each holds, read from a row and written to one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self, cast

import orjson

from shared.model.attributes import FREE, Attributes
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import Tag
from shared.storage import ages, keys
from shared.storage.ports import LONG_AGO, VALUE_BYTES, Row, Value

ROTTEN = "rotten"
"""Why a life ended whose bytes were no longer what was pushed."""

INLINE_BYTES = 4 * VALUE_BYTES
"""Bodies up to this size live in their row; larger ones are objects. A row ends at 1 MiB."""


@dataclass(frozen=True, slots=True)
class TagRecord:
    """A tag, and what a pull by it answers without reading more."""

    name: Tag
    digest: Digest
    media_type: str
    size: int
    created: datetime
    updated: datetime
    etag: str = ""
    attributes: Attributes = FREE

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read a tag's row, or the one on its manifest's side."""
        values = row.values
        return cls(
            name=Tag(keys.last_part(row.key)),
            digest=Digest.parse(str(values["digest"])),
            media_type=str(values["media_type"]),
            size=cast("int", values["size"]),
            created=cast("datetime", values["created"]),
            updated=cast("datetime", values["updated"]),
            etag=row.etag,
            attributes=Attributes.read(values),
        )

    def values(self) -> Mapping[str, Value]:
        """Give the values to write; attributes, where they are other than usual."""
        return {
            "digest": str(self.digest),
            "media_type": self.media_type,
            "size": self.size,
            "created": self.created,
            "updated": self.updated,
            **(self.attributes.values() if self.attributes != FREE else {}),
        }


@dataclass(frozen=True, slots=True)
class ManifestRecord:
    """A manifest that is live, or was; `body` is None where it was not asked for, or is an object.

    `life` is new each time that the manifest is pushed and not there; an object with its body bears
    that name. `deletion` is the id of a deletion under way. `is_incomplete` says that content which
    it names was missing, and might be. `pushed` is when this life began, and `seen` the last use.
    """

    digest: Digest
    life: str
    media_type: str
    size: int
    body: bytes | None
    object: str
    seen: datetime
    pushed: datetime
    subject: str = ""
    deletion: str = ""
    is_incomplete: bool = False
    attributes: Attributes = FREE
    age: timedelta = timedelta(0)
    written: datetime = LONG_AGO
    etag: str = ""

    WITHOUT_BODY = (
        "life",
        "media_type",
        "size",
        "object",
        "seen",
        "pushed",
        "subject",
        "deletion",
        "is_incomplete",
        *Attributes.__slots__,
    )

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read the row of a manifest, or of a life that is over or not yet begun."""
        values = row.values
        return cls(
            digest=Digest.parse(row.key.split("|")[1]),
            life=str(values["life"]),
            media_type=str(values["media_type"]),
            size=cast("int", values["size"]),
            body=row_body(row),
            object=str(values.get("object", "")),
            seen=cast("datetime", values["seen"]),
            pushed=cast("datetime", values["pushed"]),
            subject=str(values.get("subject", "")),
            deletion=str(values.get("deletion", "")),
            is_incomplete=bool(values.get("is_incomplete", False)),
            attributes=Attributes.read(values),
            age=row.age,
            written=row.written,
            etag=row.etag,
        )


@dataclass(frozen=True, slots=True)
class DeletedRecord:
    """A life of a manifest that is over, and kept `until` then.

    `deletion` is the id of the repository's deletion, if it ended with that, `reason` why else it
    did (ROTTEN: it cannot come back), if nobody wished it. `kept` is what the manifest's row held;
    of one that is listed, what is listed of it.
    """

    manifest: ManifestRecord
    at: datetime
    by: str
    until: datetime
    deletion: str
    kept: Mapping[str, Value]
    reason: str = ""
    age: timedelta = timedelta(0)
    written: datetime = LONG_AGO
    etag: str = ""

    OWN = ("deleted_at", "deleted_by", "until", "with_repository", "reason")
    LISTED = (*ManifestRecord.WITHOUT_BODY, *OWN)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read the row of a life that is over."""
        values = row.values
        return cls(
            manifest=ManifestRecord.read(row),
            at=cast("datetime", values["deleted_at"]),
            by=str(values["deleted_by"]),
            until=cast("datetime", values["until"]),
            deletion=str(values["with_repository"]),
            kept={name: value for name, value in values.items() if name not in cls.OWN},
            reason=str(values.get("reason", "")),
            age=row.age,
            written=row.written,
            etag=row.etag,
        )

    @property
    def left(self) -> timedelta:
        """Give how long it is kept from now on; below zero, for how long it is so no more.

        The clock of the host that deleted it says for how long in all, storage's since when.
        """
        return self.until - self.at - self.age

    @property
    def is_over(self) -> bool:
        """Tell whether it is kept no more, and only waits for its purge."""
        return self.left < timedelta()

    @property
    def purged_in(self) -> timedelta:
        """Give how long its purge waits from now on; below zero, for how long it is due."""
        return purged_in(self.at, self.until, self.age)


def purged_in(at: datetime, until: datetime, age: timedelta) -> timedelta:
    """Give how long the purge of a life waits that was deleted `at` a time, and is kept `until`.

    A restore begins before that, by the clock of its host.
    """
    return until - at - age + 4 * ages.L


def body_values(body: bytes) -> Mapping[str, Value]:
    """Cut a body of up to INLINE_BYTES into values of a row."""
    starts = range(0, max(len(body), 1), VALUE_BYTES)
    return {f"body{place}": body[start : start + VALUE_BYTES] for place, start in enumerate(starts)}


def referrer_values(manifest: Manifest) -> Mapping[str, Value]:
    """Give a referrer's row: its artifact type, and the descriptor to list unless that is large.

    A type that cannot be printed is none: nobody can ask for it.
    """
    shown, kind = orjson.dumps(manifest.as_referrer()), manifest.artifact_type or ""
    values: dict[str, Value] = {"artifact_type": kind if kind.isprintable() else ""}
    return values if len(shown) > INLINE_BYTES else {**values, **body_values(shown)}


def row_body(row: Row) -> bytes | None:
    """Put together what `body_values` cut, or give None where the row has no body."""
    pieces = [row.values[f"body{place}"] for place in range(4) if f"body{place}" in row.values]
    return b"".join(cast("list[bytes]", pieces)) if pieces else None


@dataclass(frozen=True, slots=True)
class Link:
    """That a repository holds a blob: its size in bytes, the object with them, the last use.

    `age` is the time since the last use by storage's clock: every use changes the row.
    """

    digest: Digest
    size: int
    object: str
    seen: datetime
    etag: str = ""
    age: timedelta = field(default=timedelta(), compare=False)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read a link's row."""
        return cls(
            digest=Digest.parse(keys.last_part(row.key)),
            size=cast("int", row.values["size"]),
            object=str(row.values["object"]),
            seen=cast("datetime", row.values["seen"]),
            etag=row.etag,
            age=row.age,
        )

    def values(self) -> Mapping[str, Value]:
        """Give the values to write."""
        return {"size": self.size, "object": self.object, "seen": self.seen}
