"""Faults planted in pushes, deletions, restores and purges: the simulation finds each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.errors import ManifestUnknown
from shared.events import Cause
from shared.model.digest import Digest
from shared.model.names import RepositoryName
from shared.services.content.manifests import Manifests
from shared.services.content.plans import Plan
from shared.services.content.pushes import Pushes
from shared.services.deletions.restores import Restores
from shared.services.upkeep.errands import Upkeep
from shared.services.upkeep.purge import Purge
from shared.storage import keys
from shared.storage.messages.errands import Errand
from shared.storage.ports import ANY, Change, Delete, Insert, NotFound, Put, Update
from shared.storage.rows import tags
from shared.storage.rows.outbox import Outbox
from shared.storage.rows.records import DeletedRecord, TagRecord
from tests.simulation import scenarios as first
from tests.simulation.explorer import Broken, Scenario, explore
from tests.simulation.manifests import scenarios as lives
from tests.simulation.scenarios import small
from tests.simulation.upkeep import errands
from tests.simulation.upkeep.errands import middle

type Patch = pytest.MonkeyPatch

WHOLE: Mapping[str, Scenario] = {
    **first.PAIRS,
    **lives.LIVES,
    **lives.REPOSITORIES,
    **errands.ERRANDS,
    **errands.SLOW,
    **errands.TURNS,
    **errands.ECHOES,
}
IN_PARTS: Mapping[str, Scenario] = {
    **lives.BUILDS,
    **errands.DEAD,
    **errands.SLOW_BUILDS,
    **errands.LARGE_ECHOES,
}


def _untouched(change: Change, *names: str) -> Change:
    """Leave values out of a change."""
    if not isinstance(change, Update):
        return change
    kept = {name: value for name, value in change.values.items() if name not in names}
    return Update(change.key, kept, change.etag)


async def _nothing(*_: object, **__: object) -> None:
    return


def a_push_does_not_ask_whether_it_may(patch: Patch) -> None:
    patch.setattr(Plan, "_opening", lambda self: iter(()))


def an_index_leaves_the_deletion_of_its_child(patch: Patch) -> None:
    reference = Plan._reference
    patch.setattr(
        Plan,
        "_reference",
        lambda self, target: (_untouched(each, "deletion") for each in reference(self, target)),
    )


def a_retag_leaves_the_deletion(patch: Patch) -> None:
    row = Plan._manifest_row
    patch.setattr(Plan, "_manifest_row", lambda self: _untouched(row(self), "deletion"))


def a_retag_does_not_touch_the_manifest(patch: Patch) -> None:
    row = Plan._manifest_row
    patch.setattr(
        Plan,
        "_manifest_row",
        lambda self: Update(keys.WRITABLE, {}) if self.is_live else row(self),
    )


def a_tag_that_is_there_is_left_alone(patch: Patch) -> None:
    point = tags.point

    def lazy(new: TagRecord, there: TagRecord | None, by: str) -> Iterator[Change]:
        return iter(() if there and there.digest == new.digest else point(new, there, by))

    patch.setattr(tags, "point", lazy)


def a_tag_has_any_time(patch: Patch) -> None:
    patch.setattr(tags, "after", lambda moment, _: moment)


def a_message_goes_before_the_turn(patch: Patch) -> None:
    put, promise = Pushes.put, Outbox.promise

    async def hasty(self: Pushes, repository: RepositoryName, *rest: Any, **options: Any) -> Any:
        key = self._stores.outbox.key(self._clock())
        await promise(self._stores.outbox, repository, [key])
        waiting = _Keyed(key)
        own = Pushes(replace(self._stores, outbox=waiting), is_sparse_allowed=False)  # type: ignore[arg-type]
        own._turns = self._turns
        return await put(own, repository, *rest, **options)

    patch.setattr(Pushes, "put", hasty)


class _Keyed:
    """An outbox whose message has gone already."""

    def __init__(self, key: str) -> None:
        self._key = key

    def key(self, _: datetime) -> str:
        return self._key

    async def promise(self, *_: object) -> None:
        return

    async def promise_again(self, *_: object) -> None:
        return  # as of a process that dies after its commit


def an_opening_goes_by_no_etag(patch: Patch) -> None:
    opening = Plan._opening

    def blind(self: Plan) -> Iterator[Change]:
        for change in opening(self):
            yield Update(change.key, change.values) if isinstance(change, Update) else change

    patch.setattr(Plan, "_opening", blind)


def a_long_push_is_told_of_once(patch: Patch) -> None:
    tell = Pushes._tell

    async def once(self: Pushes, plan: Plan) -> None:
        if not hasattr(plan, "told"):
            await tell(self, plan)

    patch.setattr(Pushes, "_tell", once)


def parts_are_completed_blindly(patch: Patch) -> None:
    patch.setattr(Plan, "_read_as", ANY)


def upkeep_ends_a_deletion_that_was_overtaken(patch: Patch) -> None:
    async def end(self: Upkeep, errand: Errand) -> None:
        deletion = self._deletion(errand, Cause("me"))
        deletion.is_yielding = False
        with suppress(ManifestUnknown):
            await self._manifests.carry_out(deletion)

    patch.setattr(Upkeep, "_end_deletion", end)


def upkeep_gives_no_tags_back(patch: Patch) -> None:
    patch.setattr(Restores, "give_back", _nothing)


def upkeep_ends_no_restore(patch: Patch) -> None:
    patch.setattr(Upkeep, "_end_restore", _nothing)


def tags_are_given_back_to_any_life(patch: Patch) -> None:
    bring_back = Restores.bring_back

    async def any_life(self: Restores, *arguments: Any, **options: Any) -> bool:
        return await bring_back(self, *arguments, **{**options, "live": ""})

    patch.setattr(Restores, "bring_back", any_life)


def tags_are_brought_back_without_an_etag(patch: Patch) -> None:
    bring_some = Restores._bring_some

    async def blind(self: Restores, repository: RepositoryName, record: Any, *rest: Any) -> None:
        await bring_some(self, repository, replace(record, etag=ANY), *rest)

    patch.setattr(Restores, "_bring_some", blind)


def a_restore_takes_a_tag_that_is_anothers(patch: Patch) -> None:
    bring_back = tags.bring_back

    def rude(marked: TagRecord, moment: datetime) -> Iterator[Change]:
        for change in bring_back(marked, moment):
            yield Put(change.key, change.values) if isinstance(change, Insert) else change

    patch.setattr(tags, "bring_back", rude)


def a_deletion_takes_its_edges(patch: Patch) -> None:
    commit = Manifests._commit

    async def greedy(
        self: Manifests, repository: RepositoryName, changes: Sequence[Change]
    ) -> list[str]:
        changes = [*changes]
        etags = await commit(self, repository, changes)
        for change in changes:
            if isinstance(change, Insert) and change.key.startswith("deleted|"):
                _, digest, life = change.key.split("|")
                target = keys.edge(first.digest(first.X), Digest.parse(digest), life)
                with suppress(NotFound):
                    await self._contents.commit(repository, [Delete(target)])
        return etags

    patch.setattr(Manifests, "_commit", greedy)


def a_purge_does_not_wait(patch: Patch) -> None:
    patch.setattr(DeletedRecord, "purged_in", timedelta())


def a_purge_takes_marks_that_have_changed(patch: Patch) -> None:
    take = Purge._take_marks

    async def blind(self: Purge, repository: RepositoryName, marks: Sequence[TagRecord]) -> None:
        await take(self, repository, [replace(mark, etag=ANY) for mark in marks])

    patch.setattr(Purge, "_take_marks", blind)


def a_purge_takes_its_row_first(patch: Patch) -> None:
    take = Purge._take_rest

    async def hasty(
        self: Purge, repository: RepositoryName, deleted: DeletedRecord, span: Any, **how: bool
    ) -> None:
        record = deleted.manifest
        with suppress(NotFound):
            row = Delete(keys.deleted(record.digest, record.life))
            await self._contents.commit(repository, [row])
        await take(self, repository, deleted, span, **how)

    patch.setattr(Purge, "_take_rest", hasty)


def a_purge_heeds_no_live_subject(patch: Patch) -> None:
    async def last(*_: object) -> bool:
        return True

    patch.setattr(Purge, "_is_last", last)


@dataclass(frozen=True)
class Fault:
    """How to plant it, who must meet to show it, and what is said then."""

    plant: Callable[[Patch], None]
    scenario: str
    says: str = "."
    faults: bool = False


FAULTS = [
    Fault(a_push_does_not_ask_whether_it_may, "a lock, and a push", "locked"),
    Fault(an_index_leaves_the_deletion_of_its_child, "a dead deletion, and an index of it"),
    Fault(a_retag_leaves_the_deletion, "a dead deletion, and a push of the same"),
    Fault(a_retag_does_not_touch_the_manifest, "a push and a deletion", "no manifest"),
    Fault(a_tag_that_is_there_is_left_alone, "a dead deletion, and a push of a tag it takes"),
    Fault(a_tag_has_any_time, "times of a tag"),
    Fault(
        a_message_goes_before_the_turn,
        "two slow pushes take turns, and who listens",
        "nobody hears",
    ),
    Fault(
        an_opening_goes_by_no_etag,
        "a first push, and another comes, goes and retires",
        "catalog",
    ),
    Fault(
        a_long_push_is_told_of_once,
        "a slow large push, and who listens",
        "nobody hears",
        faults=True,
    ),
    Fault(
        parts_are_completed_blindly,
        "many parts that were missing, and a life that is purged",
        "no life",
    ),
    Fault(
        upkeep_ends_a_deletion_that_was_overtaken,
        "a dead deletion, and a push of the same",
    ),
    Fault(upkeep_gives_no_tags_back, "a dead deletion, and a push of the same", "marked"),
    Fault(tags_are_given_back_to_any_life, "a dead restore, and a deletion", "leads again"),
    Fault(tags_are_brought_back_without_an_etag, "a dead restore, and a deletion", "leads again"),
    Fault(a_restore_takes_a_tag_that_is_anothers, "a restore, and a push of its tag"),
    Fault(a_deletion_takes_its_edges, "a deletion", "its edge"),
    Fault(a_purge_does_not_wait, "after a deletion, and a restore"),
    Fault(a_purge_takes_marks_that_have_changed, "a purge when it is due, and a push of the same"),
    Fault(a_purge_takes_its_row_first, "two purges", faults=True),
    Fault(a_purge_heeds_no_live_subject, "a purge after a push of the subject", "Unknown"),
    Fault(a_purge_heeds_no_live_subject, "a purge of the first of two lives", "Unknown"),
    Fault(upkeep_ends_no_restore, "a dead restore, and a push of another", "is not there"),
]


def where(scenario: str) -> tuple[Scenario, AbstractContextManager[None]]:
    if scenario in errands.COMPLETED:
        return errands.COMPLETED[scenario], middle()
    if scenario in IN_PARTS:
        return IN_PARTS[scenario], small()
    return WHOLE[scenario], nullcontext()


def find(fault: Fault, patch: Patch) -> None:
    """Plant a fault, and see it found."""
    scenario, size = where(fault.scenario)
    with size:
        fault.plant(patch)
        with pytest.raises(Broken, match=fault.says):
            explore(scenario, faults=fault.faults)


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault.plant.__name__}-{fault.scenario}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    find(fault, monkeypatch)
