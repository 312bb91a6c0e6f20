"""Tags: the rows that say what a tag points to, each change of which is one list of changes here.

    tag|TAG               for the pull of a tag; its ETag is what a move must not have missed
    tagged|DIGEST|TAG     for the deletion of a manifest; its ETag is what that must not have missed
    newest|INVERSE|TAG    for lists by time
    moved|TAG|INVERSE     what it pointed to before; for those who want that back
    manifest|DIGEST       of what it left: told when
    used|TAG              where a name is never used again: inserted with the first tag of it, put
                          when a tag goes, and never taken

All of them change together. `tagged|` stays behind when the manifest is deleted, marked with the
life that is over: the list of tags that come back with it. A push of the tag takes the mark's
place.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.model.attributes import Attributes
from shared.model.digest import Digest
from shared.model.names import Tag
from shared.storage import keys
from shared.storage.ports import Change, Delete, Insert, Put, Update, Value
from shared.storage.rows.records import TagRecord

_TICK = timedelta(microseconds=1)


def after(moment: datetime, there: TagRecord | None) -> datetime:
    """Give the time of a change: `moment`, or just after the last change."""
    return max(moment, there.updated + _TICK) if there else moment


def claim(name: Tag, moment: datetime) -> Insert:
    """Use a tag's name for the first time, or fail."""
    return Insert(keys.used(name), {"at": moment})


def point(new: TagRecord, there: TagRecord | None, by: str) -> Iterable[Change]:
    """Point a tag to a manifest; `there` is what it was when it was read."""
    values = new.values()
    yield (
        Update(keys.tag(new.name), values, there.etag)
        if there
        else Insert(keys.tag(new.name), values)
    )
    yield Put(keys.tagged(new.digest, new.name), {**values, "life": ""})
    yield Put(keys.newest(new.updated, new.name), values)
    if there:
        yield Delete(keys.newest(there.updated, there.name))
    if there and there.digest != new.digest:
        yield Delete(keys.tagged(there.digest, there.name))
        yield from _leave(there, new.updated, by)


def take(
    there: TagRecord, moment: datetime, by: str, *, is_spent: bool = False
) -> Iterable[Change]:
    """Take a tag away from its manifest; `is_spent`: its name is not to be used again."""
    yield Delete(keys.tag(there.name), there.etag)
    yield Delete(keys.tagged(there.digest, there.name))
    yield Delete(keys.newest(there.updated, there.name))
    yield from _leave(there, after(moment, there), by)
    if is_spent:
        yield _spend(there.name, moment)


def mark(
    there: TagRecord, life: str, moment: datetime, by: str, *, is_spent: bool = False
) -> Iterable[Change]:
    """Take a tag with its manifest; `there` was read from the manifest's side."""
    yield Delete(keys.tag(there.name))
    yield Update(keys.tagged(there.digest, there.name), {"life": life}, there.etag)
    yield Delete(keys.newest(there.updated, there.name))
    yield _history(there, after(moment, there), by)
    if is_spent:
        yield _spend(there.name, moment)


def bring_back(marked: TagRecord, moment: datetime) -> Iterable[Change]:
    """Point a tag that is free to its manifest again; `marked` is the mark that was read."""
    new = TagRecord(
        name=marked.name,
        digest=marked.digest,
        media_type=marked.media_type,
        size=marked.size,
        created=marked.created,
        updated=after(moment, marked),
        attributes=marked.attributes,
    )
    yield Insert(keys.tag(new.name), new.values())
    yield Update(keys.tagged(new.digest, new.name), {**new.values(), "life": ""}, marked.etag)
    yield Put(keys.newest(new.updated, new.name), new.values())


def allow(there: TagRecord, attributes: Attributes) -> Iterable[Change]:
    """Change a tag's attributes; whoever is about to move or take it has missed that."""
    values = attributes.values()
    yield Update(keys.tag(there.name), values, there.etag)
    yield Update(keys.tagged(there.digest, there.name), values)
    yield Update(keys.newest(there.updated, there.name), values)


def forget(marked: TagRecord) -> Delete:
    """Take a mark away: its tag is another's now."""
    return Delete(keys.tagged(marked.digest, marked.name), marked.etag)


def left(digest: Digest) -> Update:
    """Tell a manifest that a tag has left it. Whoever deletes it begins again."""
    return Update(keys.manifest(digest), {"deletion": ""})


def _spend(name: Tag, moment: datetime) -> Put:
    """Let a name never be used again, be its tag from before that was so."""
    return Put(keys.used(name), {"at": moment})


def _leave(there: TagRecord, moment: datetime, by: str) -> Iterable[Change]:
    yield left(there.digest)
    yield _history(there, moment, by)


def _history(there: TagRecord, moment: datetime, by: str) -> Put:
    values: dict[str, Value] = {"digest": str(there.digest), "at": moment, "by": by}
    return Put(keys.moved(there.name, moment), values)
