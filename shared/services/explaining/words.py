"""Words: an explanation as lines that an operator reads."""

from collections.abc import Callable, Iterator
from datetime import datetime

from shared.services.explaining.facts import (
    Blob,
    Explanation,
    Live,
    Over,
    Some,
    State,
    Subject,
    User,
)


def lines(explanation: Explanation) -> Iterator[str]:
    """Say why a digest is kept, or when it goes and why."""
    where = f"{explanation.repository}@{explanation.digest}"
    if explanation.is_empty:
        yield f"{where}: there is nothing of it here, and nothing that is here uses it"
        return
    if explanation.is_halted:
        yield "nothing at all is removed for now, as rows may be missing: see registry resume"
    yield from _manifest(explanation)
    if explanation.blob:
        yield from _blob(explanation.blob, explanation.users)
    elif not explanation.live:
        yield from map(_user, explanation.users.first)


def _manifest(explanation: Explanation) -> Iterator[str]:
    if explanation.live:
        yield from _live(explanation.live, explanation.users)
    for build in explanation.pushing:
        yield f"it is being pushed in several steps; abandoned, that ends after {_at(build.ends)}"
    for over in explanation.over.first:
        yield from _over(over)
    if explanation.over.and_more:
        yield "and more lives of it are over"


def _live(live: Live, users: Some[User]) -> Iterator[str]:
    state = "is being deleted" if live.is_going else "stays until it is deleted"
    yield f"the manifest ({live.media_type}), pushed {_at(live.pushed)}, {state}"
    yield _listed("tags point to it", live.tags, str) or "no tag points to it"
    if live.is_locked:
        yield "it is locked: it cannot be deleted or changed"
    yield from map(_user, users.first)
    if live.subject:
        yield _subject(live.subject)


def _subject(subject: Subject) -> str:
    match subject.state:
        case State.LIVE:
            return f"it refers to {subject.digest}, which is there: purged, that takes it along"
        case State.DELETED if subject.ends:
            return (
                f"it refers to {subject.digest}, which is deleted: it goes with that after"
                f" {_at(subject.ends)}, unless it was pushed since"
            )
        case _:
            return f"it refers to {subject.digest}, which is not here: that takes nothing along"


def _over(over: Over) -> Iterator[str]:
    why = f"deleted by {over.by}" if not over.reason else f"taken, as its bytes were {over.reason}"
    yield f"a life of the manifest ended {_at(over.deleted)} ({why})"
    kept = "can come back" if not over.reason else "is kept"
    yield (
        f"it {kept} until {_at(over.until)}; after {_at(over.purged)} it is purged, and the"
        f" collector looks at the {over.targets} that it used"
    )
    if going := _listed("manifests that refer to it go with it", over.referrers, str):
        yield going


def _blob(blob: Blob, users: Some[User]) -> Iterator[str]:
    if blob.object:
        soundness = "sound" if blob.is_good else "bad, and out of service"
        verified = f"verified {_at(blob.verified)}" if blob.verified else "not verified yet"
        yield f"the blob has {blob.size} bytes in {blob.object}: {soundness}, {verified}"
    for name in blob.leaving:
        yield f"the object {name} is out of use and about to be removed"
    yield _listed("other repositories hold it", blob.others, str) or "no other repository holds it"
    if blob.used:
        yield f"this repository last used it {_at(blob.used)}"
    elif blob.is_held:
        yield "this repository holds it without showing it to clients"
    yield from map(_user, users.first)
    if users.and_more:
        yield "and more manifests use it"
    yield _verdict(blob, users)


def _verdict(blob: Blob, users: Some[User]) -> str:
    if users.first:
        return "kept: the collector takes nothing that a manifest uses which is there or kept"
    if blob.again:
        return (
            "kept for now: no manifest uses it, but it was used lately; the collector may take it"
            f" from {_at(blob.again)} on"
        )
    if blob.goes:
        return f"goes, as nothing uses it, when the collector looks next: {', '.join(blob.goes)}"
    return "this repository has no part in it: others hold it, or it is being healed"


def _user(user: User) -> str:
    match user.state:
        case State.LIVE:
            tags = _listed("tagged", user.tags, str)
            return f"used by the manifest {user.digest}, which is there" + (
                f" ({tags})" * bool(tags)
            )
        case State.BUILDING:
            return f"used by the manifest {user.digest}, which is being pushed"
        case State.DELETED if user.ends:
            return (
                f"used by the manifest {user.digest}, which is deleted, and kept: it is"
                f" purged after {_at(user.ends)}"
            )
        case _:
            return f"named by a life of {user.digest} that is nowhere: the sweep takes that edge"


def _listed[What](what: str, some: Some[What], text: Callable[[What], str]) -> str:
    more = ", and more" if some.and_more else ""
    return f"{what}: {', '.join(map(text, some.first))}{more}" if some.first else ""


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
