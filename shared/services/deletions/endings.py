"""Endings: how the life of a manifest ends, and which rows say so.

manifest|DIGEST           taken, by its ETag
referrer|SUBJECT|DIGEST   taken with it
deleted|DIGEST|LIFE       what it was, by whom it was deleted, until when it can come back
tag rows of each tag      taken; `tagged|` stays, marked with the life
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.events import Cause
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.storage import ages, keys
from shared.storage.ports import ANY, Change, Delete, Insert, Row, Update, Value
from shared.storage.rows import tags
from shared.storage.rows.records import ROTTEN, DeletedRecord, ManifestRecord, TagRecord
from shared.storage.stores import Stores

WITH_NAMES = 19
"""How many tags go in one transaction where their names are kept: five rows each."""


@dataclass(slots=True)
class Deletion:
    """A deletion under way. `until` is when it is for good.

    `with_repository` is the id of the repository's deletion, if this is part of one; `subject` and
    `subject_life` say with what it goes, and `is_meant` whether that is still so. One that
    `is_yielding` ends where somebody has come to rely on the manifest since it was read with
    `etag`, or since the deletion began. `rotten` is the life that is to end because its bytes have
    rotted, whoever relies on it. Where somebody has begun to delete it, it ends as that deletion.
    """

    repository: RepositoryName
    digest: Digest
    id: str
    by: Cause
    at: datetime
    until: datetime
    outbox: str
    with_repository: str = ""
    etag: str = ""
    subject: str = ""
    subject_life: str = ""
    is_meant: Callable[[], Awaitable[bool]] | None = None
    is_yielding: bool = False
    rotten: str = ""
    told: ages.Span | None = None

    def is_over(self, record: ManifestRecord) -> bool:
        """Tell whether what is there is not to be deleted any more."""
        if self.rotten:
            return record.life != self.rotten
        is_as_read = record.etag == self.etag or record.deletion == self.id
        return self.is_yielding and not is_as_read

    def under(self, own: str, begun: str) -> str:
        """Give the id under which it goes on: its own, or one that has begun and is still meant.

        A deletion that somebody wishes does not go on as one of what has rotted.
        """
        return own if is_of_rotten(begun) and not self.rotten else begun or own

    @property
    def reason(self) -> str:
        """Tell why the registry ends this life; empty where somebody wished it."""
        return ROTTEN if self.rotten and is_of_rotten(self.id) else ""


class Superseded(Exception):
    """Somebody has come to rely on the manifest, or on its subject, since its deletion began.

    Or the life of it that was to end is over.
    """


def id_of_rotten(drawn: str) -> str:
    """Give the id of the deletion of what has rotted: who goes on with it knows that by the row."""
    return f"{ROTTEN}-{drawn}"


def is_of_rotten(deletion: str) -> bool:
    """Tell whether `id_of_rotten` gave this id."""
    return deletion.startswith(f"{ROTTEN}-")


def touched(now: datetime, etag: str = ANY) -> Update:
    """Give the change of `writable` that everything that changes a repository makes."""
    return Update(keys.WRITABLE, {"updated": now}, etag)


def ended(deletion: Deletion, row: Row, record: ManifestRecord) -> Iterable[Change]:
    """Give what ends a manifest's life: it goes, and what it was stays."""
    yield Delete(keys.manifest(deletion.digest), deletion.etag)
    if record.subject:
        yield Delete(keys.referrer(Digest.parse(record.subject), deletion.digest))
    kept: Mapping[str, Value] = {
        **row.values,
        "deletion": "",
        **dict(
            zip(
                DeletedRecord.OWN,
                (
                    deletion.at,
                    deletion.by.by,
                    deletion.until,
                    deletion.with_repository,
                    deletion.reason,
                ),
                strict=True,
            )
        ),
    }
    yield Insert(keys.deleted(deletion.digest, record.life), kept)


def marked(
    stores: Stores, deletion: Deletion, life: str, some: Iterable[TagRecord]
) -> Iterable[Change]:
    """Give what takes tags with their manifest."""
    is_spent = stores.policies.keeps_names
    for tag in some:
        yield from tags.mark(tag, life, deletion.at, deletion.by.by, is_spent=is_spent)
