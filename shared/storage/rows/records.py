"""Rows of a repository as records: what each holds, read from a row and written to one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self, cast

import orjson

from shared.model.digest import Digest
from shared.model.manifest import Manifest
from shared.model.names import Tag
from shared.storage import keys
from shared.storage.ports import VALUE_BYTES, Row, Value

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

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read a tag's row."""
        values = row.values
        return cls(
            name=Tag(keys.last_part(row.key)),
            digest=Digest.parse(str(values["digest"])),
            media_type=str(values["media_type"]),
            size=cast("int", values["size"]),
            created=cast("datetime", values["created"]),
            updated=cast("datetime", values["updated"]),
            etag=row.etag,
        )

    def values(self) -> Mapping[str, Value]:
        """Give the values to write."""
        return {
            "digest": str(self.digest),
            "media_type": self.media_type,
            "size": self.size,
            "created": self.created,
            "updated": self.updated,
        }


@dataclass(frozen=True, slots=True)
class ManifestRecord:
    """A manifest; `body` is None where it was not asked for, or lies in the object `object`.

    `seen` is when it was last pushed.
    """

    digest: Digest
    media_type: str
    size: int
    body: bytes | None
    object: str
    seen: datetime
    etag: str = ""

    WITHOUT_BODY = ("media_type", "size", "object", "seen")

    @classmethod
    def read(cls, row: Row) -> Self:
        """Read a manifest's row."""
        return cls(
            digest=Digest.parse(keys.last_part(row.key)),
            media_type=str(row.values["media_type"]),
            size=cast("int", row.values["size"]),
            body=row_body(row),
            object=str(row.values.get("object", "")),
            seen=cast("datetime", row.values["seen"]),
            etag=row.etag,
        )


def body_values(body: bytes) -> Mapping[str, Value]:
    """Cut a body of up to INLINE_BYTES into values of a row."""
    starts = range(0, max(len(body), 1), VALUE_BYTES)
    return {f"body{place}": body[start : start + VALUE_BYTES] for place, start in enumerate(starts)}


def referrer_values(manifest: Manifest) -> Mapping[str, Value]:
    """Give a referrer's row: its artifact type, and the descriptor to list unless that is large."""
    shown = orjson.dumps(manifest.as_referrer())
    values: dict[str, Value] = {"artifact_type": manifest.artifact_type or ""}
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
