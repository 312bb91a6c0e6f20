"""Findings: what the sweep comes upon, and whom it tells."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.verification.healing import Task
from shared.storage.ports import StorageError

_log = logging.getLogger(__name__)

type Mend = Callable[[], Awaitable[object]]


class What(StrEnum):
    """What was left."""

    LISTED_FOR_NOTHING = "a repository in the catalog that has nothing"
    KEPT_FOR_NOTHING = "a repository among those of which something is kept, and nothing is"
    NOT_AMONG_KEPT = "a repository of which something is kept that is not among those"
    LINK = "a link that nothing uses"
    BUILD = "a push of several transactions that is abandoned"
    LIFE = "a life that is over for longer than it is kept"
    EDGE = "an edge whose life is nowhere"
    MARK = "a tag's mark whose life is nowhere"
    TAG_TAKEN = "a tag that an unfinished deletion took from a manifest that stays"
    DELETION = "an unfinished deletion of a manifest"
    REPOSITORY_DELETION = "an unfinished deletion of a repository"
    HISTORY = "what a tag pointed to longer ago than is kept"
    EVENT = "an event that waits for its message"
    HOLDER = "a holder without a link"
    GONE = "an object out of use that is yet to be removed"
    BAD = "bad bytes whose healing is unfinished"
    OBJECT = "an object that no row names"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was left: in which repository, or of which digest; its keys or its object.

    `mend` sees to it, or tells whoever does.
    """

    what: What
    where: str
    keys: tuple[str, ...]
    mend: Mend = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """Whom the sweep tells where there is no errand for it; they look at what is there first."""

    collect: Callable[[RepositoryName, Digest], Awaitable[object]]
    heal: Callable[[Task], Awaitable[object]]


async def as_far_as_it_goes(
    findings: AsyncIterator[Finding], where: object
) -> AsyncIterator[Finding]:
    """Give findings up to one that cannot be understood, so that no row stops the sweep for good.

    Where storage fails the whole page is looked at again.
    """
    try:
        async for finding in findings:
            yield finding
    except StorageError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it will be so in the next round, too
        _log.exception("something of %s is passed over, as it cannot be understood", where)
